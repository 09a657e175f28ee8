"""Taking pictures out of a video, a few moments in one run of FFmpeg, so that the first ones come early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.errors import MediaInvalid
from automarket.media.encodings import IMAGES
from automarket.media.graph import arguments_of, open_media, write_media
from automarket.media.process import run_ffmpeg
from provider_servers.ffmpeg.work import LIMITS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path

    from automarket.assets.formats import Format

DEFAULT_CONTAINER = "png"
BATCH = 8
_STEPS_BACK = (0.1, 1.0, 10.0, 60.0)


async def take_pictures(
    video: Path, found: Format, moments: Sequence[float], form: Mapping[str, Any], folder: Path
) -> AsyncGenerator[Path]:
    """Give one picture file for each moment, in order.

    A moment after the last picture (sound often goes on a little longer) gives the last one, as players show it.

    Args:
        video: the video.
        found: its format.
        moments: seconds from the start.
        form: the option `format`: container, max_width, max_height.
        folder: where to write the pictures.

    Raises:
        MediaInvalid: no picture can be read there.
    """
    for begin in range(0, len(moments), BATCH):
        batch = moments[begin : begin + BATCH]
        paths = [folder / f"picture-{begin + number}" for number in range(len(batch))]
        await run_ffmpeg(_arguments(video, found, batch, form, paths), limits=LIMITS)
        for moment, path in zip(batch, paths, strict=True):
            if not _written(path):
                await _take_earlier(video, found, moment, form, path)
            yield path


async def _take_earlier(video: Path, found: Format, moment: float, form: Mapping[str, Any], path: Path) -> None:
    for step in _STEPS_BACK:
        await run_ffmpeg(_arguments(video, found, [max(0.0, moment - step)], form, [path]), limits=LIMITS)
        if _written(path):
            return
    raise MediaInvalid(f"no picture can be read at {moment:.2f} s", hint="play the video to see whether it is whole")


def _written(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _arguments(
    video: Path, found: Format, moments: Sequence[float], form: Mapping[str, Any], paths: Sequence[Path]
) -> list[str]:
    encoding = IMAGES[form.get("container", DEFAULT_CONTAINER)]
    look = {"f": encoding.muxer, "vcodec": encoding.encoder, **encoding.options, "frames:v": 1, "vf": _filters(form)}
    return arguments_of(
        *(
            write_media(path, open_media(video, found, limits=LIMITS, **_seek(moment))["v:0"], limits=LIMITS, **look)
            for moment, path in zip(moments, paths, strict=True)
        )
    )


def _seek(moment: float) -> dict[str, str]:
    return {"ss": f"{moment:.6f}"} if moment > 0 else {}  # a seek to 0 would need an index, which not all files have


def _filters(form: Mapping[str, Any]) -> str:
    """Make pixels square, then scale down, in proportion, to the bounds that are set."""
    width, height = form.get("max_width", "iw"), form.get("max_height", "ih")
    bound = f"w='min({width},iw)':h='min({height},ih)':force_original_aspect_ratio=decrease"
    return f"scale=w='max(1,round(iw*sar))':h=ih,setsar=1,scale={bound}"
