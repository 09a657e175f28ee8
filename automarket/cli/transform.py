"""`automarket transform`: run a model over inputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.completion import complete_capability
from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, run, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.assets import Asset
    from automarket.cli.terminal import Terminal
    from automarket.cli.transform_view import TransformView
    from automarket.client.mesh import Mesh
    from automarket.client.results import Report, Result

_SUBTITLES = (".srt", ".vtt")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What the command line asks for."""

    words: Sequence[str]
    target: dict[str, str]
    options: Sequence[str]
    out: str
    timeout: float | None
    quiet: bool


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
    model: Annotated[str, typer.Option("--model", "-m", help="Which model.")] = "",
    provider: Annotated[str, typer.Option("--provider", "-p", help="Whose.")] = "",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="NAME=VALUE", help="An option of the model; again for more. See `models M`."),
    ] = None,
    out: Annotated[
        str,
        typer.Option("-o", "--output", metavar="OUT", help="File to write, folder for several, - for standard out."),
    ] = "",
    timeout: Annotated[float | None, typer.Option(help="Give up after so many seconds.", min=0.001)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result alone.")] = False,
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
    run(screen, _transform(screen, address, _Wish(inputs, target, option or [], out, timeout, quiet)))


async def _transform(screen: Terminal, address: str, wish: _Wish) -> None:
    import automarket
    from automarket.cli.progress import LiveProgress
    from automarket.cli.transform_view import TransformView

    names = [Path(word).name if len(word) < 200 else "text" for word in wish.words]
    shows = screen.out.is_terminal and not screen.as_json and wish.out != "-"
    async with automarket.connect(address) as mesh:
        arguments, keywords = await _arguments(mesh, wish)
        with LiveProgress(screen.live, quiet=wish.quiet or screen.as_json) as progress:
            view = TransformView(screen, progress, names, words=shows)
            async with mesh.stream(*arguments, **wish.target, **keywords, timeout=wish.timeout) as stream:
                try:
                    async for event in stream:
                        view.show(event)
                finally:
                    view.end_line()
                result = await stream.result()
    files = await _save(result, wish.out, view)
    if screen.as_json:
        screen.json(_facts(result, stream.report, files, view))
        return
    _print(screen, result, files, view)
    if not wish.quiet:
        _print_route(screen, stream.report, names)


async def _arguments(mesh: Mesh, wish: _Wish) -> tuple[list[Any], dict[str, Any]]:
    """Give the inputs in order, and those by name together with the options."""
    from automarket.cli.inputs import parse_options, read_inputs
    from automarket.cli.outputs import format_for

    info = (await mesh.model(**wish.target)).info
    options = format_for(wish.out, info) | parse_options(wish.options, info.options_schema or {})
    arguments, named = await read_inputs(wish.words, info, mesh)
    repeated = {slot.name for slot in info.inputs if slot.repeated}
    by_name = {name: values if name in repeated or len(values) > 1 else values[0] for name, values in named.items()}
    return arguments, options | by_name


def _assets(result: Result) -> list[Asset]:
    from automarket.client.results import CompositionResult

    if isinstance(result, CompositionResult):
        return [result.video]
    return list(result) if isinstance(result, list) else [result]


async def _save(result: Result, out: str, view: TransformView) -> list[Path]:
    from automarket.cli.outputs import paths_for, subtitles, write_asset

    if not out:
        return []
    path = Path(out).expanduser()
    if path.suffix.lower() in _SUBTITLES and view.segments:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(subtitles(view.segments, path.suffix.lower()), encoding="utf-8")
        return [path]
    assets = _assets(result)
    paths = paths_for(out, assets)
    for asset, file in zip(assets, paths, strict=True):
        await write_asset(asset, file)
    return paths


def _print(screen: Terminal, result: Result, files: Sequence[Path], view: TransformView) -> None:
    from automarket.cli.plain import to_json
    from automarket.client.results import CompositionResult

    if str(files[0] if files else "") == "-":
        return
    for file, asset in zip(files, _assets(result), strict=False):
        _tell_file(screen, file, asset)
    if isinstance(result, CompositionResult):
        screen.say(to_json(result.facts))
    elif not files:
        for asset in _assets(result):
            _print_asset(screen, asset, view)


def _tell_file(screen: Terminal, file: Path, asset: Asset) -> None:
    from automarket.assets import Text

    screen.note(f"wrote {file}", style="green")
    if not isinstance(asset, Text) and file.suffix.lower().removeprefix(".") not in asset.format.extensions:
        screen.note(f"{file.name} holds {asset.media_type}", style="yellow")


def _print_asset(screen: Terminal, asset: Asset, view: TransformView) -> None:
    from automarket.assets import Text
    from automarket.cli.plain import clean

    if not isinstance(asset, Text):
        screen.say(f"{asset.digest} {asset.media_type}")
    elif not screen.out.is_terminal:
        typer.echo(asset.content)
    elif not view.showed_text:
        screen.say(clean(asset.content))


def _print_route(screen: Terminal, report: Report, names: Sequence[str]) -> None:
    from automarket.cli.transform_view import route_lines

    for what, line in route_lines(report, names):
        screen.note(f"{what:<9} {line}")
    kept = [one for one in report.outputs if one.stored]
    for one in kept:
        screen.note(f"kept      {one.digest[:19]} (automarket assets get {one.digest[:19]} -o FILE)")


def _facts(result: Result, report: Report, files: Sequence[Path], view: TransformView) -> dict[str, Any]:
    from automarket.assets import Text
    from automarket.client.results import CompositionResult

    texts = [asset for asset in _assets(result) if isinstance(asset, Text)]
    return {
        "text": texts[0].content if texts else None,
        "language": texts[0].language if texts else None,
        "confidence": texts[0].confidence if texts else None,
        "segments": view.segments,
        "outputs": [
            {"digest": asset.digest, "size_bytes": asset.size_bytes, "media_type": asset.media_type}
            for asset in _assets(result)
        ],
        "composition": result.facts if isinstance(result, CompositionResult) else None,
        "files": list(files),
        "report": report,
    }
