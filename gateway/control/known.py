"""Providers that exist on this machine whether they run or not, as the supervisor writes them down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from automarket.v1 import model_pb2
from gateway.control.entries import ProviderEntry, completed

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {"local": model_pb2.PROVIDER_KIND_LOCAL, "remote": model_pb2.PROVIDER_KIND_REMOTE}


def read_known(path: Path) -> list[ProviderEntry]:
    """Read the list: objects with id, aliases, name, description, kind, available, reason, hint and error_reason.

    One that cannot run here may have `models`, as the contract's JSON: whoever asks for one learns what mends it.
    """
    entries: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [
        ProviderEntry(_provider(entry), completed(map(_model, entry.get("models", ())), entry["id"]), permanent=True)
        for entry in entries
    ]


def _model(entry: dict[str, Any]) -> model_pb2.Model:
    return json_format.ParseDict(entry, model_pb2.Model(), ignore_unknown_fields=True)


def _provider(entry: dict[str, Any]) -> model_pb2.Provider:
    availability = model_pb2.Availability(
        available=entry["available"],
        reason=entry.get("reason", ""),
        hint=entry.get("hint", ""),
        error_reason=entry.get("error_reason", ""),
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
