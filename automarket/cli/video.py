"""`automarket video`: make videos of text, pictures and videos."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a video; None and empty is not asked.

    Attributes:
        prompt: what happens in it.
        speech: what is said in it: a word for a recording.
        face: the face to put into it: a word for a picture or a video.
        end_image: a word for the last picture.
        overlays: words for what is laid over it, each with where and when.
        upscale: a factor, or the height to reach.
        duration: how long it plays, in seconds.
        shared: options that have the same name for all that can be made.
    """

    prompt: str | None
    speech: str
    face: str
    end_image: str
    overlays: tuple[str, ...]
    upscale: str
    duration: float | None
    shared: dict[str, Any]


def video(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="TEXT|PICTURE|VIDEO", help="What happens; or a file, URL or stored picture or video."),
    ],
    *,
    prompt: Annotated[str | None, typer.Option("--prompt", help="What happens in the video.")] = None,
    speech: Annotated[str, typer.Option("--speech", metavar="FILE", help="What is said in it: lips move to it.")] = "",
    face: Annotated[str, typer.Option("--face", metavar="FILE", help="A face to put into the video.")] = "",
    end_image: Annotated[str, typer.Option("--end-image", metavar="FILE", help="The last picture.")] = "",
    overlay: Annotated[
        list[str] | None,
        typer.Option(
            "--overlay",
            metavar="FILE[,NAME=VALUE...]",
            help="Lay a picture or video over it: logo.png,position=top-right,start=1,duration=2,opacity=0.5; again "
            "for more. Also x, y, width, height.",
        ),
    ] = None,
    upscale: Annotated[
        str, typer.Option("--upscale", metavar="FACTOR|HEIGHT", help='More pixels: "2" times, or up to "1080p".')
    ] = "",
    duration: Annotated[float | None, typer.Option("--duration", help="How long it plays, in seconds.")] = None,
    fps: Annotated[float | None, typer.Option("--fps", help="Pictures a second.")] = None,
    aspect_ratio: Annotated[str | None, typer.Option("--aspect-ratio", help='Width to height: "16:9".')] = None,
    resolution: Annotated[str | None, typer.Option("--resolution", help='Height: "720p".')] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="The same seed gives the same video.")] = None,
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
    """Make a video of a text or a picture, or change a video.

    automarket video "a kite rises" -o kite.mp4

    automarket video photo.jpg --prompt "she smiles" -o smile.mp4

    automarket video talk.mp4 --speech german.wav -o german.mp4

    automarket video talk.mp4 --overlay logo.png,position=top-right -o final.mp4
    """
    screen = terminal(as_json=json)
    shared = {"fps": fps, "aspect_ratio": aspect_ratio, "resolution": resolution, "seed": seed}
    shared["negative_prompt"] = negative
    wish = Wish(prompt, speech, face, end_image, tuple(overlay or ()), upscale, duration, shared)

    async def prepare(mesh: Mesh) -> Work:
        from automarket.cli.generating import put_together
        from automarket.cli.video_task import task_of

        task = await task_of(inputs, wish, mesh)
        target = {"capability": task.capability, "model": model, "provider": provider}
        return await put_together(
            mesh, target, task.arguments, task.options, more=option or (), out=out, names=task.names
        )

    perform(screen, address, prepare, Manner(out, timeout, quiet, job, estimate))
