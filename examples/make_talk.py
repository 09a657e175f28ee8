"""Make talk.mp4 beside this file: the words of talk.txt over a moving picture of their own sound.

The clip is synthetic: the voice is flite's "rms", nobody was recorded. The file in the repository was made by this
script; run it again only to change the text. Needs the commands flite and ffmpeg.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import wave
from pathlib import Path

HERE = Path(__file__).resolve().parent
RATE = 16_000
PAUSE_SECONDS = 0.4
PICTURE = (
    "gradients=size=640x360:rate=25:speed=0.02:c0=0x102840:c1=0x205070:nb_colors=2[back];"
    "[0:a]showwaves=size=640x160:rate=25:mode=cline:colors=0xffffff[wave];"
    "[back][wave]overlay=x=0:y=100:shortest=1,format=yuv420p[picture]"
)


def speak(text: str, speech: Path) -> None:
    """Speak sentence by sentence, with the pauses that a person would make. flite gives 16 kHz, mono, 16 bit."""
    samples = b""
    for sentence in re.findall(r"[^.]+\.", text):
        command = ["flite", "-voice", "rms", "--setf", "duration_stretch=1.1", "-t", sentence.strip(), "-o", speech]
        subprocess.run(command, check=True)
        with wave.open(str(speech)) as spoken:
            samples += spoken.readframes(spoken.getnframes()) + bytes(int(PAUSE_SECONDS * RATE) * 2)
    with wave.open(str(speech), "wb") as whole:
        whole.setnchannels(1)
        whole.setsampwidth(2)
        whole.setframerate(RATE)
        whole.writeframes(samples)


def main() -> None:
    """Speak the text, draw its sound, and write both as one MP4."""
    text = (HERE / "talk.txt").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        speech = Path(folder) / "speech.wav"
        speak(text, speech)
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", speech, "-filter_complex", PICTURE]
        command += ["-map", "[picture]", "-map", "0:a", "-c:v", "libx264", "-crf", "32", "-preset", "slow"]
        command += ["-c:a", "aac", "-b:a", "96k", "-ar", "44100", "-ac", "2", "-shortest"]
        command += ["-metadata", "title=A synthetic talk", "-metadata", "comment=Synthetic speech; text in talk.txt"]
        subprocess.run([*command, HERE / "talk.mp4"], check=True)


if __name__ == "__main__":
    main()
