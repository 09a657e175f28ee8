"""Casts next to the bytes: each is made once, and found made after that."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from asset_store.describe import describe_cast
from asset_store.tasks import uninterrupted
from asset_store.verify import unknown
from automarket.digests import digest_file
from automarket.errors import AssetCorrupt, AssetUnknown
from automarket.media.cast import cast_file
from automarket.media.demands import check_spec, needs_cast
from automarket.media.probe import probe
from automarket.rpc import metrics
from automarket.stored import CastResult, Lineage, StoredAsset, now

if TYPE_CHECKING:
    from pathlib import Path

    from asset_store.describe import Facts
    from asset_store.files import Files
    from asset_store.index import Index
    from asset_store.space import Space
    from asset_store.verify import Verifier
    from automarket.media.info import CastSpec


class Caster:
    """Makes assets play roles. As many casts run at once as there are processors; equal ones run once."""

    def __init__(self, files: Files, index: Index, space: Space, verifier: Verifier) -> None:
        self._files = files
        self._index = index
        self._space = space
        self._verifier = verifier
        self._places = asyncio.Semaphore(os.cpu_count() or 1)
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def cast(self, digest: str, spec: CastSpec) -> CastResult:
        """Give the asset that plays the role: the asset itself, a cast that was made, or a new one.

        Raises:
            AssetUnknown: the store lacks it.
            AssetCorrupt: its bytes are damaged.
            AutoMarketError: it cannot be cast, as `automarket.media.cast` says, or there is no room.
        """
        check_spec(spec)
        begin = time.monotonic()
        source = await self._whole(digest)
        turn = self._turns.setdefault((digest, spec.key()), asyncio.Lock())
        async with turn:
            asset = source if _plays(source, spec) else await self._made(digest, spec)
            cached = asset is not None
            if asset is None:
                async with self._places:
                    asset = await self._make(source, spec)
        self._index.touch([digest, asset.digest])
        elapsed = time.monotonic() - begin
        metrics.casts.add(1, {"role": spec.role, "cached": cached})
        metrics.cast_duration.record(elapsed, {"role": spec.role, "cached": cached})
        return CastResult(asset, cached, elapsed)

    async def _whole(self, digest: str) -> StoredAsset:
        (await self._verifier.open(digest)).close()
        entry = await asyncio.to_thread(self._index.find, digest)
        if entry is None:  # deleted at this moment
            raise unknown(digest)
        return entry.asset

    async def _made(self, digest: str, spec: CastSpec) -> StoredAsset | None:
        result = await asyncio.to_thread(self._index.cast_result, digest, spec.key())
        try:
            return await self._whole(result) if result else None
        except (AssetUnknown, AssetCorrupt):
            return None  # evicted, deleted or damaged: it can be made again

    async def _make(self, source: StoredAsset, spec: CastSpec) -> StoredAsset:
        content = self._files.path_of(source.digest)
        folder = await asyncio.to_thread(self._files.make_workdir)
        try:
            path = await cast_file(content, spec, folder)
            if path == content:  # it plays the role as it is
                return source
            facts = await describe_cast(path, spec, source.media_info or await probe(content))
            return await uninterrupted(asyncio.to_thread(self._keep, path, source.digest, spec, facts))
        finally:
            await uninterrupted(asyncio.to_thread(self._files.remove_workdir, folder))

    def _keep(self, path: Path, source: str, spec: CastSpec, facts: Facts) -> StoredAsset:
        size = path.stat().st_size
        digest = digest_file(path)
        moment = now()
        lineage = Lineage("cast", (source,), cast=spec)
        asset = StoredAsset(
            digest, size, facts.media_type, facts.roles, moment, moment, facts.media_info, lineage, derived=True
        )
        self._space.reserve(size, on_disk=size)
        try:
            self._files.keep(path, digest)
            self._verifier.trust(digest)
            found = self._index.add(asset)
            self._index.add_cast(source, spec.key(), digest)
        finally:
            self._space.release(size)
        return found


def _plays(asset: StoredAsset, spec: CastSpec) -> bool:
    """Tell whether an asset plays the role as it is, in the wanted format."""
    return asset.can_play(spec.role) and asset.media_info is not None and not needs_cast(asset.media_info, spec)
