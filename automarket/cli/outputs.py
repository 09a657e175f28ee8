"""Writing what a transform made into files."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automarket.errors import AutoMarketError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from automarket.assets import Asset
    from automarket.client.descriptors import ModelInfo
    from automarket.client.events import Segment

_NUMBER = re.compile(r"%0?\d*d")
_CONTAINERS = {
    **{name: name for name in ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "png", "jpeg", "webp")},
    "jpg": "jpeg",
}
_SOUND_OR_PICTURE = ("audio", "speech", "image")


def format_for(out: str, model: ModelInfo) -> dict[str, Any]:
    """Give the `format` option that makes the model write what the file's name says; empty when there is none."""
    container = container_of(out)
    properties = cast("dict[str, Any]", (model.options_schema or {}).get("properties") or {})
    parts = cast("dict[str, Any]", cast("dict[str, Any]", properties.get("format") or {}).get("properties") or {})
    taken = cast("list[str]", cast("dict[str, Any]", parts.get("container") or {}).get("enum") or [container])
    if container is None or "format" not in properties or container not in taken:
        return {}
    if not any(output.role in _SOUND_OR_PICTURE for output in model.outputs):
        return {}
    return {"format": {"container": container}}


def container_of(out: str) -> str | None:
    """Give the container of sound or a picture that a file's name says; None when it says none."""
    return _CONTAINERS.get(Path(out).suffix.lower().removeprefix("."))


async def as_named(asset: Asset, path: Path) -> Asset:
    """Give sound or a picture in the form that the file's name says; what cannot be cast here stays as it is."""
    from automarket.assets import Audio, Image

    container = container_of(str(path))
    if container is None or container in (asset.format.name, *asset.format.extensions):
        return asset
    try:
        if isinstance(asset, Image) and container in ("png", "jpeg", "webp"):
            return await asset.as_image(container=container)
        if isinstance(asset, Audio) and container not in ("png", "jpeg", "webp"):
            return await asset.as_audio(container=container)
    except AutoMarketError:  # FFmpeg is not here, or cannot: the caller is told what the file holds
        pass
    return asset


def paths_for(out: str, assets: Sequence[Asset]) -> list[Path]:
    """Give the file of each asset: OUT itself, OUT with numbers, or files in the folder OUT.

    Raises:
        InvalidRequestError: OUT is standard output and there are several assets.
    """
    path = Path(out).expanduser()
    if _NUMBER.search(path.name):
        return [path.with_name(path.name % number) for number in range(1, len(assets) + 1)]
    if path.is_dir() or out.endswith("/"):
        return [path / f"{number:03d}{_ending(asset)}" for number, asset in enumerate(assets, 1)]
    if len(assets) == 1:
        return [path]
    if out == "-":
        raise InvalidRequestError(f"there are {len(assets)} outputs", hint="name a folder: -o frames/")
    if path.suffix:
        return [path.with_stem(f"{path.stem}-{number:03d}") for number in range(1, len(assets) + 1)]
    return [path / f"{number:03d}{_ending(asset)}" for number, asset in enumerate(assets, 1)]


def _ending(asset: Asset) -> str:
    return f".{asset.format.extensions[0]}"


async def write_asset(asset: Asset, path: Path) -> None:
    """Write an asset into a file; the file is there whole or not at all."""
    await write_chunks(asset.chunks(), path)


async def write_chunks(chunks: AsyncIterator[bytes], path: Path) -> None:
    """Write bytes into a file as they come; "-" is standard output."""
    if str(path) == "-":
        async for chunk in chunks:
            await asyncio.to_thread(sys.stdout.buffer.write, chunk)
        await asyncio.to_thread(sys.stdout.buffer.flush)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
        return
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with unfinished.open("wb") as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)
        unfinished.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            unfinished.unlink()


def subtitles(segments: Sequence[Segment], suffix: str) -> str:
    """Give segments as SubRip (".srt") or WebVTT (".vtt")."""
    comma = "," if suffix == ".srt" else "."
    cues = (
        f"{number}\n{_stamp(segment.start, comma)} --> {_stamp(segment.end, comma)}\n{segment.text}\n"
        for number, segment in enumerate(segments, 1)
    )
    return ("" if suffix == ".srt" else "WEBVTT\n\n") + "\n".join(cues)


def _stamp(moment: float, comma: str) -> str:
    milliseconds = round(moment * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{comma}{milliseconds % 1000:03d}"
