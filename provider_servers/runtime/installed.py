"""Which providers are installed: entry points of the group "automarket.providers", ours and third parties' alike.

Servers of language models that the user names in AUTOMARKET_CHAT_SERVERS are providers, too, without any code.
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import entry_points
from typing import Any

from automarket.errors import EngineMissing, ProviderUnknown
from provider_servers.runtime.describe import Availability, Provider

GROUP = "automarket.providers"
SERVERS_VARIABLE = "AUTOMARKET_CHAT_SERVERS"


def load(name: str) -> type[Provider]:
    """Give the class of an installed provider, or of "module:Class".

    Raises:
        ProviderUnknown: nothing of that name is installed.
        EngineMissing: its code does not load.
    """
    try:
        return _load(name)
    except (ImportError, AttributeError) as error:
        raise EngineMissing(f"the code of provider {name!r} does not load: {error}", hint="reinstall it") from error


def _load(name: str) -> type[Provider]:
    if ":" in name:
        module, _, attribute = name.partition(":")
        return getattr(importlib.import_module(module), attribute)
    found = entry_points(group=GROUP, name=name)
    if not found:
        if server := _servers().get(name):
            return server
        installed = ", ".join(_names())
        raise ProviderUnknown(f"no provider {name!r} is installed", hint=f"installed are {installed}")
    return next(iter(found)).load()


def describe_all() -> list[dict[str, Any]]:
    """Describe every installed provider and whether it can run here; one whose code does not load is shown as such."""
    return [_describe(name) for name in _names()]


def _names() -> list[str]:
    return sorted({entry.name for entry in entry_points(group=GROUP)} | _servers().keys())


def _servers() -> dict[str, type[Provider]]:
    """Give the servers that the user names; looking for them costs nothing where there are none."""
    if not os.environ.get(SERVERS_VARIABLE):
        return {}
    from provider_servers.runtime.chat.compatible.server import configured

    return dict(configured())


def _describe(name: str) -> dict[str, Any]:
    try:
        provider = _load(name)
        availability = provider.availability()
        models = [] if availability.available else _models(provider)
    except Exception as error:  # noqa: BLE001 - somebody else's code; whatever it raises is shown, not passed on
        fault = f"{type(error).__name__}: {error}"
        broken = Availability(available=False, reason=f"its code does not load ({fault})", hint="reinstall it")
        unknown: dict[str, Any] = {"entry": name, "id": name, "kind": "local", "name": name, "aliases": []}
        return unknown | _availability(broken)
    facts: dict[str, Any] = {
        "entry": name,
        "id": provider.id,
        "aliases": list(provider.aliases),
        "name": provider.name,
        "description": provider.description,
        "version": provider.version,
        "kind": str(provider.kind),
        "models": models,
    }
    return facts | _availability(availability)


def _models(cls: type[Provider]) -> list[dict[str, Any]]:
    """Describe the models of a provider that cannot run here, so that whoever asks for one learns what mends it."""
    from google.protobuf import json_format

    from provider_servers.runtime.descriptors import models_to_proto

    try:
        provider = cls()
        return [json_format.MessageToDict(one, preserving_proto_field_name=True) for one in models_to_proto(provider)]
    except Exception:  # noqa: BLE001 - it may need what is missing
        return []


def _availability(availability: Availability) -> dict[str, Any]:
    return {
        "available": availability.available,
        "reason": availability.reason,
        "hint": availability.hint,
        "error_reason": availability.error_reason,
    }
