"""Casts in a user's own program, kept in the user's cache folder."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from automarket.assets.asset import Asset
from automarket.assets.body import Body
from automarket.assets.cache import CastCache
from automarket.assets.formats import recognise_file
from automarket.assets.media import Audio, Image, Speech, Video
from automarket.assets.roles import Role, unsuitable
from automarket.errors import CastInvalid
from automarket.media.cast import cast_file, needs_cast
from automarket.media.demands import check_spec, check_suitable
from automarket.media.info import AudioFormat, CastSpec, ImageFormat

AssetT = TypeVar("AssetT", bound=Asset)


async def to_audio(asset: Asset, sample_rate: int | None, channels: int | None, container: str | None) -> Audio:
    """Give an asset as sound."""
    return await _cast(asset, CastSpec(Role.AUDIO, audio=AudioFormat(container, sample_rate, channels)), Audio)


async def to_speech(asset: Asset, sample_rate: int | None, channels: int | None, container: str | None) -> Speech:
    """Give an asset as speech."""
    return await _cast(asset, CastSpec(Role.SPEECH, audio=AudioFormat(container, sample_rate, channels)), Speech)


async def to_image(
    asset: Asset, frame_time: float | None, max_width: int | None, max_height: int | None, container: str | None
) -> Image:
    """Give an asset as a picture."""
    wanted = ImageFormat(container, max_width, max_height)
    return await _cast(asset, CastSpec(Role.IMAGE, image=wanted, frame_time=frame_time), Image)


async def to_video(asset: Asset) -> Video:
    """Give an asset as video."""
    return await _cast(asset, CastSpec(Role.VIDEO), Video)


async def _cast(asset: Asset, spec: CastSpec, cls: type[AssetT]) -> AssetT:
    check_spec(spec)
    if spec.audio is not None and spec.audio.container == "s16le":
        raise CastInvalid("bare samples do not say what they are, so they are no asset", hint='use container="wav"')
    if not asset.can_play(spec.role):
        if Role.VIDEO not in asset.roles:
            raise unsuitable(asset.roles, spec.role, what=f"the {type(asset).__name__.lower()}")
        check_suitable(asset.body.format, asset.body.info, spec.role)
    cache = CastCache()
    digest = await asyncio.to_thread(lambda: asset.digest)
    made = await asyncio.to_thread(cache.find, digest, spec)
    if made is None:
        info = await asset.inspect()
        check_suitable(asset.body.format, info, spec.role)
        if not needs_cast(info, spec):
            return asset if type(asset) is cls else cls(asset.body, source_asset=asset)
        source = await asyncio.to_thread(asset.body.as_file)
        with cache.folder() as folder:
            result = await cast_file(source, spec, folder)
            made = await asyncio.to_thread(cache.keep, result, digest, spec)
    return cls(Body(made, await asyncio.to_thread(recognise_file, made)), source_asset=asset)
