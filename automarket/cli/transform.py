"""`automarket transform`: run a model over inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from automarket.cli.completion import complete_capability
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
from automarket.cli.transforming import Manner, Work, perform, work_of

if TYPE_CHECKING:
    from automarket.client.mesh import Mesh


def transform(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Files, stored assets (sha256:...), URLs, text, or - for standard input, in the order of the model's "
            "inputs; or by name: voice=sample.wav.",
        ),
    ],
    *,
    capability: Annotated[
        str,
        typer.Option("--capability", "-c", help="What to do: speech-to-text, ...", autocompletion=complete_capability),
    ] = "",
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
    """Run a model over media or text.

    automarket transform talk.mp4 -c speech-to-text

    automarket transform "hello there" -c text-to-speech -o hello.wav
    """
    if not (capability or model or provider):
        raise typer.BadParameter("say what to do: --capability, --model or --provider", param_hint="INPUT")
    screen = terminal(as_json=json)
    target = {"capability": capability, "model": model, "provider": provider}

    async def prepare(mesh: Mesh) -> Work:
        return await work_of(mesh, target, inputs, option or [], out)

    perform(screen, address, prepare, Manner(out, timeout, quiet, job, estimate))
