"""Media that is wrong in known ways, and what runs below this process."""

from __future__ import annotations

import asyncio
import os
import struct
import time
import zlib
from pathlib import Path

import pytest

from automarket.assets.roles import Role
from automarket.media.info import AudioFormat, CastSpec

SPEECH_16K = CastSpec(Role.SPEECH, audio=AudioFormat("wav", 16000, 1))
PROGRAMS = ("ffmpeg", "ffprobe", "prlimit", "setpriv")


def media_children() -> list[int]:
    """Give the media programs that this process has started and that run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
            except OSError:
                continue
            state, parent = rest.split()[:2]
            if int(parent) == os.getpid() and name in PROGRAMS and state != "Z":
                found.append(int(entry.name))
    return found


async def until(condition, seconds=5.0):
    """Wait until a condition holds and give how long that took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, "it did not happen in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


async def pieces_of(data, size=5000, pause=0.0):
    for start in range(0, len(data), size):
        yield data[start : start + size]
        if pause:
            await asyncio.sleep(pause)


async def joined(chunks):
    return b"".join([piece async for piece in chunks])


def cut(path: Path, folder: Path, share: float = 0.6) -> Path:
    """Write the beginning of a file into a folder, under the same name."""
    data = path.read_bytes()
    target = folder / f"cut-{path.name}"
    target.write_bytes(data[: int(len(data) * share)])
    return target


def wav(samples: bytes, *, rate=16000, channels=1, declared: int | None = None) -> bytes:
    size = len(samples) if declared is None else declared
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2, channels * 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", (size + 36) & 0xFFFFFFFF if size < 2**32 - 36 else 2**32 - 1)
        + (b"WAVEfmt " + form + b"data" + struct.pack("<I", size) + samples)
    )


def png(width: int, height: int) -> bytes:
    """Give a PNG that claims a size and has next to no content."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture(autouse=True)
async def no_program_is_left():
    yield
    await until(lambda: not media_children(), 2)


class Forms:
    """The same speech and video in every container of the product."""

    def __init__(self, media):
        self._media = media

    def audio(self, name: str) -> Path:
        speech = str(self._media.speech_wav())
        return self._media.ffmpeg(f"speech-48k.{name}", "-i", speech, "-ar", "48000", *SOUND[name])

    def video(self, name: str) -> Path:
        return self._media.ffmpeg(f"four-seconds.{name}", "-i", str(self._media.talk_mp4()), "-t", "4", *MOVING[name])


SOUND = {
    "mp3": ("-c:a", "libmp3lame"),
    "flac": ("-c:a", "flac"),
    "ogg": ("-c:a", "libvorbis"),
    "opus": ("-c:a", "libopus"),
    "m4a": ("-c:a", "aac"),
    "aac": ("-c:a", "aac"),
    "wav": (),
}
MOVING = {
    "mp4": ("-c", "copy"),
    "mov": ("-c", "copy"),
    "mkv": ("-c", "copy"),
    "avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus"),
}


@pytest.fixture
def forms(media):
    return Forms(media)
