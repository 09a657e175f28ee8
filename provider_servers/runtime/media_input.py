"""One input of a call, as an author sees it: already of the role and format that the slot asks for."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import InputEmpty, InputTooLarge, MediaInvalid
from automarket.media.probe import probe

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from automarket.media.info import MediaInfo
    from provider_servers.runtime.describe import Slot

READ_BYTES = 256 * 1024


class MediaInput:
    """One input. Use either `chunks` (bytes as they arrive), or `path`, `data` or `text` (all of it); not both.

    Args:
        slot: what it fills.
        media_type: what it is after casting, e.g. "audio/wav"; "application/octet-stream" when not known.
        digest: name of the asset as the caller gave it; of chunks and inline bytes once the store has kept them.
        file: where the bytes are already, read-only; None when they come from `source`.
        source: gives the bytes as they arrive.
        spool: says where `path` writes bytes that come from `source`.
    """

    def __init__(
        self,
        slot: Slot,
        *,
        media_type: str,
        digest: str = "",
        file: Path | None = None,
        source: Callable[[], AsyncGenerator[bytes]] | None = None,
        spool: Callable[[], Path] | None = None,
    ) -> None:
        self.slot = slot
        self.media_type = media_type
        self.digest = digest
        self._file = file
        self._source = source
        self._spool = spool

    @property
    def kept_file(self) -> Path | None:
        """The file that holds it; None for bytes that flowed and were never put into one."""
        return self._file

    async def chunks(self) -> AsyncGenerator[bytes]:
        """Give the bytes, as they arrive.

        Raises:
            InputEmpty: there are none.
            InputTooLarge: there are more than the slot takes.
        """
        total = 0
        async with aclosing(self._open()) as pieces:
            async for piece in pieces:
                total += len(piece)
                self._check_size(total)
                yield piece
        if not total:
            raise InputEmpty(f"input {self.slot.name!r} is empty", fields={f"header.inputs.{self.slot.name}": "empty"})

    async def path(self) -> Path:
        """Give a file with all the bytes; the author must not change it."""
        if self._file is None:
            assert self._spool is not None  # noqa: S101 - inputs without a file are made with a spool
            file = self._spool()
            with file.open("wb") as spool:
                async for piece in self.chunks():
                    await asyncio.to_thread(spool.write, piece)
            self._file = file
        self._check_size(self._file.stat().st_size)
        return self._file

    async def data(self) -> bytes:
        """Give all the bytes."""
        return b"".join([piece async for piece in self.chunks()])

    async def text(self) -> str:
        """Give all of a text.

        Raises:
            MediaInvalid: it is not UTF-8.
            InputTooLarge: it has more characters than the slot takes.
        """
        try:
            text = (await self.data()).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise MediaInvalid(f"input {self.slot.name!r} is not text in UTF-8") from None
        limit = self.slot.max_characters
        if limit is not None and len(text) > limit:
            message = f"input {self.slot.name!r} has {len(text):,} characters; the model takes {limit:,}"
            raise InputTooLarge(message, hint="split the text")
        if not text.strip():
            raise InputEmpty(f"input {self.slot.name!r} has no words")
        return text

    async def info(self) -> MediaInfo:
        """Read the technical facts of the media; spools what has not been spooled."""
        return await probe(await self.path())

    def _check_size(self, size: int) -> None:
        limit = self.slot.max_bytes
        if limit is not None and size > limit:
            raise InputTooLarge(f"input {self.slot.name!r} is over the {limit:,} bytes that the model takes")

    async def _open(self) -> AsyncGenerator[bytes]:
        if self._file is None:
            assert self._source is not None  # noqa: S101 - an input has a file or a source
            async with aclosing(self._source()) as pieces:
                async for piece in pieces:
                    yield piece
            return
        with self._file.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, READ_BYTES):
                yield piece
