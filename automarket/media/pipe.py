"""Sound cast through pipes, while it arrives."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.errors import InputEmpty, MediaInvalid, MediaLimit
from automarket.media.demands import without_sound
from automarket.media.encodings import audio_encoding
from automarket.media.graph import arguments_of, in_time, open_media, write_media
from automarket.media.info import AudioFormat
from automarket.media.lengths import ends_cleanly, mp3_seconds
from automarket.media.process import stream_ffmpeg
from automarket.media.wav import samples_of, wav_header, wav_layout

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from automarket.assets.formats import Format
    from automarket.media.info import CastSpec
    from automarket.media.limits import MediaLimits
    from automarket.media.wav import WavLayout

_NO_TRACK = "matches no streams"


_TOLERANCE = 0.25  # seconds, and the same in percent


async def cast_piped(
    head: bytes, chunks: AsyncIterator[bytes], found: Format, spec: CastSpec, limits: MediaLimits
) -> AsyncGenerator[bytes]:
    """Cast sound from a container that can be read without seeking; `chunks` begins with `head`.

    Raises as `cast_stream` does.
    """
    wanted = spec.audio or AudioFormat()
    begun = False
    due = mp3_seconds(head) if found.name == "mp3" else None
    layout = wav_layout(head) if found.name == "wav" else None
    plain = chunks if layout is None else samples_of(chunks, layout)
    arguments = _arguments(found, layout, wanted, limits)
    try:
        strict = layout is not None or ends_cleanly(found)
        async with aclosing(stream_ffmpeg(arguments, plain, limits=limits, strict=strict)) as pieces:
            async for piece in _measured(pieces, wanted, due, limits):
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


def _arguments(found: Format, layout: WavLayout | None, wanted: AudioFormat, limits: MediaLimits) -> list[str]:
    encoding = audio_encoding(wanted.container or "wav")
    # The size in a WAV header is not known before the end, so FFmpeg gives bare samples and the header is ours.
    muxer = "s16le" if encoding.muxer == "wav" else encoding.muxer
    options: dict[str, Any] = {"f": muxer, "acodec": encoding.encoder, "flush_packets": 1}
    options |= {"ar": wanted.sample_rate} if wanted.sample_rate else {}
    options |= {"ac": wanted.channels} if wanted.channels else {}
    bare: dict[str, Any] = {}
    if layout is not None:
        found = replace(found, demuxer=layout.demuxer)
        bare = {"ar": layout.sample_rate, "ac": layout.channels, "analyzeduration": 1}
    sound = in_time(open_media(None, found, limits=limits, **bare)["a:0"], found)
    return arguments_of(write_media(None, sound, limits=limits, **options))


async def _measured(
    pieces: AsyncIterator[bytes], wanted: AudioFormat, due: float | None, limits: MediaLimits
) -> AsyncGenerator[bytes]:
    """Pass bare samples on until they play for too long, and see in the end that they play for as long as is due."""
    bare = wanted.container in ("wav", "s16le")
    rate = 2 * (wanted.sample_rate or 0) * (wanted.channels or 0) if bare else 0
    total = 0
    async for piece in pieces:
        total += len(piece)
        if rate and total > limits.max_seconds * rate:
            raise MediaLimit(f"the media plays over {limits.max_seconds:.0f} s")
        yield piece
    if rate and due is not None and total and total / rate < due - _TOLERANCE - due * _TOLERANCE / 100:
        raise MediaInvalid(f"the media is cut off: {total / rate:.2f} s of {due:.2f} s of sound can be played")
