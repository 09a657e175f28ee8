"""What commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

from automarket.cli.plain import clean, to_json, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from automarket.errors import AutoMarketError

_ENDLESS = 10_000


class Terminal:
    """The two streams of a command.

    Args:
        as_json: results and errors are JSON.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def out(self) -> Console:
        """Standard output."""
        return _console(stderr=False)

    @cached_property
    def err(self) -> Console:
        """Standard error."""
        return _console(stderr=True)

    @cached_property
    def live(self) -> Console:
        """Where progress moves: the stream that text goes to when a person reads it, else standard error."""
        return self.out if self.out.is_terminal else self.err

    def json(self, value: Any) -> None:
        """Print a result as JSON."""
        self.line(to_json(value))

    def line(self, text: str) -> None:
        """Print a line for programs; ends this one when nobody reads any more, as printing for people does too."""
        try:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self.out.on_broken_pipe()

    def write(self, text: str) -> None:
        """Print a piece of a line, at once; ends this program when nobody reads any more, as `line` does."""
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            self.out.on_broken_pipe()

    def say(self, text: str, style: str = "") -> None:
        """Print a line for people."""
        self.out.print(clean(text), style=style, soft_wrap=True)

    def note(self, text: str, style: str = "dim") -> None:
        """Print a line about the work, beside the result."""
        self.err.print(clean(text), style=style, soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print rows in columns; on a terminal long cells are folded, elsewhere a row is a line."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*map(clean, row))
        self.out.print(table)

    def facts(self, facts: Iterable[tuple[str, str]]) -> None:
        """Print names and values; those without a value are left out."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in facts:
            if value:
                table.add_row(clean(name), clean(value))
        self.out.print(table)

    def error(self, error: AutoMarketError) -> None:
        """Say what went wrong and what can be done about it."""
        if self.as_json:
            sys.stderr.write(to_json({"error": facts_of(error)}) + "\n")
            return
        for line in error.log_lines:
            self.note(f"  {line}")
        self.err.print("error: ", style="bold red", end="")
        self.err.print(clean(error.message), soft_wrap=True)
        for field, what in error.fields.items():
            self.note(f"  {field}: {what}", style="")
        if error.hint:
            self.note(f"  try: {error.hint}", style="cyan")
        if error.retry_after:
            self.note(f"  it may help to try again in {error.retry_after:.0f} s")


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # Programs read what is not a terminal line by line: nothing may be folded to a width there.
    width = None if stream.isatty() else _ENDLESS
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def facts_of(error: AutoMarketError) -> dict[str, Any]:
    """Give an error for programs."""
    facts = {
        "reason": error.reason,
        "code": error.code.name,
        "message": error.message,
        "hint": error.hint,
        "fields": error.fields,
        "retry": str(error.retry),
        "retry_after": error.retry_after,
        "metadata": error.metadata,
        "log_lines": error.log_lines,
    }
    return to_plain({name: value for name, value in facts.items() if value})
