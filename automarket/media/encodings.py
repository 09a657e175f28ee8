"""How FFmpeg writes the containers that casts can produce."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from automarket.errors import CastInvalid

MIN_RATE, MAX_RATE = 1_000, 384_000
MAX_CHANNELS = 8
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_RATES = (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way to write media.

    Attributes:
        muxer: FFmpeg's writer of the container.
        encoder: FFmpeg's encoder.
        codec: what the result's codec is called.
        extension: of the result's file name.
        options: further output options.
        rates: sample rates that the codec takes; empty means any.
        channels: most channels that the codec takes.
        pipes: it can be written to a pipe.
    """

    muxer: str
    encoder: str
    codec: str
    extension: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    rates: tuple[int, ...] = ()
    channels: int = MAX_CHANNELS
    pipes: bool = True


AUDIO: dict[str, Encoding] = {
    # Over 4 GiB a plain WAV header cannot tell the size.
    "wav": Encoding("wav", "pcm_s16le", "pcm_s16le", "wav", {"rf64": "auto"}),
    "s16le": Encoding("s16le", "pcm_s16le", "pcm_s16le", "raw"),
    # In a pipe FLAC cannot say how long it plays.
    "flac": Encoding("flac", "flac", "flac", "flac", pipes=False),
    "mp3": Encoding("mp3", "libmp3lame", "mp3", "mp3", rates=_MP3_RATES, channels=2),
    "ogg": Encoding("ogg", "libvorbis", "vorbis", "ogg"),
    "opus": Encoding("opus", "libopus", "opus", "opus", rates=_OPUS_RATES),
    "m4a": Encoding("ipod", "aac", "aac", "m4a", {"movflags": "+faststart"}, rates=_AAC_RATES, pipes=False),
    "aac": Encoding("adts", "aac", "aac", "aac", rates=_AAC_RATES),
}
IMAGES: dict[str, Encoding] = {
    "png": Encoding("image2", "png", "png", "png", {"update": 1}),
    "jpeg": Encoding("image2", "mjpeg", "mjpeg", "jpg", {"update": 1, "q:v": 2, "strict": "unofficial"}),
    "webp": Encoding("webp", "libwebp", "webp", "webp", {"quality": 90}),
}


def audio_encoding(container: str) -> Encoding:
    """Give how sound is written in a container. Raises CastInvalid for one that casts do not produce."""
    if container not in AUDIO:
        raise _unknown("audio", container, AUDIO)
    return AUDIO[container]


def image_encoding(container: str) -> Encoding:
    """Give how a picture is written in a container. Raises CastInvalid for one that casts do not produce."""
    if container not in IMAGES:
        raise _unknown("image", container, IMAGES)
    return IMAGES[container]


def _unknown(kind: str, container: str, known: dict[str, Encoding]) -> CastInvalid:
    fields = {f"spec.{kind}.container": f"unknown; one of {', '.join(known)}"}
    return CastInvalid(f"no cast produces {kind} as {container[:40]!r}", hint=f"use {', '.join(known)}", fields=fields)
