"""Outputs that stay in the asset store: assets whose bytes are fetched when they are first used."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, BinaryIO

from automarket.assets.blocking import run_blocking
from automarket.assets.body import Body, temporary_file
from automarket.assets.formats import HEAD_BYTES, recognise
from automarket.assets.loader import asset_of
from automarket.client.connection import Connection
from automarket.client.store import MeshAssets

if TYPE_CHECKING:
    from pathlib import Path

    from automarket.assets import Asset
    from automarket.assets.formats import Format
    from automarket.assets.roles import Role
    from automarket.client.assets import AssetClient
    from automarket.client.events import OutputFinished


class StoredBody(Body):
    """Bytes that the asset store has.

    On the store's machine they are read where they are, above the mesh's `direct_above`; else they are fetched into a
    temporary file. Either way the store has checked them first.
    """

    __slots__ = ("_address", "_direct_above", "_size")

    def __init__(self, connection: Connection, finished: OutputFinished, found: Format) -> None:
        super().__init__(b"", found)
        self.data = None
        self.info = finished.media_info
        self._digest = finished.digest
        self._size = finished.size_bytes
        self._address = connection.address
        self._direct_above = connection.direct.above

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return self._size

    def open(self) -> BinaryIO:
        """Open the bytes for reading. The first use may fetch them, and blocks."""
        return self.as_file().open("rb")

    def as_file(self) -> Path:
        """Give a file with the bytes. The first use may fetch them, and blocks.

        Raises:
            AssetUnknown: the store has them no more.
            AssetCorrupt: they are damaged.
            AutoMarketError: the store cannot be reached.
        """
        with self._lock:
            if self.path is None or not self.path.exists():
                self.path = run_blocking(self._fetch)
            return self.path

    async def _fetch(self) -> Path:
        # In an event loop of its own, where the mesh's channel cannot be used.
        connection = Connection(self._address, self._direct_above)
        try:
            store = MeshAssets(connection)
            if (here := await store.file_here(self.digest)) is not None:
                return here
            path = temporary_file(self)
            await store.get(self.digest, path)
            return path
        finally:
            await connection.close()


class StoredOutputs:
    """Makes assets of outputs that were not sent."""

    def __init__(self, connection: Connection, store: AssetClient) -> None:
        self._connection = connection
        self._store = store

    async def load(self, finished: OutputFinished, role: Role | None) -> Asset:
        """Give an output as an asset; its first bytes say what it is.

        Raises:
            AutoMarketError: the store cannot give them.
        """
        async with aclosing(self._store.read(finished.digest, 0, HEAD_BYTES)) as pieces:
            head = b"".join([piece async for piece in pieces])
        body = StoredBody(self._connection, finished, recognise(head, what="the output"))
        return asset_of(body, role, "the output")
