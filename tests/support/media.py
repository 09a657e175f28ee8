"""Real media for tests, made by FFmpeg and flite and kept in a cache folder between runs."""

from __future__ import annotations

import hashlib
import subprocess
import uuid
from typing import TYPE_CHECKING

from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SENTENCE = "the quick brown fox jumps over the lazy dog and the old man walks slowly to the river"


class MediaShelf:
    """Makes each file at most once. Every method gives the path of a file that must not be changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def speech_wav(self) -> Path:
        """Give SENTENCE spoken: WAV, 16 kHz, mono, 16 bit, about 5 s."""
        require("flite")
        return self._make("speech.wav", ["flite", "-voice", "rms", "-t", SENTENCE, "-o", "{out}"])

    def talk_mp4(self) -> Path:
        """Give SENTENCE over a moving picture: MP4, H.264 320x180, 25 a second, AAC 44.1 kHz stereo, index last."""
        return self._video("talk.mp4")

    def talk_faststart_mp4(self) -> Path:
        """Give the same with the index first, so that it can be read from a pipe."""
        return self._video("talk-faststart.mp4", "-movflags", "+faststart")

    def silent_mp4(self) -> Path:
        """Give 2 s of moving picture without a sound track."""
        return self.ffmpeg("silent.mp4", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=25:duration=2")

    def tone_wav(self) -> Path:
        """Give 1 s of a 440 Hz tone: WAV, 44.1 kHz, mono."""
        return self.ffmpeg("tone.wav", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=1")

    def picture_png(self) -> Path:
        """Give a test picture: PNG, 640x360."""
        return self.ffmpeg("picture.png", "-f", "lavfi", "-i", "testsrc=size=640x360", "-frames:v", "1")

    def ffmpeg(self, name: str, *arguments: str) -> Path:
        """Give what FFmpeg makes of the arguments, which end before the output's name."""
        require("ffmpeg")
        return self._make(name, ["ffmpeg", "-nostdin", "-v", "error", "-y", *arguments, "{out}"])

    def _video(self, name: str, *flags: str) -> Path:
        picture = ("-f", "lavfi", "-i", "testsrc=size=320x180:rate=25")
        codecs = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ar", "44100", "-ac", "2", "-shortest")
        return self.ffmpeg(name, *picture, "-i", str(self.speech_wav()), *codecs, *flags)

    def _make(self, name: str, command: Sequence[str]) -> Path:
        """Give the file of that name that the command makes: another command makes another one."""
        path = self._folder / hashlib.sha256("\0".join(command).encode()).hexdigest()[:12] / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            unfinished = path.with_name(f"{uuid.uuid4().hex[:8]}-{name}")
            subprocess.run([part.replace("{out}", str(unfinished)) for part in command], check=True)
            unfinished.replace(path)
        return path
