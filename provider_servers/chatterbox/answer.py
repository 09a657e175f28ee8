"""What the server answers when it has spoken: a WAV. Its header is read, its samples are given as they arrive."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import BackendFailed, MediaInvalid
from automarket.media.wav import samples_of, wav_layout
from provider_servers.chatterbox.faults import LOST, faults

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    import httpx

    from automarket.media.wav import WavLayout

_MOST_HEADER = 4096
_PIECE_BYTES = 64 * 1024


class Speech:
    """A text that is spoken. Close it after use.

    Attributes:
        sample_rate: in Hz.
    """

    def __init__(self, response: httpx.Response, layout: WavLayout, head: bytes, rest: AsyncIterator[bytes]) -> None:
        self.sample_rate = layout.sample_rate
        self._response = response
        self._layout = layout
        self._head = head
        self._rest = rest

    @classmethod
    async def begin(cls, response: httpx.Response) -> Speech:
        """Read the header of a WAV.

        Raises:
            BackendFailed: it is no WAV with 16-bit mono samples.
        """
        pieces = response.aiter_bytes(_PIECE_BYTES)
        head = b""
        async for piece in pieces:
            head += piece
            layout = wav_layout(head)
            if layout is not None and (layout.demuxer, layout.channels) == ("s16le", 1):
                return cls(response, layout, head, pieces)
            if len(head) >= _MOST_HEADER:
                break
        kind = response.headers.get("content-type", "nothing")
        raise BackendFailed(f"chatterbox answered with {kind} of {len(head):,} bytes where 16-bit mono WAV was due")

    async def samples(self) -> AsyncGenerator[bytes]:
        """Give the sound as it arrives: 16-bit little-endian mono samples.

        Raises:
            BackendFailed: the connection broke, or there are fewer samples than the header says.
        """
        try:
            with faults(str(self._response.url)):
                async with aclosing(samples_of(self._all(), self._layout)) as pieces:
                    async for piece in pieces:
                        yield piece
        except MediaInvalid as error:
            message = f"chatterbox gave half an answer: {error.message}"
            raise BackendFailed(message, metadata=LOST) from error

    async def close(self) -> None:
        """Take no more of it."""
        await self._response.aclose()

    async def _all(self) -> AsyncGenerator[bytes]:
        yield self._head
        async for piece in self._rest:
            yield piece
