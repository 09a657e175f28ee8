"""What media is and what it has to become, as plain values. Protobuf forms are in `automarket.media.wire`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automarket.assets.roles import Role


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Facts of a sound track: FFmpeg's codec name, sample rate in Hz, number of channels."""

    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """Facts of a picture track or a still picture: FFmpeg's codec name, pixels, pictures a second (0 for a still)."""

    codec: str
    width: int
    height: int
    frame_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """Facts of one piece of media: container, play time in seconds, first sound track, first picture track."""

    format: str
    duration: float | None = None
    audio: AudioInfo | None = None
    video: VideoInfo | None = None


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """What sound has to look like; None leaves a property as it is. `container` "s16le" is bare samples."""

    container: str | None = None
    sample_rate: int | None = None
    channels: int | None = None


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """What a picture has to look like; None leaves a property as it is. It is only ever scaled down, in proportion."""

    container: str | None = None
    max_width: int | None = None
    max_height: int | None = None


@dataclass(frozen=True, slots=True)
class CastSpec:
    """What a cast has to produce.

    Attributes:
        role: the role that the result plays.
        audio: for audio and speech.
        image: for images.
        frame_time: for video to image: seconds from the start; None takes the first picture.
    """

    role: Role
    audio: AudioFormat | None = None
    image: ImageFormat | None = None
    frame_time: float | None = None

    def key(self) -> str:
        """Give a name that is equal exactly for equal specs: what caches are keyed by, beside the digest."""
        audio = self.audio or AudioFormat()
        image = self.image or ImageFormat()
        facts = {
            "container": audio.container or image.container,
            "rate": audio.sample_rate,
            "channels": audio.channels,
            "width": image.max_width,
            "height": image.max_height,
            "time": None if self.frame_time is None else f"{self.frame_time:.3f}",
        }
        return ";".join([self.role, *(f"{name}={value}" for name, value in facts.items() if value is not None)])
