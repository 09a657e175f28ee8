"""`automarket jobs`: transforms that outlive whoever asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.completion import complete_capability
from automarket.cli.running import (
    DEFAULT_ADDRESS,
    Address,
    Estimate,
    Json,
    ModelName,
    Options,
    Out,
    ProviderName,
    Quiet,
    run,
    terminal,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.cli.terminal import Terminal
    from automarket.cli.transforming import Work
    from automarket.client.job_info import JobInfo
    from automarket.client.mesh import Mesh

app = typer.Typer(no_args_is_help=True, help="Create, list, follow, cancel and repeat jobs.")

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, or a beginning that it alone has.")]
Labels = Annotated[
    list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A word of your own; again for more.")
]
_SHORTEST = 4


async def find(mesh: Mesh, job_id: str) -> str:
    """Give the id that a word stands for.

    Raises:
        JobUnknown: no job, or several jobs, begin so.
    """
    from automarket.errors import JobUnknown

    if len(job_id) >= 36:
        return job_id
    found = [job.id async for job in mesh.jobs.list(page_size=1000) if job.id.startswith(job_id.lower())]
    if len(job_id) < _SHORTEST or len(found) != 1:
        how_many = "no job" if not found else f"{len(found)} jobs"
        raise JobUnknown(f"{how_many} of the mesh begin with {job_id!r}", hint="automarket jobs ls lists them")
    return found[0]


def _pairs(words: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        key, equals, pairs[key] = word.partition("=")
        if not equals:
            raise typer.BadParameter("a label is KEY=VALUE", param_hint="--label")
    return pairs


@app.command("ls")
def list_jobs(
    *,
    state: Annotated[
        list[str] | None, typer.Option("--state", "-s", help="Only those: queued, running, failed; again for more.")
    ] = None,
    provider: Annotated[str, typer.Option("--provider", "-p", help="Only those of one provider.")] = "",
    label: Labels = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="At most so many.", min=1)] = 50,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """List jobs, newest first."""
    from automarket.client.job_info import JobState

    screen = terminal(as_json=json)
    try:
        states = [JobState(word.lower().replace("-", "_")) for word in state or []]
    except ValueError:
        known = ", ".join(one.value for one in JobState if one is not JobState.UNKNOWN)
        raise typer.BadParameter(f"states are {known}", param_hint="--state") from None

    async def work() -> None:
        import automarket
        from automarket.cli.jobs_view import plain, print_jobs

        async with automarket.connect(address) as mesh:
            found: list[JobInfo] = []
            listed = mesh.jobs.list(states=states, provider=provider, labels=_pairs(label or []), page_size=limit)
            async for job in listed:
                found.append(job)
                if len(found) == limit:
                    break
            await listed.aclose()
        if screen.as_json:
            screen.json([plain(job) for job in found])
        else:
            print_jobs(screen, found)

    run(screen, work())


@app.command()
def show(job: JobId, *, address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Describe a job: where it is, what it has made, what it cost, why it failed."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            _print(screen, await mesh.jobs.get(await find(mesh, job)))

    run(screen, work())


def _print(screen: Terminal, job: JobInfo) -> None:
    from automarket.cli.jobs_view import facts, plain

    if screen.as_json:
        screen.json(plain(job))
    else:
        screen.facts((name, value) for name, value in facts(job) if value)


@app.command()
def cancel(job: JobId, *, address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """End a job, and wait until it is known how it ended: it may have been too late."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            _print(screen, await mesh.jobs.cancel(await find(mesh, job)))

    run(screen, work())


@app.command()
def retry(job: JobId, *, address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Create a new job that does the same as one that has ended."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            _print(screen, await mesh.jobs.retry(await find(mesh, job)))

    run(screen, work())


@app.command()
def watch(
    job: JobId,
    *,
    out: Out = "",
    quiet: Quiet = False,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Follow a job to its end; with -o write what it made. Ctrl-C leaves the job alone."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            await follow(screen, mesh, await find(mesh, job), out, quiet=quiet)

    run(screen, work())


async def follow(screen: Terminal, mesh: Mesh, job_id: str, out: str, *, quiet: bool) -> None:
    """Show a job until its end, and write what it made."""
    from automarket.cli.jobs_view import plain
    from automarket.cli.progress import LiveProgress
    from automarket.cli.transform_view import TransformView
    from automarket.cli.transforming import save

    shows = screen.out.is_terminal and not screen.as_json and out != "-"
    quiet = quiet or screen.as_json
    with LiveProgress(screen.live, quiet=quiet) as progress:
        view = TransformView(screen, progress, [], words=shows, quiet=quiet)
        stream = mesh.jobs.stream(job_id)
        try:
            async for event in stream:
                view.show(event)
        finally:
            view.end_line()
    files = [file for file, _ in await save(await stream.result(), out, view)] if out else []
    if out == "-":
        return
    ended = await mesh.jobs.get(job_id)
    if screen.as_json:
        screen.json(plain(ended) | {"files": files})
        return
    for file in files:
        screen.note(f"wrote {file}", style="green")
    if not quiet:
        _print(screen, ended)


@app.command()
def create(
    inputs: Annotated[
        list[str],
        typer.Argument(metavar="INPUT...", help="Files, stored assets (sha256:...), URLs or text, as for `transform`."),
    ],
    *,
    capability: Annotated[
        str,
        typer.Option("--capability", "-c", help="What to do: image-to-video, ...", autocompletion=complete_capability),
    ] = "",
    model: ModelName = "",
    provider: ProviderName = "",
    option: Options = None,
    priority: Annotated[int, typer.Option(help="Jobs of higher priority are begun first.", min=-100, max=100)] = 0,
    label: Labels = None,
    webhook: Annotated[str, typer.Option(metavar="URL", help="Where the mesh POSTs the job when it has ended.")] = "",
    estimate: Estimate = False,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Follow it to its end.")] = False,
    out: Annotated[
        str, typer.Option("-o", "--output", metavar="OUT", help="Follow it, and write what it made to OUT.")
    ] = "",
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Create a job and print its id; it goes on whoever watches.

    automarket jobs create photo.jpg -c image-to-video --option prompt="she waves" -o wave.mp4
    """
    if not (capability or model or provider):
        raise typer.BadParameter("say what to do: --capability, --model or --provider", param_hint="INPUT")
    screen = terminal(as_json=json)
    target = {"capability": capability, "model": model, "provider": provider}
    more: dict[str, Any] = {"priority": priority, "labels": _pairs(label or []), "webhook_url": webhook}

    async def prepare(mesh: Mesh) -> Work:
        from automarket.cli.transforming import work_of

        return await work_of(mesh, target, inputs, option or [], out)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            asked = await prepare(mesh)
            call: dict[str, Any] = {**asked.target, **asked.keywords, **more}
            job = await mesh.jobs.create(*asked.arguments, **call)
            if wait or out:
                screen.note(f"job {job.id}")
                await follow(screen, mesh, job.id, out, quiet=False)
            elif screen.as_json:
                _print(screen, job)
            else:
                screen.say(job.id)

    if estimate:
        from automarket.cli.transforming import say_cost

        run(screen, say_cost(screen, address, prepare))
    else:
        run(screen, work())
