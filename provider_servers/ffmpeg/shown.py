"""How large a picture or video is when it is shown: turned upright, with square pixels. Found by decoding one picture.

What a container says is not enough: telephones store films lying on their side, and some formats have pixels that are
not square. FFmpeg turns and scales while it decodes, so the picture that comes out tells.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.errors import InputUnsuitable, MediaInvalid
from automarket.media.graph import arguments_of, open_media, write_media
from automarket.media.probe import examine
from automarket.media.process import stream_ffmpeg
from provider_servers.ffmpeg.layout import Shown
from provider_servers.ffmpeg.work import LIMITS
from provider_servers.runtime import Resolution

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from automarket.assets.formats import Format
    from automarket.media.info import MediaInfo

_PGM_HEADER = re.compile(rb"P5\s+(\d+)\s+(\d+)\s")


@dataclass(frozen=True, slots=True)
class Visible:
    """A file with a picture: where it is, what it is, and how it is shown."""

    path: Path
    format: Format
    info: MediaInfo
    shown: Shown

    def open(self) -> Any:
        """Give FFmpeg-python's node of the file."""
        return open_media(self.path, self.format, limits=LIMITS)


def squared(picture: Any, *, even: bool) -> Any:
    """Give a stream of FFmpeg-python with square pixels; `even` makes both lengths even, as H.264 in 4:2:0 needs."""
    if even:
        scaled = picture.filter("scale", "max(2,trunc(iw*sar/2)*2)", "max(2,trunc(ih/2)*2)")
    else:
        scaled = picture.filter("scale", "max(1,round(iw*sar))", "ih")
    return scaled.filter("setsar", "1")


async def look_at(path: Path, *, what: str, even: bool = False) -> Visible:
    """Find out how a file is shown.

    Args:
        path: the picture or video.
        what: what to call it in an error.
        even: as for `squared`.

    Raises:
        InputUnsuitable: it has no picture.
        MediaInvalid, MediaRefused, MediaLimit: it cannot be read.
    """
    found = await examine(path, limits=LIMITS)
    info = found.info
    if info.video is None:
        raise InputUnsuitable(f"{what} has no picture", hint="give a picture or a video")
    size = await _decoded_size(path, found.format, what=what, even=even)
    rate = info.video.frame_rate
    still = rate == 0 or (info.duration is not None and info.duration * rate < 2)
    return Visible(path, found.format, info, Shown(size, still, None if still else info.duration))


async def _decoded_size(path: Path, found: Format, *, what: str, even: bool) -> Resolution:
    picture = squared(open_media(path, found, limits=LIMITS)["v:0"], even=even)
    output = write_media(None, picture, limits=LIMITS, **{"frames:v": 1, "f": "image2pipe", "vcodec": "pgm"})
    head = b""
    async with aclosing(stream_ffmpeg(arguments_of(output), limits=LIMITS)) as pieces:
        async for piece in pieces:
            head += piece
            if (size := _PGM_HEADER.match(head)) is not None:
                return Resolution(int(size[1]), int(size[2]))
    raise MediaInvalid(f"{what} has no picture that can be decoded", hint="play it to see whether it is whole")
