"""Sound cast through pipes, while it arrives."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.errors import InputEmpty, MediaInvalid, MediaLimit
from automarket.media.demands import without_sound
from automarket.media.encodings import audio_encoding
from automarket.media.graph import arguments_of, open_media, write_media
from automarket.media.info import AudioFormat
from automarket.media.process import stream_ffmpeg
from automarket.media.wav import wav_header

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from automarket.assets.formats import Format
    from automarket.media.info import CastSpec
    from automarket.media.limits import MediaLimits

_NO_TRACK = "matches no streams"


async def cast_piped(
    chunks: AsyncIterator[bytes], found: Format, spec: CastSpec, limits: MediaLimits
) -> AsyncGenerator[bytes]:
    """Cast sound from a container that can be read without seeking. Raises as `cast_stream` does."""
    wanted = spec.audio or AudioFormat()
    begun = False
    try:
        async with aclosing(stream_ffmpeg(_arguments(found, wanted, limits), chunks, limits=limits)) as pieces:
            async for piece in _bounded(pieces, wanted, limits):
                if not begun and wanted.container == "wav":
                    yield wav_header(wanted.sample_rate or 0, wanted.channels or 0)
                begun = True
                yield piece
    except MediaInvalid as error:
        if Role.VIDEO in found.roles and any(_NO_TRACK in line for line in error.log_lines):
            raise without_sound(spec.role) from None
        raise
    if not begun:
        raise InputEmpty("the sound plays for 0 s", hint="check how it was recorded")


def _arguments(found: Format, wanted: AudioFormat, limits: MediaLimits) -> list[str]:
    encoding = audio_encoding(wanted.container or "wav")
    # The size in a WAV header is not known before the end, so FFmpeg gives bare samples and the header is ours.
    muxer = "s16le" if encoding.muxer == "wav" else encoding.muxer
    options: dict[str, Any] = {"f": muxer, "acodec": encoding.encoder, "flush_packets": 1}
    options |= {"ar": wanted.sample_rate} if wanted.sample_rate else {}
    options |= {"ac": wanted.channels} if wanted.channels else {}
    sound = open_media(None, found, limits=limits)["a:0"]
    return arguments_of(write_media(None, sound, limits=limits, **options))


async def _bounded(pieces: AsyncIterator[bytes], wanted: AudioFormat, limits: MediaLimits) -> AsyncGenerator[bytes]:
    """Pass pieces on until they play for too long, where their length is known."""
    bare = wanted.container in ("wav", "s16le") and wanted.sample_rate and wanted.channels
    most = limits.max_seconds * 2 * (wanted.sample_rate or 0) * (wanted.channels or 0) if bare else None
    total = 0
    async for piece in pieces:
        total += len(piece)
        if most is not None and total > most:
            raise MediaLimit(f"the media plays over {limits.max_seconds:.0f} s")
        yield piece
