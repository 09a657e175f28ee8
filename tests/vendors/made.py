"""What the stand-ins for makers of media make: real files, small, made once by FFmpeg and flite."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.support.media import MediaShelf

SHELF = MediaShelf(Path(__file__).resolve().parent.parent.parent / ".cache" / "test-media")
WIDTH, HEIGHT, FPS, SECONDS = 320, 180, 25, 1
"""Of the videos and pictures."""
MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
}


@cache
def made_file(suffix: str, number: int = 0) -> Path:
    """Give a file of a kind: "png", "jpg", "webp" (a picture, another one for each number), "mp4", "wav", "mp3"."""
    name = f"vendor-{number}.{suffix}"
    picture = ("-f", "lavfi", "-i", f"testsrc2=size={WIDTH}x{HEIGHT}:rate={FPS}:duration={number + SECONDS}")
    tone = ("-f", "lavfi", "-i", f"sine=frequency={440 + 110 * number}:sample_rate=44100:duration={SECONDS}")
    if suffix == "mp4":
        codecs = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", "-movflags", "+faststart")
        return SHELF.ffmpeg(name, *picture, *tone, *codecs)
    if suffix in ("png", "jpg", "webp"):
        return SHELF.ffmpeg(name, *picture, "-ss", str(number), "-frames:v", "1")
    return SHELF.ffmpeg(name, *tone)


@cache
def made(suffix: str, number: int = 0) -> bytes:
    """Give what such a file holds."""
    return made_file(suffix, number).read_bytes()


def spoken() -> bytes:
    """Give a sentence that is spoken, as WAV."""
    return SHELF.speech_wav().read_bytes()
