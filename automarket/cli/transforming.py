"""Running a model for a command: inputs in, progress on the way, files out, and what there is to tell of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from automarket.cli.exits import Exit
from automarket.cli.plain import price
from automarket.cli.running import run
from automarket.errors import AutoMarketError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from automarket.assets import Asset
    from automarket.cli.terminal import Terminal
    from automarket.cli.transform_view import TransformView
    from automarket.client.mesh import Mesh
    from automarket.client.results import Report, Result

_SUBTITLES = (".srt", ".vtt")


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command runs a model.

    Attributes:
        out: where the result goes.
        timeout: seconds that it may take; None is no bound.
        quiet: the result alone is printed.
        job: it is followed as a job, which goes on when the command is interrupted.
        estimate: nothing is run; it is said what that would cost.
    """

    out: str = ""
    timeout: float | None = None
    quiet: bool = False
    job: bool = False
    estimate: bool = False


@dataclass(frozen=True, slots=True)
class Work:
    """What is run: the target, inputs in slot order, inputs by name and options, and what the inputs are called."""

    target: Mapping[str, str]
    arguments: Sequence[Any]
    keywords: Mapping[str, Any] = field(default_factory=dict[str, Any])
    names: Sequence[str] = ()


def perform(screen: Terminal, address: str, prepare: Callable[[Mesh], Awaitable[Work]], manner: Manner) -> None:
    """Run what `prepare` says, or say what it would cost.

    Raises:
        typer.Exit: it failed, or nobody knows.
    """
    work = say_cost(screen, address, prepare) if manner.estimate else carry_out(screen, address, prepare, manner)
    run(screen, work)


async def carry_out(screen: Terminal, address: str, prepare: Callable[[Mesh], Awaitable[Work]], manner: Manner) -> None:
    """Run what `prepare` says, write what comes out, and tell of it. Ctrl-C cancels it, and leaves a job alone."""
    import automarket
    from automarket.cli.progress import LiveProgress
    from automarket.cli.transform_view import TransformView

    shows = screen.out.is_terminal and not screen.as_json and manner.out != "-"
    quiet = manner.quiet or screen.as_json
    async with automarket.connect(address) as mesh:
        work = await prepare(mesh)
        with LiveProgress(screen.live, quiet=quiet) as progress:
            view = TransformView(screen, progress, work.names, words=shows, quiet=quiet)
            call: dict[str, Any] = {**work.target, **work.keywords, "timeout": manner.timeout, "job": manner.job}
            async with mesh.stream(*work.arguments, **call) as stream:
                job = stream.request_id if manner.job else ""
                try:
                    async for event in stream:
                        if event.sequence == 1 and job and not quiet:
                            screen.note(f"job {job}")
                        view.show(event)
                except asyncio.CancelledError:
                    if job:
                        screen.note(f"the job goes on: automarket jobs watch {job}")
                    raise
                finally:
                    view.end_line()
                result = await stream.result()
    try:
        files = await save(result, manner.out, view)
    except (AutoMarketError, OSError, ValueError):
        if not screen.as_json:
            _tell_kept(screen, stream.report)  # it may have been paid for
        raise
    if screen.as_json:
        screen.json(_facts(result, stream.report, [file for file, _ in files], view))
        return
    _print(screen, result, files, view)
    if not manner.quiet:
        _print_route(screen, result, stream.report, work.names)


async def say_cost(screen: Terminal, address: str, prepare: Callable[[Mesh], Awaitable[Work]]) -> None:
    """Say what it would cost to run what `prepare` says; where nobody knows, the exit code says so, too.

    Raises:
        typer.Exit: nobody knows.
    """
    import automarket

    async with automarket.connect(address) as mesh:
        work = await prepare(mesh)
        call: dict[str, Any] = {**work.target, **work.keywords}
        estimate = await mesh.estimate(*work.arguments, **call)
    if screen.as_json:
        screen.json(estimate)
    else:
        units = f" ({estimate.units:g} x {estimate.unit})" if estimate.unit and estimate.units else ""
        screen.say(f"{price(estimate)}{units}")
        screen.note(f"{estimate.provider_id}, model {estimate.model_id}")
    if estimate.cost is None:
        raise typer.Exit(Exit.FAILED)


