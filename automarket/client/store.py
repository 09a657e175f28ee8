"""The mesh's asset store: an AssetClient whose failures say at which address nobody answered."""

from __future__ import annotations

from contextlib import aclosing
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from automarket.client.assets import AssetClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from automarket.client.connection import Connection

MethodT = TypeVar("MethodT", bound="Callable[..., Any]")


def _asks(method: MethodT) -> MethodT:
    @wraps(method)
    async def ask(self: MeshAssets, *args: Any, **kwargs: Any) -> Any:
        with self.connection.errors():
            return await method(self, *args, **kwargs)

    return cast("MethodT", ask)


def _gives(method: MethodT) -> MethodT:
    @wraps(method)
    async def give(self: MeshAssets, *args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        with self.connection.errors():
            async with aclosing(method(self, *args, **kwargs)) as items:
                async for item in items:
                    yield item

    return cast("MethodT", give)


class MeshAssets(AssetClient):
    """The asset store of a mesh: put, get, read, stat, lineage, list, cast, delete.

    What has more bytes than the mesh's `direct_above` passes by file where the store's folder is on this machine.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection.channel, by_file_above=connection.direct.above)
        self.connection = connection

    put = _asks(AssetClient.put)
    put_stream = _asks(AssetClient.put_stream)
    find_missing = _asks(AssetClient.find_missing)
    stat = _asks(AssetClient.stat)
    lineage = _asks(AssetClient.lineage)
    cast = _asks(AssetClient.cast)
    delete = _asks(AssetClient.delete)
    get = _asks(AssetClient.get)
    file_here = _asks(AssetClient.file_here)
    read = _gives(AssetClient.read)
    list = _gives(AssetClient.list)
