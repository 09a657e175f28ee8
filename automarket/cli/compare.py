"""`automarket compare`: the same question to several language models."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.exits import exit_of
from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, run, terminal
from automarket.errors import MeshUnreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.cli.terminal import Terminal
    from automarket.client.comparing import Comparison


def compare(
    prompt: Annotated[str, typer.Argument(help="What to ask; - reads it from standard input.")],
    *,
    models: Annotated[
        str, typer.Option("--models", "-m", metavar="A,B,C", help="Which models; MODEL@PROVIDER says whose.")
    ],
    system: Annotated[str, typer.Option("--system", "-s", help="What the models are to be and to do.")] = "",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option, the same for all models; again for more."),
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Give up an answer after so many seconds.", min=0.001)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the table alone.")] = False,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Ask several language models the same: what they say, how fast, for how much.

    One that fails is a row with its error.

    automarket compare "Why is the sky blue?" --models llama3.2,gemma3
    """
    screen = terminal(as_json=json)
    names = [name.strip() for name in models.split(",") if name.strip()]
    question = sys.stdin.read() if prompt == "-" else prompt

    async def work() -> None:
        import automarket
        from automarket.cli.inputs import parse_options

        options = parse_options(option or [], {}) | {"timeout": timeout}
        if system:
            options["system_prompt"] = system
        async with automarket.connect(address) as mesh:
            _show(screen, await mesh.compare(question, names, options), quiet=quiet)

    run(screen, work())


def _show(screen: Terminal, rows: Sequence[Comparison], *, quiet: bool) -> None:
    """Show the rows. Where all of them failed the command did, in the way of the first one."""
    errors = [row.error for row in rows if row.error is not None]
    failed = len(errors) == len(rows)
    if failed and all(isinstance(error, MeshUnreachable) for error in errors):
        raise errors[0]
    if screen.as_json:
        screen.json([_facts(row) for row in rows])
    else:
        _print(screen, rows, quiet=quiet)
    if failed:
        raise typer.Exit(exit_of(errors[0]))


def _print(screen: Terminal, rows: Sequence[Comparison], *, quiet: bool) -> None:
    for row in rows if not quiet else ():
        screen.say(f"--- {row.name}" + (f" ({row.provider}, {row.model})" if row.model else ""), style="bold")
        if row.text is not None or row.partial:
            screen.say(row.partial if row.text is None else row.text.content)
        if row.error is not None:
            screen.error(row.error)
        screen.say("")
    headings = ("model", "provider", "first token", "tokens", "tokens/s", "time", "cost", "")
    screen.table(headings, [_row(row) for row in rows])


def _row(row: Comparison) -> tuple[str, ...]:
    from automarket.cli.plain import seconds

    speed = row.tokens_per_second
    return (
        row.name,
        row.provider,
        "" if row.first_token_seconds is None else seconds(row.first_token_seconds),
        str(row.tokens) if row.tokens else "",
        "" if speed is None else f"{speed:.1f}",
        seconds(row.seconds),
        "" if row.cost is None else f"{row.cost:.6g} {row.currency}",
        "" if row.error is None else f"{row.error.reason}: {row.error.message}",
    )


def _facts(row: Comparison) -> dict[str, Any]:
    from automarket.cli.terminal import facts_of

    return {
        "name": row.name,
        "model": row.model,
        "provider": row.provider,
        "text": None if row.text is None else row.text.content,
        "partial": row.partial or None,
        "error": None if row.error is None else facts_of(row.error),
        "seconds": round(row.seconds, 4),
        "first_token_seconds": None if row.first_token_seconds is None else round(row.first_token_seconds, 4),
        "tokens": row.tokens,
        "tokens_per_second": None if row.tokens_per_second is None else round(row.tokens_per_second, 2),
        "cost": row.cost,
        "currency": row.currency or None,
    }
