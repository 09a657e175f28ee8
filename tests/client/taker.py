"""A provider that takes large inputs and makes large outputs: `provider_servers.runtime tests.client.taker:Taker`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from pathlib import Path

from automarket.errors import MediaInvalid
from provider_servers.runtime import Media, Model, Output, Provider, Role, Slot, TextDelta

TEXT = (Output("text", Role.TEXT, ("text/plain",)),)
SOUND = (Output("sound", Role.AUDIO, ("audio/wav",)),)
OPTIONS = {
    "do": {"type": "string", "default": ""},
    "die_at": {"type": "integer", "default": 0},
    "marker": {"type": "string", "default": ""},
}


class Taker(Provider):
    """Says what it was given, and dies on the way once when it is told to."""

    id = "taker"
    name = "Taker"
    max_concurrent_calls = 4

    def models(self):
        sound = (Slot("audio", Role.AUDIO),)
        size = {"size": {"type": "integer", "default": 1000}, "in_workdir": {"type": "boolean", "default": False}}
        return (
            Model("measure", ("audio-to-text",), sound, TEXT, options=OPTIONS, replay_safe=True),
            Model("measure-once", ("audio-to-text",), sound, TEXT, options=OPTIONS),
            Model("make", ("text-to-audio",), (Slot("text", Role.TEXT),), SOUND, options=size, replay_safe=True),
        )

    async def transform(self, call):
        if call.model.id == "make":
            yield Media("sound", "audio/wav", _made(call) if call.options["in_workdir"] else wav(call.options["size"]))
            return
        if call.options["do"] == "break":
            raise MediaInvalid("it is broken")
        if call.options["do"] == "wait":
            yield TextDelta(("begun",))
            await asyncio.sleep(60)
        facts = await (_opened(call) if call.options["do"] == "open" else _read(call))
        yield TextDelta((json.dumps({"pid": os.getpid(), "request_id": call.request_id, **facts}),))


async def _read(call):
    size, digest = 0, hashlib.sha256()
    async for piece in call.input("audio").chunks():
        size += len(piece)
        digest.update(piece)
        if 0 < call.options["die_at"] < size and not Path(call.options["marker"]).exists():
            Path(call.options["marker"]).write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
    return {"size": size, "digest": f"sha256:{digest.hexdigest()}"}


async def _opened(call):
    """Open the file, and read its first and last KiB."""
    path = await call.input("audio").path()
    with path.open("rb") as file:
        first = file.read(1024)
        file.seek(-1024, os.SEEK_END)
        last = file.read()
    facts = path.stat()
    ends = hashlib.sha256(first + last).hexdigest()
    return {"size": facts.st_size, "path": str(path), "mode": facts.st_mode & 0o777, "ends": ends}


def _made(call):
    path = call.workdir / "made.wav"
    with path.open("wb") as file:
        file.write(header(call.options["size"]))
        file.truncate(call.options["size"])
    return path


async def wav(size):
    """Give a WAV of so many bytes, nearly all of them silence."""
    yield header(size)
    left = size - 44
    while left:
        step = min(left, 1024 * 1024)
        yield bytes(step)
        left -= step


def header(size):
    """Give the first 44 bytes of a WAV of so many: 48 kHz, stereo, 16 bit."""
    return (
        b"RIFF" + (size - 8).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
        + (1).to_bytes(2, "little") + (2).to_bytes(2, "little") + (48_000).to_bytes(4, "little")
        + (192_000).to_bytes(4, "little") + (4).to_bytes(2, "little") + (16).to_bytes(2, "little")
        + b"data" + (size - 44).to_bytes(4, "little")
    )  # fmt: skip


def make_wav(path, size):
    """Make a WAV file of so many bytes; every MiB of it begins with another number."""
    with path.open("wb") as file:
        file.write(header(size))
        for number in range(1, size >> 20):
            file.seek(number << 20)
            file.write(number.to_bytes(8, "little"))
        file.truncate(size)
    return path
