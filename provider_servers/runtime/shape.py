"""Speech in the form that the caller wants: WAV as it is made, or any other through FFmpeg as it flows."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from automarket.assets.roles import Role
from automarket.media.cast import cast_stream
from automarket.media.info import AudioInfo, CastSpec, MediaInfo
from automarket.media.wav import wav_header
from provider_servers.runtime.events import Media
from provider_servers.runtime.sound_format import sound_media_type

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.media.info import AudioFormat

BARE = "s16le"


def as_output(
    samples: AsyncGenerator[bytes],
    sample_rate: int,
    form: AudioFormat,
    *,
    single: bool = False,
    data_bytes: int | None = None,
) -> Media:
    """Give the output `speech`.

    Args:
        samples: 16-bit little-endian mono samples, piece by piece.
        sample_rate: in Hz.
        form: what the caller wants; WAV where it names no container.
        single: there is only one piece.
        data_bytes: size of all samples, when it is known before they come.
    """
    container = form.container or "wav"
    as_made = form.sample_rate in (None, sample_rate) and form.channels in (None, 1)
    info = None
    if container == BARE:
        info = MediaInfo(BARE, audio=AudioInfo("pcm_s16le", form.sample_rate or sample_rate, form.channels or 1))
        if as_made:
            return Media("speech", sound_media_type(BARE), samples, info)
    sound = as_wav(samples, sample_rate, single=single, data_bytes=data_bytes)
    if container != "wav":
        sound = cast_stream(sound, CastSpec(Role.SPEECH, audio=replace(form, container=container)))
    elif not as_made:
        exact = replace(form, container="wav", sample_rate=form.sample_rate or sample_rate, channels=form.channels or 1)
        sound = cast_stream(sound, CastSpec(Role.SPEECH, audio=exact))
    return Media("speech", sound_media_type(container), sound, info)


async def as_wav(
    samples: AsyncGenerator[bytes], sample_rate: int, *, single: bool = False, data_bytes: int | None = None
) -> AsyncGenerator[bytes]:
    """Give a WAV file in pieces.

    Args:
        samples: 16-bit little-endian mono samples, in pieces of any size.
        sample_rate: in Hz.
        single: there is only one piece, so that its size can stand in the header.
        data_bytes: size of all samples, when it is known before they come.
    """
    begun = False
    async with aclosing(samples):
        async for piece in samples:
            if not begun:
                yield wav_header(sample_rate, 1, len(piece) if single else data_bytes)
                begun = True
            yield piece
