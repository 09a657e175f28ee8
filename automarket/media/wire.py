"""Media values to and from the contract's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import duration_pb2

from automarket.assets.roles import Role
from automarket.errors import CastInvalid
from automarket.media.info import AudioFormat, AudioInfo, CastSpec, ImageFormat, MediaInfo, VideoInfo
from automarket.v1 import media_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable


def to_duration(seconds: float) -> duration_pb2.Duration:
    """Give seconds as a Duration."""
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration


def to_seconds(duration: duration_pb2.Duration) -> float:
    """Give a Duration in seconds."""
    return duration.ToNanoseconds() / 1e9


def roles_to_proto(roles: Iterable[Role]) -> list[media_pb2.Role.ValueType]:
    """Give roles as enum values."""
    return [media_pb2.Role.ValueType(role.number) for role in roles]


def roles_from_proto(numbers: Iterable[int]) -> frozenset[Role]:
    """Give the roles of enum values; unknown ones are left out."""
    return frozenset(role for role in map(Role.from_number, numbers) if role is not None)


def info_to_proto(info: MediaInfo) -> media_pb2.MediaInfo:
    """Give media facts as a message."""
    message = media_pb2.MediaInfo(format=info.format)
    if info.duration is not None:
        message.duration.CopyFrom(to_duration(info.duration))
    if (audio := info.audio) is not None:
        message.audio.CopyFrom(
            media_pb2.AudioInfo(codec=audio.codec, sample_rate_hertz=audio.sample_rate, channels=audio.channels)
        )
    if (video := info.video) is not None:
        message.video.CopyFrom(
            media_pb2.VideoInfo(codec=video.codec, width=video.width, height=video.height, frame_rate=video.frame_rate)
        )
    return message


def info_from_proto(message: media_pb2.MediaInfo) -> MediaInfo:
    """Give the media facts of a message."""
    audio, video = message.audio, message.video
    return MediaInfo(
        format=message.format,
        duration=to_seconds(message.duration) if message.HasField("duration") else None,
        audio=AudioInfo(audio.codec, audio.sample_rate_hertz, audio.channels) if message.HasField("audio") else None,
        video=VideoInfo(video.codec, video.width, video.height, video.frame_rate)
        if message.HasField("video")
        else None,
    )


def audio_format_to_proto(wanted: AudioFormat) -> media_pb2.AudioFormat:
    """Give an audio format as a message."""
    return media_pb2.AudioFormat(
        container=wanted.container or "",
        sample_rate_hertz=wanted.sample_rate or 0,
        channels=wanted.channels or 0,
    )


def audio_format_from_proto(message: media_pb2.AudioFormat) -> AudioFormat:
    """Give the audio format of a message."""
    return AudioFormat(message.container or None, message.sample_rate_hertz or None, message.channels or None)


def image_format_to_proto(wanted: ImageFormat) -> media_pb2.ImageFormat:
    """Give an image format as a message."""
    return media_pb2.ImageFormat(
        container=wanted.container or "", max_width=wanted.max_width or 0, max_height=wanted.max_height or 0
    )


def image_format_from_proto(message: media_pb2.ImageFormat) -> ImageFormat:
    """Give the image format of a message."""
    return ImageFormat(message.container or None, message.max_width or None, message.max_height or None)


def spec_to_proto(spec: CastSpec) -> media_pb2.CastSpec:
    """Give a cast spec as a message."""
    message = media_pb2.CastSpec(role=media_pb2.Role.ValueType(spec.role.number))
    if spec.audio is not None:
        message.audio.CopyFrom(audio_format_to_proto(spec.audio))
    if spec.image is not None:
        message.image.CopyFrom(image_format_to_proto(spec.image))
    if spec.frame_time is not None:
        message.frame_time.CopyFrom(to_duration(spec.frame_time))
    return message


def spec_from_proto(message: media_pb2.CastSpec) -> CastSpec:
    """Give the cast spec of a message.

    Raises:
        CastInvalid: the role is missing, or the format is not of the kind that fits it.
    """
    role = Role.from_number(message.role)
    if role is None:
        raise CastInvalid("the cast names no role", fields={"spec.role": "required"})
    kind = message.WhichOneof("format")
    if (kind == "audio" and role not in (Role.AUDIO, Role.SPEECH)) or (kind == "image" and role != Role.IMAGE):
        raise CastInvalid(f"{role} takes no {kind} format", fields={f"spec.{kind}": f"does not fit role {role}"})
    return CastSpec(
        role,
        audio=audio_format_from_proto(message.audio) if kind == "audio" else None,
        image=image_format_from_proto(message.image) if kind == "image" else None,
        frame_time=to_seconds(message.frame_time) if message.HasField("frame_time") else None,
    )
