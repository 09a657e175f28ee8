"""Assets as the store describes them, as plain values; the store and its clients share them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from automarket.media.wire import (
    info_from_proto,
    info_to_proto,
    roles_from_proto,
    roles_to_proto,
    spec_from_proto,
    spec_to_proto,
)
from automarket.v1 import asset_pb2

if TYPE_CHECKING:
    from automarket.assets.roles import Role
    from automarket.media.info import CastSpec, MediaInfo


@dataclass(frozen=True, slots=True)
class Lineage:
    """How an asset was made.

    Attributes:
        operation: "cast", or a capability such as "text-to-speech".
        parents: digests of what it was made from, in order.
        provider: id of the provider, for a transform.
        model: id of the model, for a transform.
        request_id: of the transform.
        cast: what was asked for, for a cast.
        options: what a transform ran with, by name; without secrets, long texts cut.
        cost: what the transform cost, all its outputs together, in `currency`; None when unknown.
    """

    operation: str
    parents: tuple[str, ...] = ()
    provider: str = ""
    model: str = ""
    request_id: str = ""
    cast: CastSpec | None = None
    options: dict[str, Any] = field(default_factory=dict[str, Any], hash=False)
    cost: float | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True)
class StoredAsset:
    """An asset that the store has.

    Attributes:
        digest: "sha256:<hex>" of its bytes.
        size_bytes: its size.
        media_type: as found in the bytes, e.g. "video/mp4".
        roles: what it can play.
        media_info: technical facts, for media that could be read.
        created: when the store got it.
        accessed: when it was last read.
        lineage: how it was made; None for what was uploaded.
        derived: it can be made again from its parents, and may be evicted.
        file_name: the name that the uploader gave, for people.
        bytes_sent: how many bytes the upload that gave this value has sent over the connection.
        bytes_by_file: how many it has handed over by file instead; where both are 0, the store had them.
    """

    digest: str
    size_bytes: int
    media_type: str
    roles: frozenset[Role]
    created: datetime
    accessed: datetime
    media_info: MediaInfo | None = None
    lineage: Lineage | None = None
    derived: bool = False
    file_name: str = ""
    bytes_sent: int = 0
    bytes_by_file: int = 0

    def can_play(self, role: Role) -> bool:
        """Tell whether it can play a role."""
        return role in self.roles


@dataclass(frozen=True, slots=True)
class CastResult:
    """A cast that the store made, or found made.

    Attributes:
        asset: the result; the asset itself when it plays the role as it is.
        cached: nothing had to run.
        elapsed: how long it took, in seconds.
    """

    asset: StoredAsset
    cached: bool
    elapsed: float


def lineage_to_proto(lineage: Lineage) -> asset_pb2.Lineage:
    """Give lineage as a message."""
    message = asset_pb2.Lineage(
        operation=lineage.operation,
        parents=lineage.parents,
        provider_id=lineage.provider,
        model_id=lineage.model,
        request_id=lineage.request_id,
        cast=None if lineage.cast is None else spec_to_proto(lineage.cast),
        cost=lineage.cost,
        currency=lineage.currency,
    )
    if lineage.options:
        message.options.update(lineage.options)
    return message


def lineage_from_proto(message: asset_pb2.Lineage) -> Lineage:
    """Give the lineage of a message.

    Raises:
        CastInvalid: its cast is not one.
    """
    return Lineage(
        operation=message.operation,
        parents=tuple(message.parents),
        provider=message.provider_id,
        model=message.model_id,
        request_id=message.request_id,
        cast=spec_from_proto(message.cast) if message.HasField("cast") else None,
        options=json_format.MessageToDict(message.options),
        cost=message.cost if message.HasField("cost") else None,
        currency=message.currency,
    )


def to_proto(asset: StoredAsset) -> asset_pb2.Asset:
    """Give an asset's description as a message."""
    message = asset_pb2.Asset(
        digest=asset.digest,
        size_bytes=asset.size_bytes,
        media_type=asset.media_type,
        roles=sorted(roles_to_proto(asset.roles)),
        media_info=None if asset.media_info is None else info_to_proto(asset.media_info),
        lineage=None if asset.lineage is None else lineage_to_proto(asset.lineage),
        derived=asset.derived,
        file_name=asset.file_name,
    )
    message.create_time.FromDatetime(asset.created)
    message.access_time.FromDatetime(asset.accessed)
    return message


def from_proto(message: asset_pb2.Asset) -> StoredAsset:
    """Give the description that a message holds."""
    return StoredAsset(
        digest=message.digest,
        size_bytes=message.size_bytes,
        media_type=message.media_type,
        roles=roles_from_proto(message.roles),
        created=message.create_time.ToDatetime(UTC),
        accessed=message.access_time.ToDatetime(UTC),
        media_info=info_from_proto(message.media_info) if message.HasField("media_info") else None,
        lineage=lineage_from_proto(message.lineage) if message.HasField("lineage") else None,
        derived=message.derived,
        file_name=message.file_name,
    )


def now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)
