"""Showing how backends are while that changes: lines that move on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Self

from automarket.cli.backends import describe
from automarket.cli.plain import to_plain
from automarket.cli.progress import LiveProgress

if TYPE_CHECKING:
    from automarket.cli.backends import Backends
    from automarket.cli.terminal import Terminal
    from automarket.service_status import ServiceStatus

_LINE_SECONDS = 5.0
"""While a state lasts, how far it is gets a line of its own so often."""


class ServicesView:
    """Shows the states of backends as they come.

    Args:
        screen: where.
        moves: on a terminal, draw lines that move instead of printing one for each change.
    """

    def __init__(self, screen: Terminal, *, moves: bool = True) -> None:
        self._screen = screen
        self._moves = moves and screen.out.is_terminal and not screen.as_json
        self._progress = LiveProgress(screen.out, quiet=not self._moves)
        self._said: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Take lines that move away."""
        self._progress.stop()

    def show(self, name: str, status: ServiceStatus, instance: str = "") -> None:
        """Show how a backend is now."""
        if self._screen.as_json:
            facts = {"provider": name, **({"instance": instance} if instance else {}), **to_plain(status)}
            self._screen.line(json.dumps(facts, ensure_ascii=False))
        elif self._moves:
            self._progress.work(name, f"{name}: {status.state}", status.fraction, describe(status))
        elif self._is_news(instance or name, status):
            self._print(name, status)

    def end(self, name: str, status: ServiceStatus) -> None:
        """Show what a backend has come to, for good."""
        if self._moves:
            self._progress.done(name)
            self._print(name, status)

    def drop(self, name: str) -> None:
        """Show a backend no more; what went wrong is said otherwise."""
        self._progress.done(name)

    def _print(self, name: str, status: ServiceStatus) -> None:
        self._screen.say(f"{name}: {status.state:<8}  {describe(status)}".rstrip())

    def _is_news(self, key: str, status: ServiceStatus) -> bool:
        state, said_at = self._said.get(key, ("", 0.0))
        now = time.monotonic()
        if status.state == state and now - said_at < _LINE_SECONDS:
            return False
        self._said[key] = (status.state, now)
        return True


def print_backends(screen: Terminal, found: Backends) -> None:
    """Print how backends are, a row for each, and those that cannot run here."""
    rows: list[tuple[str, ...]] = [
        (one.provider_id, one.status.state, *_facts_of(one.status), describe(one.status))
        for changes in found.services.values()
        for one in changes
    ]
    for one in found.missing():
        state = one.availability
        rows.append((one.id, "cannot run", "no", "", f"{state.reason} ({state.hint})" if state.hint else state.reason))
    if rows:
        screen.table(("provider", "state", "healthy", "started by", ""), rows)
    else:
        screen.note("no provider of this mesh has a backend that would have to be started")


def _facts_of(status: ServiceStatus) -> tuple[str, str]:
    return ("yes" if status.healthy else "no", "the mesh" if status.managed else "others" if status.running else "")


def status_facts(name: str, instance: str, status: ServiceStatus) -> list[tuple[str, str]]:
    """Give all that is known of a backend, as names and values."""
    healthy, starter = _facts_of(status)
    ended = "" if status.exit_code is None else f"exit code {status.exit_code}"
    return [
        ("provider", name),
        ("instance", instance),
        ("state", status.state),
        ("", status.message),
        ("healthy", healthy),
        ("started by", starter),
        ("error", status.error),
        ("try", status.hint),
        ("ended with", f"{ended}, out of memory" if status.out_of_memory else ended),
        *(("last words" if number == 0 else " ", line) for number, line in enumerate(status.log_lines)),
    ]
