"""The mesh's asset store, as a provider server reaches it: by file on the same machine, else by AssetService."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from automarket.client.assets import AssetClient
from automarket.digests import check_digest
from automarket.errors import StoreUnavailable
from automarket.rpc.channel import open_channel
from automarket.v1 import endpoint_pb2

if TYPE_CHECKING:
    import grpc.aio

    from automarket.v1 import registry_service_pb2


BY_FILE_ABOVE = 1024 * 1024
"""So many bytes are sent as quickly as their file is handed over."""


class StoreLink:
    """Where the asset store is, as the registry last said."""

    def __init__(self) -> None:
        self._address = ""
        self._channel: grpc.aio.Channel | None = None
        self._client: AssetClient | None = None
        self._folder: Path | None = None

    async def point_to(self, location: registry_service_pb2.AssetStoreLocation) -> None:
        """Take what the registry says; the nearest endpoint that exists is used, or the nearest when none does yet."""
        there = [one.address for one in location.endpoints if _exists(one)]
        address = next(iter([*there, *(one.address for one in location.endpoints)]), "")
        self._folder = Path(location.content_directory) if location.content_directory else None
        if address == self._address:
            return
        await self.close()
        self._address = address
        if address:
            self._channel = open_channel(address)
            self._client = AssetClient(self._channel, by_file_above=BY_FILE_ABOVE)

    async def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            await self._channel.close()
        self._address, self._channel, self._client = "", None, None

    @property
    def there(self) -> bool:
        """Whether there is a store."""
        return self._client is not None

    def require(self) -> None:
        """Check that there is a store.

        Raises:
            StoreUnavailable: the mesh has none.
        """
        _ = self.client

    @property
    def client(self) -> AssetClient:
        """The client of the store.

        Raises:
            StoreUnavailable: the mesh has no store.
        """
        if self._client is None:
            raise StoreUnavailable("this provider is not connected to an asset store", hint="send the input as chunks")
        return self._client

    def file_of(self, digest: str) -> Path | None:
        """Give the store's own file of an asset where it is here; the store has to check it before it is read."""
        name = check_digest(digest)
        shared = self._folder / name[:2] / name if self._folder else None
        return shared if shared is not None and os.access(shared, os.R_OK) else None

    async def fetch(self, digest: str, workdir: Path) -> Path:
        """Give a file with the bytes of an asset, checked: the store's own file, or a copy of it in `workdir`."""
        if (shared := self.file_of(digest)) is not None:
            await self.client.stat(digest, verify=True)
            return shared
        copy = workdir / check_digest(digest)
        if not copy.exists():
            await self.client.get(digest, copy)
        return copy


def _exists(endpoint: endpoint_pb2.Endpoint) -> bool:
    unix = endpoint.scope == endpoint_pb2.ENDPOINT_SCOPE_UNIX
    return not unix or Path(endpoint.address.removeprefix("unix:")).exists()
