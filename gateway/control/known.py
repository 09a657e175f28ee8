"""Providers that exist on this machine whether they run or not, as the supervisor writes them down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from automarket.v1 import model_pb2

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {"local": model_pb2.PROVIDER_KIND_LOCAL, "remote": model_pb2.PROVIDER_KIND_REMOTE}


def read_known(path: Path) -> list[model_pb2.Provider]:
    """Read the list: objects with id, aliases, name, description, kind, available, reason and hint."""
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [_provider(entry) for entry in entries]


def _provider(entry: dict[str, Any]) -> model_pb2.Provider:
    availability = model_pb2.Availability(
        available=entry["available"], reason=entry.get("reason", ""), hint=entry.get("hint", "")
    )
    return model_pb2.Provider(
        id=entry["id"],
        aliases=entry.get("aliases", []),
        name=entry.get("name", entry["id"]),
        description=entry.get("description", ""),
        version=entry.get("version", ""),
        kind=_KINDS[entry["kind"]],
        availability=availability,
    )
