"""`automarket image`: make pictures of a text or of pictures."""

from __future__ import annotations

import re
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

_SIZE = re.compile(r"(\d+)x(\d+)")


def image(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="TEXT|PICTURE...", help="What the picture shows; or files, URLs or stored pictures."),
    ],
    *,
    prompt: Annotated[str | None, typer.Option("--prompt", help="What the pictures that are given become.")] = None,
    upscale: Annotated[
        float | None, typer.Option("--upscale", metavar="FACTOR", help="Give the picture so many times the pixels.")
    ] = None,
    count: Annotated[int | None, typer.Option("--count", "-n", help="How many pictures.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same picture.")] = None,
    aspect_ratio: Annotated[str | None, typer.Option("--aspect-ratio", help='Width to height: "16:9".')] = None,
    size: Annotated[str | None, typer.Option("--size", metavar="WxH", help="Width and height in pixels.")] = None,
    negative: Annotated[str | None, typer.Option("--negative-prompt", help="What it should not show.")] = None,
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
    """Make pictures of a text, or of pictures.

    automarket image "a red kite" -o kite.png

    automarket image kite.png --prompt "at sunset" -o sunset.png

    automarket image kite.png --upscale 2 -o large.png
    """
    screen = terminal(as_json=json)
    shared = {"count": count, "seed": seed, "aspect_ratio": aspect_ratio, "negative_prompt": negative}
    shared |= _sides(size)

    async def prepare(mesh: Mesh) -> Work:
        from automarket.cli.generating import put_together, read_all, text_of

        values = await read_all(inputs, mesh)
        capability, own = _task(values, prompt, upscale)
        arguments = text_of(values, inputs) if capability == "text-to-image" else values
        target = {"capability": capability, "model": model, "provider": provider}
        return await put_together(mesh, target, arguments, shared | own, more=option or (), out=out, names=inputs)

    perform(screen, address, prepare, Manner(out, timeout, quiet, job, estimate))


def _sides(size: str | None) -> dict[str, Any]:
    if size is None:
        return {}
    found = _SIZE.fullmatch(size)
    if found is None:
        raise typer.BadParameter("it is written as 1024x768", param_hint="--size")
    return {"width": int(found[1]), "height": int(found[2])}


def _task(values: list[Any], prompt: str | None, upscale: float | None) -> tuple[str, dict[str, Any]]:
    """Say what is to be done with the inputs, and the options for that."""
    from automarket.cli.generating import kind_of, unclear

    kinds = {kind_of(value) for value in values}
    if kinds == {"text"}:
        if prompt is not None or upscale is not None:
            message = "a text is a prompt itself, and has no pixels to give more of"
            raise unclear(message, "name a picture for --prompt or --upscale, or leave them out")
        return "text-to-image", {}
    if kinds != {"image"}:
        given = " and ".join(sorted(kinds))
        raise unclear(f"pictures are made of text or of pictures, not of {given}", "automarket image --help")
    if upscale is not None:
        return "image-upscale", {"scale": upscale, "prompt": prompt}
    return "image-to-image", {"prompt": prompt}
