"""The providers of this machine: those that can run here, and those that cannot, with what mends it."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from automarket.errors import ProviderUnknown, StateError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LIST_COMMAND = (sys.executable, "-P", "-m", "provider_servers.runtime", "--list", "--json")
LIST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class KnownProvider:
    """One provider; `facts` is all that it says of itself, as control reads it; `entry` is what it is installed as."""

    entry: str
    id: str
    aliases: tuple[str, ...]
    available: bool
    reason: str
    hint: str
    facts: dict[str, Any]

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> KnownProvider:
        """Read what a provider says of itself."""
        return cls(
            entry=facts["entry"],
            id=facts["id"],
            aliases=tuple(facts.get("aliases", ())),
            available=facts["available"],
            reason=facts.get("reason", ""),
            hint=facts.get("hint", ""),
            facts=facts,
        )

    def left_out(self) -> KnownProvider:
        """Give the same provider, in a mesh that was told not to start it."""
        if not self.available:
            return self
        reason, hint = "this mesh was started without it", f"automarket up --provider {self.id}"
        facts = self.facts | {"available": False, "reason": reason, "hint": hint}
        return replace(self, available=False, reason=reason, hint=hint, facts=facts)


async def list_providers() -> list[KnownProvider]:
    """Ask in a process of its own, which imports what third parties have installed, for the providers of this machine.

    Raises:
        StateError: the list could not be made.
    """
    process = await asyncio.create_subprocess_exec(
        *LIST_COMMAND,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, faults = await asyncio.wait_for(process.communicate(), LIST_SECONDS)
    except TimeoutError:
        raise StateError(f"the providers of this machine were not listed within {LIST_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        raise StateError(
            "the providers of this machine could not be listed",
            hint="a provider package may be broken: automarket doctor",
            log_lines=tuple(faults.decode(errors="replace").splitlines()[-12:]),
        )
    return [KnownProvider.from_facts(facts) for facts in json.loads(output)]


def choose(providers: Sequence[KnownProvider], names: Sequence[str]) -> list[KnownProvider]:
    """Limit a mesh to the providers of some ids or aliases; without names all stay.

    Raises:
        ProviderUnknown: a name is nobody's.
        StateError: a provider that was asked for cannot run here.
    """
    if not names:
        return list(providers)
    chosen = {_find(providers, name).id for name in names}
    return [one if one.id in chosen else one.left_out() for one in providers]


def _find(providers: Sequence[KnownProvider], name: str) -> KnownProvider:
    found = next((one for one in providers if name in (one.id, *one.aliases)), None)
    if found is None:
        known = [one.id for one in providers]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}"
        raise ProviderUnknown(f"no provider is named {name}", hint=hint)
    if not found.available:
        raise StateError(f"provider {found.id} cannot run here: {found.reason}", hint=found.hint or None)
    return found


def write_known(path: Path, providers: Sequence[KnownProvider]) -> None:
    """Write the list down for control."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps([one.facts for one in providers], indent=1))
    unfinished.replace(path)
