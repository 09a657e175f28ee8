"""How far the work of a vendor is: lines that move on a terminal, lines that stay elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from automarket.cli.progress import LiveProgress
    from automarket.cli.terminal import Terminal
    from automarket.client.events import Progress

_STEP = 0.25  # how much further work is before it is told anew where lines stay


class Stages:
    """Shows the stages of one call: the place in the line, what is being done and how far, what the vendor writes.

    Args:
        screen: where lines that stay go: standard error.
        progress: the lines that move; where nobody watches there are none, and what changes becomes a line that stays.
        quiet: show nothing where nobody watches.
    """

    def __init__(self, screen: Terminal, progress: LiveProgress, *, quiet: bool = False) -> None:
        self._screen = screen
        self._progress = progress
        self._moves = screen.live.is_terminal
        self._quiet = quiet
        self._told: tuple[str, int] = ("", -1)

    def show(self, key: str, event: Progress) -> None:
        """Show how far it is now; `key` names the line that moves."""
        if self._moves:
            newest = event.log_lines[-1] if event.log_lines else ""
            amount = newest or event.message or waiting(event)
            self._progress.work(key, event.phase, event.fraction, amount)
        elif not self._quiet:
            self._tell(event)

    def _tell(self, event: Progress) -> None:
        for line in event.log_lines:
            self._screen.note(f"  {line}")
        waits = "" if event.queue_position is None else event.message or f"{event.phase}, {waiting(event)}"
        told = (waits or event.phase, int((event.fraction or 0) / _STEP))
        if told == self._told or (told[0] == self._told[0] and told[1] < self._told[1]):
            return
        self._told = told
        how_far = "" if event.fraction is None else f" {event.fraction:.0%}"
        self._screen.note(f"{told[0]}{how_far}")


def waiting(event: Progress) -> str:
    """Say how many are before it in the line; empty when nobody says."""
    if event.queue_position is None:
        return ""
    return "next in line" if event.queue_position == 0 else f"{event.queue_position} ahead"
