"""`automarket new-provider`: a working provider to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from automarket.cli.running import Json, run, terminal


def new_provider(
    name: Annotated[str, typer.Argument(help="Id of the provider: lower-case letters, digits and -.")],
    folder: Annotated[Path, typer.Option("--folder", help="The folder that gets the new project's folder.")] = Path(),
    json: Json = False,
) -> None:
    """Make a provider of your own: a package that installs, with one model and its test."""
    screen = terminal(as_json=json)

    async def work() -> None:
        from automarket.templates import new_provider as make

        files = make(name, folder)
        if screen.as_json:
            screen.json({"folder": folder / name, "files": files})
            return
        for file in files:
            screen.say(f"made {file}")
        screen.say(f"\nNext: pip install -e {folder / name}, then automarket up --provider {name}")

    run(screen, work())
