"""Targets in call metadata: what stock proxies can route on, and what saves reading the first message.

| key | value |
| --- | --- |
| automarket-capability, -model, -provider, -instance | a name |
| automarket-roles | roles of the inputs, then of the output: "video,audio>text" |
| automarket-prefer | "local-only" and fallbacks as "model@provider", separated by commas |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.relay.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "automarket-"
LOCAL_ONLY = "local-only"


def target_from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Target | None:
    """Give the target that call metadata names, or None when they name nothing to route on."""
    values = {key: value for key, value in metadata if key.startswith(PREFIX) and isinstance(value, str)}
    inputs, _, output = values.get("automarket-roles", "").partition(">")
    preferences = [word for word in values.get("automarket-prefer", "").split(",") if word]
    target = Target(
        capability=values.get("automarket-capability", ""),
        model=values.get("automarket-model", ""),
        provider=values.get("automarket-provider", ""),
        instance_id=values.get("automarket-instance", ""),
        input_roles=tuple(role for role in inputs.split(",") if role),
        output_role=output,
        local_only=LOCAL_ONLY in preferences,
        fallbacks=tuple(_fallback(word) for word in preferences if word != LOCAL_ONLY),
    )
    return target if any((target.capability, target.model, target.provider, target.output_role)) else None


def _fallback(word: str) -> tuple[str, str]:
    model, _, provider = word.rpartition("@")
    return model, provider
