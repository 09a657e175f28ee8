"""Pictures that are larger than a vendor takes are made smaller; other media is refused before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.assets.roles import Role
from automarket.errors import InputTooLarge
from automarket.media.cast import cast_file
from automarket.media.info import CastSpec, ImageFormat
from automarket.media.probe import probe

if TYPE_CHECKING:
    from pathlib import Path

_SHRINK = (0.9, 0.75, 0.6, 0.45, 0.3, 0.2)
JPEG = "image/jpeg"


@dataclass(frozen=True, slots=True)
class PictureLimit:
    """What a vendor takes of a picture; None is no bound.

    Attributes:
        max_bytes: its size.
        max_side: of its width and height, in pixels.
    """

    max_bytes: int | None = None
    max_side: int | None = None


async def fitted(file: Path, media_type: str, limit: PictureLimit, folder: Path) -> tuple[Path, str]:
    """Give a picture that a vendor takes, and its media type: the file itself, or a smaller one in `folder`.

    One with too many pixels is scaled down, in proportion; one with too many bytes becomes a JPEG, scaled down until
    it fits.

    Raises:
        InputTooLarge: it cannot be made small enough.
        MediaInvalid: it is no picture that can be read.
    """
    fits = limit.max_bytes is None or file.stat().st_size <= limit.max_bytes
    if fits and limit.max_side is None:
        return file, media_type
    video = (await probe(file)).video
    largest = max(video.width, video.height) if video is not None else 0
    if fits and largest <= (limit.max_side or largest):
        return file, media_type
    side = min(largest, limit.max_side or largest)
    if fits:
        made = await _scaled(file, None, side, folder)
        if limit.max_bytes is None or made.stat().st_size <= limit.max_bytes:
            return made, media_type
    for share in (1.0, *_SHRINK):
        made = await _scaled(file, "jpeg", max(1, round(side * share)), folder)
        if limit.max_bytes is None or made.stat().st_size <= limit.max_bytes:
            return made, JPEG
    raise InputTooLarge(f"the picture cannot be made smaller than the {limit.max_bytes:,} bytes that the vendor takes")


async def _scaled(file: Path, container: str | None, side: int, folder: Path) -> Path:
    return await cast_file(file, CastSpec(Role.IMAGE, image=ImageFormat(container, side, side)), folder)
