"""Making index and content agree again: after a crash, a lost index, or files that were put back from a backup."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from asset_store.describe import describe
from automarket.digests import digest_file
from automarket.stored import StoredAsset, now

if TYPE_CHECKING:
    from asset_store.describe import Facts
    from asset_store.store import Store

log = logging.getLogger("asset_store")


def forget_lost(store: Store) -> set[str]:
    """Drop from the index what has no bytes; give the digests whose bytes the index does not know. Blocks."""
    there = set(store.files.digests())
    known = store.index.digests(corrupt=False)
    for digest in known - there:
        log.warning("asset has no bytes any more", extra={"digest": digest})
        store.index.remove(digest)
    return there - known


async def adopt(store: Store, digests: set[str]) -> None:
    """Take bytes into the index that it does not know, after checking them. Lineage and file names are lost."""
    for digest in sorted(digests):
        path = store.files.path_of(digest)
        if not path.exists():  # deleted meanwhile
            continue
        if await asyncio.to_thread(digest_file, path) != digest:
            log.error("file is not what its name says", extra={"digest": digest})
            await asyncio.to_thread(store.files.set_aside, digest)
            continue
        facts = await describe(path)
        await asyncio.to_thread(_add, store, digest, facts)
        log.info("took bytes into the index", extra={"digest": digest})


def _add(store: Store, digest: str, facts: Facts) -> None:
    status = store.files.path_of(digest).stat()
    created = datetime.fromtimestamp(status.st_mtime, UTC)
    store.index.add(
        StoredAsset(digest, status.st_size, facts.media_type, facts.roles, created, now(), facts.media_info)
    )
    store.verifier.trust(digest)
