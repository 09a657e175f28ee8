"""The asset store's own folder, where store and program are on the same machine: bytes pass by file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from automarket.assets.copying import copy_in_steps, link
from automarket.client.transfer import ask
from automarket.digests import check_digest
from automarket.errors import MethodUnknown, UnavailableError, UploadUnknown
from automarket.stored import from_proto
from automarket.v1 import asset_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from automarket.client.sources import Source
    from automarket.stored import StoredAsset
    from automarket.v1.asset_service_pb2_grpc import AssetServiceAsyncStub

    Progress: TypeAlias = Callable[[int, int], None]

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the store says that its files are, and the identity that its folder has to have."""

    path: Path
    store_id: str

    def is_here(self) -> bool:
        """Tell whether that folder of this machine is the store's. Blocks for a moment."""
        try:
            return bool(self.store_id) and (self.path / "id").read_text(encoding="ascii") == self.store_id
        except (OSError, ValueError):
            return False

    def content(self, digest: str) -> Path:
        """Give where the bytes of an asset are."""
        digits = check_digest(digest)
        return self.path / "content" / digits[:2] / digits


class Nearby:
    """Passes files to and from a store whose folder is on this machine.

    Args:
        stub: the store.
        above: only files with more bytes; None passes none.
    """

    def __init__(self, stub: AssetServiceAsyncStub, above: int | None) -> None:
        self._stub = stub
        self._above = above
        self._never = above is None

    def is_for(self, size: int | None) -> bool:
        """Tell whether so many bytes are to pass by file."""
        return not self._never and self._above is not None and (size or 0) > self._above

    async def file(self, digest: str) -> Path | None:
        """Give the store's file of an asset where it is here and may be read. It is not checked."""
        found = None if self._never else await self._located()
        path = found.content(digest) if found is not None else None
        return path if path is not None and os.access(path, os.R_OK) else None

    async def _located(self) -> Folder | None:
        try:
            answer = await ask(self._stub.Locate, pb.LocateRequest())
        except MethodUnknown:  # an older store, or no store at all
            self._never = True
            return None
        except UnavailableError:
            return None
        found = Folder(Path(answer.directory), answer.store_id)
        return found if await asyncio.to_thread(found.is_here) else None

    async def put(
        self, origin: Source, header: pb.UploadHeader, *, give: bool, progress: Progress | None
    ) -> StoredAsset | None:
        """Hand a file to the store; None where that cannot be done, and the bytes have to be sent.

        Args:
            origin: what to hand over.
            header: what it is.
            give: the caller does not touch it any more, so that it need not be copied.
            progress: gets bytes that were copied and bytes in all.

        Raises:
            AutoMarketError: the store refuses it.
        """
        found = await self._located() if self.is_for(origin.size) else None
        if found is None or origin.file is None or origin.size is None:
            return None
        request = pb.AdoptRequest(header=header)
        # Of its own: a copy that was broken off is no beginning of this one.
        request.header.upload_id = str(uuid.uuid4())
        place = found.path / "incoming" / request.header.upload_id
        try:
            if not give or not link(origin.file, place):
                await _copy(origin.file, place, origin.size, progress)
            elif progress is not None:
                progress(origin.size, origin.size)
            adopted = from_proto((await ask(self._stub.Adopt, request)).asset)
            return replace(adopted, bytes_by_file=adopted.size_bytes)
        except (OSError, UploadUnknown, UnavailableError):  # no right to write there, no room, or the store is away
            return None
        finally:
            with contextlib.suppress(OSError):
                place.unlink(missing_ok=True)


async def copy_whole(source: Path, out: Path, size: int, progress: Progress | None) -> bool:
    """Copy a file to another, which appears when it is whole; tell whether it is, and has so many bytes."""
    part = out.with_name(f".{out.name[:100]}.{uuid.uuid4().hex}.part")
    try:
        await _copy(source, part, size, progress)
        if part.stat().st_size != size:
            return False
        part.replace(out)
    except FileNotFoundError:  # deleted at this moment
        return False
    finally:
        part.unlink(missing_ok=True)
    return True


async def _copy(source: Path, target: Path, size: int, progress: Progress | None) -> None:
    """Copy step by step in threads; a cancel waits for the step, so that what was made can be removed."""
    with closing(copy_in_steps(source, target)) as steps:
        while (done := await _uncancelled(lambda: next(steps, None))) is not None:
            if progress is not None:
                progress(done, size)


async def _uncancelled(work: Callable[[], ResultT]) -> ResultT:
    """Work in a thread; a cancel takes effect when it is done."""
    working = asyncio.get_running_loop().run_in_executor(None, work)  # no task, which the end of a loop would cancel
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([working])
        raise
