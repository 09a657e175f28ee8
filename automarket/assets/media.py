"""Sound, speech, pictures and videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket.assets.asset import Asset
from automarket.assets.metadata import MediaMetadata
from automarket.assets.roles import Role
from automarket.errors import MediaInvalid

if TYPE_CHECKING:
    from automarket.assets.body import Body


class Media(Asset):
    """Sound, pictures and videos; `metadata` says what is known of those that a model made."""

    __slots__ = ("metadata",)

    def __init__(self, body: Body, *, source_asset: Asset | None = None, metadata: MediaMetadata | None = None) -> None:
        super().__init__(body, source_asset=source_asset)
        self.metadata = metadata or MediaMetadata()


class Audio(Media):
    """Sound, or a video that is used for its sound."""

    __slots__ = ()

    _used_as = frozenset({Role.AUDIO, Role.SPEECH})

    @property
    def duration(self) -> float | None:
        """How long it plays, in seconds; None when it does not say. Read as `media_info` is."""
        return self.media_info.duration


class Speech(Audio):
    """Sound that carries spoken words."""

    __slots__ = ()


class Image(Media):
    """A still picture."""

    __slots__ = ()

    _used_as = frozenset({Role.IMAGE})

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels. Read as `media_info` is."""
        return _size(self)


class Video(Media):
    """Moving pictures, with or without sound."""

    __slots__ = ()

    _used_as = frozenset({Role.VIDEO, Role.AUDIO, Role.SPEECH})

    @property
    def duration(self) -> float | None:
        """How long it plays, in seconds; None when it does not say. Read as `media_info` is."""
        return self.media_info.duration

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels. Read as `media_info` is."""
        return _size(self)


def _size(asset: Asset) -> tuple[int, int]:
    video = asset.media_info.video
    if video is None:
        raise MediaInvalid(f"the {type(asset).__name__.lower()} has no picture")
    return video.width, video.height
