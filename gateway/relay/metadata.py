"""Targets in call metadata: what stock proxies can route on, and what saves reading the first message.

| key | value |
| --- | --- |
| automarket-capability, -model, -provider, -instance | a name |
| automarket-roles | roles of the inputs, then of the output: "video,audio>text" |
| automarket-prefer | "local-only" and fallbacks as "model@provider", separated by commas |
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from automarket.errors import InvalidRequestError
from gateway.relay.target import MAX_FALLBACKS, MAX_ROLES, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

KEYS = frozenset(f"automarket-{name}" for name in ("capability", "model", "provider", "instance", "roles", "prefer"))
_LONGEST_KEPT = 512
LOCAL_ONLY = "local-only"


def target_from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> Target | None:
    """Give the target that call metadata names, or None when they name nothing to route on.

    Raises:
        InvalidRequestError: more roles or fallbacks than a target may have.
    """
    named = tuple((key, value) for key, value in metadata if key in KEYS and isinstance(value, str))
    if not named:
        return None
    return _known(named) if sum(len(value) for _, value in named) < _LONGEST_KEPT else _read(named)


@lru_cache(maxsize=1024)
def _known(named: tuple[tuple[str, str], ...]) -> Target | None:
    return _read(named)


def _read(named: tuple[tuple[str, str], ...]) -> Target | None:
    values = dict(named)
    inputs, _, output = values.get("automarket-roles", "").partition(">")
    preferences = [word for word in values.get("automarket-prefer", "").split(",") if word]
    if len(preferences) > MAX_FALLBACKS + 1 or inputs.count(",") >= MAX_ROLES:
        raise InvalidRequestError(
            f"metadata name at most {MAX_FALLBACKS} fallbacks and {MAX_ROLES} roles", hint="name fewer"
        )
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
