"""From a WAV stream that arrives to the windows that are heard."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import InputEmpty
from provider_servers.runtime.samples import samples
from provider_servers.runtime.windows import BYTES_A_SECOND, Cutter, Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


async def windows_of(wav: AsyncGenerator[bytes], seconds: float, workdir: Path) -> AsyncGenerator[Window]:
    """Give a recording in windows of at most so many seconds, as they arrive; with 0 in one, through a file.

    Raises:
        MediaInvalid: it is no WAV stream, or ends early.
        InputEmpty: it plays for no time.
    """
    cut = _pieces(wav, Cutter(seconds)) if seconds else _whole(wav, workdir / "recording.s16le")
    end = 0.0
    async with aclosing(cut) as windows:
        async for window in windows:
            end = window.end
            yield window
    if not end:
        raise InputEmpty("the sound plays for 0 s", hint="check how it was recorded")


async def _pieces(wav: AsyncGenerator[bytes], cutter: Cutter) -> AsyncGenerator[Window]:
    async with aclosing(samples(wav)) as pieces:
        async for piece in pieces:
            for window in cutter.add(piece):
                yield window
    for window in cutter.finish():
        yield window


async def _whole(wav: AsyncGenerator[bytes], path: Path) -> AsyncGenerator[Window]:
    with path.open("wb") as file:
        async with aclosing(samples(wav)) as pieces:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
    if size := path.stat().st_size:
        yield Window(0.0, size / BYTES_A_SECOND, path)
