"""What every command shares: its parameters, and how it runs."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.exits import Exit, exit_of
from automarket.errors import AutoMarketError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

    from automarket.cli.terminal import Terminal

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Address = Annotated[
    str,
    typer.Option(
        "--address",
        envvar="AUTOMARKET_ADDRESS",
        metavar="HOST:PORT",
        help="Where the mesh is: host:port or unix:/path.",
        show_default=False,
    ),
]
ModelName = Annotated[str, typer.Option("--model", "-m", help="Which model.")]
ProviderName = Annotated[str, typer.Option("--provider", "-p", help="Whose.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="NAME=VALUE", help="An option of the model; again for more. See `models M`."),
]
Out = Annotated[
    str, typer.Option("-o", "--output", metavar="OUT", help="File to write, folder for several, - for standard out.")
]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Give up after so many seconds.", min=0.001)]
AsJob = Annotated[
    bool, typer.Option("--job", help="Follow it as a job: it goes on when this command is interrupted. See `jobs`.")
]
Estimate = Annotated[bool, typer.Option("--estimate", help="Say what it would cost, and do nothing.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the result alone.")]
DEFAULT_ADDRESS = "127.0.0.1:50051"


def terminal(*, as_json: bool) -> Terminal:
    """Give the streams of a command."""
    from automarket.cli.terminal import Terminal

    return Terminal(as_json=as_json)


def run(screen: Terminal, work: Coroutine[Any, Any, Any]) -> None:
    """Run a command to its end; what it fails with is said in words and becomes the exit code.

    Raises:
        typer.Exit: the command failed.
    """
    with failures_told(screen):
        asyncio.run(work)


@contextlib.contextmanager
def failures_told(screen: Terminal) -> Generator[None]:
    """Say in words what the block fails with, and make it the exit code.

    Raises:
        typer.Exit: the block failed.
    """
    try:
        yield
    except AutoMarketError as error:
        screen.error(error)
        raise typer.Exit(exit_of(error)) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(Exit.INTERRUPTED) from None
    except BrokenPipeError:  # whoever read the output has had enough
        raise
    except OSError as error:  # a file of the user's
        screen.error(AutoMarketError(f"{error.filename or 'file'}: {error.strerror}"))
        raise typer.Exit(Exit.FAILED) from None
