"""The commands."""

from __future__ import annotations

from typing import Annotated

import typer

from automarket.cli import (
    assets,
    chat,
    compare,
    doctor,
    image,
    jobs,
    new_provider,
    overview,
    services,
    speak,
    transform,
    usage,
    video,
    voices,
)
from automarket.cli.exits import epilog
from automarket.cli.up import command as up_command

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=epilog(),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"automarket {version('automarket')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """One address in front of every media model: start a mesh, ask what it can do, run its models."""


app.command()(up_command.up)
app.command()(overview.status)
app.command()(overview.providers)
app.command()(overview.models)
app.command()(overview.capabilities)
app.command()(transform.transform)
app.command()(image.image)
app.command()(video.video)
app.command()(speak.speak)
app.command()(chat.chat)
app.command()(compare.compare)
app.add_typer(jobs.app, name="jobs")
app.command()(usage.usage)
app.add_typer(services.app, name="services")
app.add_typer(assets.app, name="assets")
app.add_typer(voices.app, name="voices")
app.command()(doctor.doctor)
app.command()(new_provider.new_provider)
