"""What the store knows of its assets. Every call blocks for a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from asset_store.listing import decode_token, encode_token
from automarket.assets.roles import Role
from automarket.media.wire import info_from_proto, info_to_proto
from automarket.rpc import metrics
from automarket.stored import StoredAsset, lineage_from_proto, lineage_to_proto, now
from automarket.v1 import asset_pb2, media_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asset_store.database import Database
    from asset_store.listing import Query

_COLUMNS = "digest, size, media_type, roles, media_info, created, accessed, lineage, derived, file_name, corrupt"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index has under a digest; `corrupt` says that the bytes were found damaged."""

    asset: StoredAsset
    corrupt: bool


class Index:
    """Assets, and which cast of which asset is which asset."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[str, int] = {}
        self._kept_bytes: int | None = None
        self._reported_bytes = 0

    def find(self, digest: str) -> Entry | None:
        """Give what is known of a digest."""
        rows = self._database.query(f"SELECT {_COLUMNS} FROM assets WHERE digest = ?", digest)  # noqa: S608 - constant
        return self._entry(rows[0]) if rows else None

    def digests(self, *, corrupt: bool) -> set[str]:
        """Give every digest whose bytes are whole, or every one whose bytes are not."""
        return {digest for (digest,) in self._database.query("SELECT digest FROM assets WHERE corrupt = ?", corrupt)}

    @property
    def kept_bytes(self) -> int:
        """How many bytes are kept."""
        kept = self._kept_bytes
        if kept is None:
            kept = int(self._database.query("SELECT coalesce(sum(size), 0) FROM assets WHERE NOT corrupt")[0][0])
            self._kept_bytes = kept
            metrics.store_bytes.add(kept - self._reported_bytes)
            self._reported_bytes = kept
        return kept

    def add(self, asset: StoredAsset) -> StoredAsset:
        """Take an asset in, or learn more about one that is there; give what is known then.

        What somebody uploaded is never evictable, even when a cast made the same bytes first.
        """
        info, lineage = asset.media_info, asset.lineage
        row = (
            asset.digest,
            asset.size_bytes,
            asset.media_type,
            sum(1 << role.number for role in asset.roles),
            None if info is None else info_to_proto(info).SerializeToString(),
            _micros(asset.created),
            _micros(asset.accessed),
            None if lineage is None else lineage_to_proto(lineage).SerializeToString(),
            asset.derived,
            asset.file_name,
        )
        with self._database.transaction(durable=True) as change:
            change.execute(_ADD, row)
            parents = [(parent, asset.digest) for parent in (lineage.parents if lineage else ())]
            change.executemany("INSERT OR IGNORE INTO parents VALUES (?, ?)", parents)
        self._kept_bytes = None
        self._touched.pop(asset.digest, None)
        entry = self.find(asset.digest)
        return entry.asset if entry else asset

    def mark_corrupt(self, digest: str) -> None:
        """Remember that the bytes of a digest were found damaged."""
        with self._database.transaction() as change:
            change.execute("UPDATE assets SET corrupt = 1 WHERE digest = ?", (digest,))
        self._kept_bytes = None
        metrics.corrupt.add(1)

    def remove(self, digest: str) -> None:
        """Forget an asset."""
        with self._database.transaction() as change:
            for statement in (
                "DELETE FROM assets WHERE digest = ?",
                "DELETE FROM parents WHERE digest = ?",
                "DELETE FROM casts WHERE ? IN (source, result)",
                "DELETE FROM uploads WHERE digest = ?",
            ):
                change.execute(statement, (digest,))
        self._kept_bytes = None
        self._touched.pop(digest, None)

    def touch(self, digests: Iterable[str]) -> None:
        """Note that assets were used now. Written down by `flush`: a read must not cost a write."""
        stamp = _micros(now())
        self._touched.update(dict.fromkeys(digests, stamp))

    def flush(self) -> None:
        """Write down when assets were last used."""
        touched, self._touched = self._touched, {}
        if touched:
            with self._database.transaction() as change:
                rows = [(stamp, digest) for digest, stamp in touched.items()]
                change.executemany("UPDATE assets SET accessed = ? WHERE digest = ?", rows)

    def evictable(self) -> Iterator[tuple[str, int]]:
        """Give digest and size of derived assets that can be made again, least recently used first."""
        self.flush()
        yield from self._database.query(
            "SELECT digest, size FROM assets AS it WHERE derived AND NOT corrupt AND EXISTS (SELECT 1 FROM parents"
            " JOIN assets AS origin ON origin.digest = parents.parent WHERE parents.digest = it.digest"
            " AND NOT origin.corrupt) ORDER BY accessed"
        )

    def casts_of(self, digest: str) -> list[str]:
        """Give the derived assets that were made from this one."""
        sql = "SELECT digest FROM parents JOIN assets USING (digest) WHERE parent = ? AND derived"
        return [found for (found,) in self._database.query(sql, digest)]

    def has_parent(self, digest: str) -> bool:
        """Tell whether anything that an asset was made from is still there."""
        sql = "SELECT 1 FROM parents JOIN assets ON assets.digest = parent WHERE parents.digest = ? LIMIT 1"
        return bool(self._database.query(sql, digest))

    def cast_result(self, source: str, spec: str) -> str | None:
        """Give the digest of a cast that was made, by the spec's key."""
        rows = self._database.query("SELECT result FROM casts WHERE source = ? AND spec = ?", source, spec)
        return rows[0][0] if rows else None

    def add_cast(self, source: str, spec: str, result: str) -> None:
        """Remember which asset a cast made."""
        with self._database.transaction() as change:
            change.execute("INSERT OR REPLACE INTO casts VALUES (?, ?, ?)", (source, spec, result))

    def page(self, query: Query) -> tuple[list[StoredAsset], str]:
        """Give one page of assets, newest first, and the token of the next.

        Raises:
            PageTokenInvalid: the token is not one that was given.
        """
        where, values = query.conditions()
        if query.page_token:
            where.append("(created, digest) < (?, ?)")
            values += decode_token(query.page_token)
        sql = (
            f"SELECT {_COLUMNS} FROM assets WHERE {' AND '.join(where)}"  # noqa: S608 - made of constants
            " ORDER BY created DESC, digest DESC LIMIT ?"
        )
        rows = self._database.query(sql, *values, query.page_size + 1)
        assets = [self._entry(row).asset for row in rows[: query.page_size]]
        more = len(rows) > query.page_size
        return assets, encode_token(_micros(assets[-1].created), assets[-1].digest) if more else ""

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        digest, size, media_type, roles, info, created, accessed, lineage, derived, file_name, corrupt = row
        asset = StoredAsset(
            digest=digest,
            size_bytes=size,
            media_type=media_type,
            roles=frozenset(role for role in Role if roles >> role.number & 1),
            created=_moment(created),
            accessed=_moment(max(accessed, self._touched.get(digest, 0))),
            media_info=None if info is None else info_from_proto(media_pb2.MediaInfo.FromString(info)),
            lineage=None if lineage is None else lineage_from_proto(asset_pb2.Lineage.FromString(lineage)),
            derived=bool(derived),
            file_name=file_name,
        )
        return Entry(asset, bool(corrupt))


_ADD = f"""
INSERT INTO assets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)
ON CONFLICT (digest) DO UPDATE SET
    media_type = excluded.media_type, roles = excluded.roles, media_info = excluded.media_info,
    accessed = excluded.accessed, derived = assets.derived AND excluded.derived, corrupt = 0,
    file_name = iif(assets.file_name = '', excluded.file_name, assets.file_name)
"""  # noqa: S608 - made of constants


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)
