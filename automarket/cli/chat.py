"""`automarket chat`: talk with a language model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, failures_told, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.cli.terminal import Terminal
    from automarket.sync import Mesh


def chat(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...", help="Files, stored assets (sha256:...) and text, which go before what is asked first."
        ),
    ] = None,
    *,
    model: Annotated[str, typer.Option("--model", "-m", help="Which model.")] = "",
    provider: Annotated[str, typer.Option("--provider", "-p", help="Whose.")] = "",
    system: Annotated[str, typer.Option("--system", "-s", help="What the model is to be and to do.")] = "",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the model; again for more. See `models M`."),
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Give up an answer after so many seconds.", min=0.001)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answers alone.")] = False,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Talk with a language model.

    On a terminal it goes on until Ctrl-D, and remembers what was said; Ctrl-C stops an answer. From a pipe it answers
    once.

    automarket chat --model llama3.2

    git diff | automarket chat -s "Review this." -q
    """
    screen = terminal(as_json=json)
    wish = {"model": model, "provider": provider}
    with failures_told(screen):
        from automarket import sync

        with sync.connect(address) as mesh:
            _talk(screen, mesh, wish, inputs or [], _Settings(system, option or [], timeout), quiet=quiet)


class _Settings:
    """How answers are asked for."""

    def __init__(self, system: str, words: Sequence[str], timeout: float | None) -> None:
        self._system = system
        self._words = words
        self._timeout = timeout

    def options(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Give the options of a call. Raises InvalidRequestError."""
        from automarket.cli.inputs import parse_options

        options = parse_options(self._words, schema)
        if self._system:
            options["system_prompt"] = self._system
        return options | {"timeout": self._timeout}


def _talk(
    screen: Terminal, mesh: Mesh, wish: dict[str, str], words: Sequence[str], settings: _Settings, *, quiet: bool
) -> None:
    from automarket.cli.chat_inputs import read_given
    from automarket.cli.chat_session import Session

    model = mesh.text_to_text(wish["model"], provider=wish["provider"])
    session = Session(screen, mesh, model, settings.options(model.info.options_schema or {}), quiet=quiet)
    given = read_given(words, mesh)
    if sys.stdin.isatty():
        session.converse(given)
    else:
        session.answer_once(given, sys.stdin.buffer.read())
