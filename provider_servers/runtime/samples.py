"""The samples of a WAV stream, without its header."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import MediaInvalid
from automarket.media.head import with_head
from automarket.media.wav import samples_of, wav_layout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

MAX_HEADER_BYTES = 64 * 1024


async def samples(wav: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Give the samples of a WAV stream as they arrive, in whole frames.

    Raises:
        MediaInvalid: it is no WAV stream, or ends early.
    """
    head, layout = b"", None
    async with aclosing(wav):
        async for chunk in wav:
            head += chunk
            layout = wav_layout(head)
            if layout is not None or len(head) > MAX_HEADER_BYTES:
                break
        if layout is None:
            raise MediaInvalid("the sound is no whole WAV stream", hint="send it again")
        async with aclosing(samples_of(with_head(head, wav), layout)) as pieces:
            async for piece in pieces:
                yield piece