async def work_of(
    mesh: Mesh, target: Mapping[str, str], inputs: Sequence[str], options: Sequence[str], out: str
) -> Work:
    """Give what words on a command line ask of a target: inputs in order or by name, and options."""
    from automarket.cli.inputs import parse_options, read_inputs
    from automarket.cli.outputs import format_for

    info = (await mesh.model(**target)).info
    chosen = format_for(out, info) | parse_options(options, info.options_schema or {})
    arguments, named = await read_inputs(inputs, info, mesh)
    repeated = {slot.name for slot in info.inputs if slot.repeated}
    by_name = {name: values if name in repeated or len(values) > 1 else values[0] for name, values in named.items()}
    return Work(target, arguments, chosen | by_name, list(map(name_of, inputs)))


def name_of(word: str) -> str:
    """Say what an input is called: the name of its file, or "text"."""
    return Path(word).name if len(word) < 200 else "text"


def assets_of(result: Result) -> list[Asset]:
    """Give all assets of a result."""
    from automarket.client.results import CompositionResult

    if isinstance(result, CompositionResult):
        return [result.video]
    return list(result) if isinstance(result, list) else [result]


async def save(result: Result, out: str, view: TransformView) -> list[tuple[Path, Asset]]:
    """Write the result; give each file with what it holds."""
    from automarket.cli.outputs import as_named, paths_for, subtitles, write_asset

    if not out:
        return []
    path = Path(out).expanduser()
    if path.suffix.lower() in _SUBTITLES and view.segments:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(subtitles(view.segments, path.suffix.lower()), encoding="utf-8")
        return [(path, assets_of(result)[0])]
    assets = assets_of(result)
    files = [(file, await as_named(asset, file)) for asset, file in zip(assets, paths_for(out, assets), strict=True)]
    for file, asset in files:
        await write_asset(asset, file)
    return files


def _print(screen: Terminal, result: Result, files: Sequence[tuple[Path, Asset]], view: TransformView) -> None:
    from automarket.cli.plain import to_json
    from automarket.client.results import CompositionResult

    if files and str(files[0][0]) == "-":
        return
    for file, asset in files:
        _tell_file(screen, file, asset)
    if isinstance(result, CompositionResult):
        screen.say(to_json(result.facts))
    elif not files:
        for asset in assets_of(result):
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


def _print_route(screen: Terminal, result: Result, report: Report, names: Sequence[str]) -> None:
    from automarket.cli.transform_view import made_lines, route_lines

    for what, line in (*route_lines(report, names), *made_lines(assets_of(result))):
        screen.note(f"{what:<9} {line}")
    _tell_kept(screen, report)


def _tell_kept(screen: Terminal, report: Report) -> None:
    for one in (one for one in report.outputs if one.stored):
        screen.note(f"kept      {one.digest[:19]} (automarket assets get {one.digest[:19]} -o FILE)")


def _facts(result: Result, report: Report, files: Sequence[Path], view: TransformView) -> dict[str, Any]:
    from automarket.assets import Text
    from automarket.client.results import CompositionResult

    texts = [asset for asset in assets_of(result) if isinstance(asset, Text)]
    return {
        "text": texts[0].content if texts else None,
        "language": texts[0].language if texts else None,
        "confidence": texts[0].confidence if texts else None,
        "segments": view.segments,
        "outputs": [
            {"digest": asset.digest, "size_bytes": asset.size_bytes, "media_type": asset.media_type, **_made(asset)}
            for asset in assets_of(result)
        ],
        "composition": result.facts if isinstance(result, CompositionResult) else None,
        "files": list(files),
        "report": report,
    }


def _made(asset: Asset) -> dict[str, Any]:
    from automarket.assets.media import Media

    return {"metadata": asset.metadata} if isinstance(asset, Media) else {}
