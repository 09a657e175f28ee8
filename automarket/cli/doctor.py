"""`automarket doctor`: what is installed, what is missing, how to get it."""

from __future__ import annotations

import asyncio
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated

import typer

from automarket.cli.exits import Exit
from automarket.cli.running import Json, run, terminal

if TYPE_CHECKING:
    from automarket.cli.checks import Check
    from automarket.cli.terminal import Terminal

_STYLES = {"ok": "green", "missing": "yellow", "faulty": "red"}


def doctor(
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="The folder whose disk is looked at.")] = None,
    json: Json = False,
) -> None:
    """Say what is installed on this machine, what is missing and how to get it. Needs no mesh."""
    screen = terminal(as_json=json)
    run(screen, _doctor(screen, data_dir))


async def _doctor(screen: Terminal, data_dir: Path | None) -> None:
    from automarket.cli.checks import Verdict
    from automarket.cli.up.layout import default_data_dir

    checks = await asyncio.to_thread(_machine, (data_dir or default_data_dir()).expanduser().absolute())
    checks += await _providers()
    if screen.as_json:
        screen.json(checks)
    else:
        _print(screen, checks)
    if any(check.verdict == Verdict.FAULTY for check in checks):
        raise typer.Exit(Exit.NOT_READY)


def _machine(data_dir: Path) -> list[Check]:
    from automarket.cli import checks

    return [
        checks.check_python(),
        *checks.check_programs(),
        checks.check_disk(data_dir),
        *checks.check_extras(),
    ]


async def _providers() -> list[Check]:
    from automarket.cli.checks import Check, Verdict, missing_mesh_packages
    from automarket.cli.up.known import list_providers
    from automarket.errors import StateError

    if missing_mesh_packages():
        return []
    try:
        found = await list_providers()
    except StateError as error:
        last = error.log_lines[-1] if error.log_lines else ""
        return [Check("providers", Verdict.FAULTY, f"{error.message}: {last}", "uninstall the package that it names")]
    return [
        Check(
            f"provider {one.id}",
            Verdict.OK if one.available else Verdict.MISSING,
            "can run here" if one.available else one.reason,
            one.hint,
        )
        for one in found
    ]


def _print(screen: Terminal, checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        screen.out.print(f"{check.verdict:<8}", style=_STYLES[check.verdict], end="")
        screen.out.print(f"{check.name:<{width}}  ", style="bold", end="")
        screen.say(check.found)
        if check.hint:
            screen.say(f"{'':<{width + 10}}try: {check.hint}", style="cyan")
