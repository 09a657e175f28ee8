"""`automarket new-provider`: a working provider to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automarket.cli.running import Json, run, terminal


def new_provider(
    name: Annotated[str, typer.Argument(help="Id of the provider: lower-case letters, digits and -.")],
    folder: Annotated[Path | None, typer.Option("--folder", help="Where to make it [default: ./NAME].")] = None,
    json: Json = False,
) -> None:
    """Make a provider of your own: a package that installs, with one model and its test."""
    screen = terminal(as_json=json)
    target = folder or Path(name)

    async def work() -> None:
        from automarket.templates import new_provider as make

        files = make(name, target)
        if screen.as_json:
            screen.json({"folder": target, "files": files})
            return
        for file in files:
            screen.say(f"made {file}")
        screen.say(f"\nNext: pip install -e {target}, then automarket up --provider {name}")

    run(screen, work())
