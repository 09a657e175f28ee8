"""What moves on a terminal while work is under way. Where nobody watches, nothing is printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from automarket.cli.plain import clean, size

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


class LiveProgress:
    """Lines that move, one for each piece of work.

    Args:
        console: where; without a terminal nothing is shown.
        quiet: show nothing anyway.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[amount]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._lines: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Begin to show."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the lines away."""
        self.stop()

    def stop(self) -> None:
        """Take the lines away; nothing more is shown."""
        self._progress.stop()

    def bytes(self, key: str, what: str, done: int, total: int | None) -> None:
        """Show a transfer of `done` of `total` bytes; None is not known."""
        amount = size(done) if total is None else f"{size(done)} of {size(total)}"
        self._show(key, what, amount, done, total)

    def work(self, key: str, what: str, fraction: float | None, amount: str = "") -> None:
        """Show work that is done to a fraction; None is not known."""
        text = amount or ("" if fraction is None else f"{fraction:.0%}")
        self._show(key, what, text, fraction or 0, None if fraction is None else 1)

    def done(self, key: str) -> None:
        """Take a line away."""
        if key in self._lines:
            self._progress.remove_task(self._lines.pop(key))

    def _show(self, key: str, what: str, amount: str, completed: float, total: float | None) -> None:
        if key not in self._lines:
            self._lines[key] = self._progress.add_task(clean(what), total=total, amount=amount)
        if total is None:  # an update would leave the total that was known before
            for task in self._progress.tasks:
                task.total = None if task.id == self._lines[key] else task.total
        self._progress.update(
            self._lines[key], description=clean(what), completed=completed, total=total, amount=clean(amount)
        )
