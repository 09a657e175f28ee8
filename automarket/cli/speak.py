"""`automarket speak`: have a text spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.running import (
    DEFAULT_ADDRESS,
    Address,
    AsJob,
    Estimate,
    Json,
    ModelName,
    Options,
    Out,
    ProviderName,
    Quiet,
    Timeout,
    terminal,
)
from automarket.cli.transforming import Manner, Work, perform

if TYPE_CHECKING:
    from automarket.client.mesh import Mesh


def speak(
    text: Annotated[
        list[str], typer.Argument(metavar="TEXT", help="What to say: words, a file of text, or - for standard input.")
    ],
    *,
    voice: Annotated[
        str | None,
        typer.Option("--voice", help="One of the provider's voices (see `voices ls`), or a recording to speak like."),
    ] = None,
    speed: Annotated[float | None, typer.Option("--speed", help="1 is the voice's own.")] = None,
    language: Annotated[str | None, typer.Option("--language", help='As a BCP 47 tag: "en".')] = None,
    model: ModelName = "",
    provider: ProviderName = "",
    option: Options = None,
    out: Out = "",
    timeout: Timeout = None,
    quiet: Quiet = False,
    job: AsJob = False,
    estimate: Estimate = False,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Have a text spoken.

    automarket speak "good morning" -o morning.wav

    automarket speak story.txt --voice sample.wav -o story.mp3
    """
    screen = terminal(as_json=json)

    async def prepare(mesh: Mesh) -> Work:
        from automarket.cli.generating import kind_of, put_together, read_all, text_of, unclear

        values = await read_all(text, mesh)
        if {kind_of(value) for value in values} != {"text"}:
            raise unclear("only text can be spoken", "give words, a file of text, or - for standard input")
        sample: Any = await _voice(voice, mesh)
        capability = "text-to-speech" if isinstance(sample, str | None) else "voice-cloning"
        target = {"capability": capability, "model": model, "provider": provider}
        options = {"voice": sample, "speed": speed, "language": language}
        return await put_together(mesh, target, text_of(values, text), options, more=option or (), out=out, names=text)

    perform(screen, address, prepare, Manner(out, timeout, quiet, job, estimate))


async def _voice(word: str | None, mesh: Mesh) -> Any:
    """Give the name of a voice, or the recording that the word stands for."""
    from automarket.cli.inputs import DIGEST_PREFIX, read_input

    if word is None or (not word.startswith((DIGEST_PREFIX, "http://", "https://")) and not _is_file(word)):
        return word
    return await read_input(word, mesh)


def _is_file(word: str) -> bool:
    from pathlib import Path

    return Path(word).expanduser().is_file()
