"""The command `automarket up`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.running import Json, run, terminal

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator, Sequence

    from automarket.cli.terminal import Terminal
    from automarket.cli.up.announce import Announcer
    from automarket.cli.up.layout import Layout
    from automarket.cli.up.mesh import LocalMesh
    from automarket.cli.up.supervisor import Supervisor

HOST = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def up(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535)] = 50051,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Where assets and logs are kept [default: ~/.local/share/automarket]."),
    ] = None,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="Start this provider only; again for more.")
    ] = None,
    *,
    workers: Annotated[
        int, typer.Option(help="How many gateway processes share the port; one uses one core.", min=1, max=64)
    ] = 1,
    drain_seconds: Annotated[
        float,
        typer.Option(
            help="How long calls under way may go on when the mesh stops.",
            min=0,
            envvar="AUTOMARKET_GATEWAY_DRAIN_SECONDS",
        ),
    ] = 30,
    json: Json = False,
) -> None:
    """Start a mesh on this machine and keep it running until Ctrl-C.

    Runs the asset store, the gateway and every provider that can run here. With --json it prints an object a line.
    """
    screen = terminal(as_json=json)
    run(screen, _up(screen, port, data_dir, provider or [], _Gateway(workers, drain_seconds)))


@dataclass(frozen=True, slots=True)
class _Gateway:
    workers: int
    drain_seconds: float


async def _up(screen: Terminal, port: int, data_dir: Path | None, names: Sequence[str], gateway: _Gateway) -> None:
    _check_installed()
    # These need the mesh extra.
    from automarket.cli.up.announce import Announcer
    from automarket.cli.up.known import choose, list_providers
    from automarket.cli.up.layout import default_data_dir, lay_out
    from automarket.cli.up.lock import lock_data_dir
    from automarket.cli.up.mesh import LocalMesh
    from automarket.cli.up.port import claim_port, held_port

    say = Announcer(screen)
    say.starting()
    providers = choose(await list_providers(), names)
    layout = lay_out(data_dir or default_data_dir())
    lock = await lock_data_dir(layout.lock_file, f"{HOST}:{port}")
    try:
        port = await claim_port(HOST, port)
        mesh = LocalMesh(
            layout, f"{HOST}:{port}", providers, workers=gateway.workers, drain_seconds=gateway.drain_seconds
        )
        with held_port(HOST, port) if gateway.workers > 1 else contextlib.nullcontext():
            await _keep(mesh, layout, lock, say)
    finally:
        os.close(lock)


def _check_installed() -> None:
    from automarket.cli.checks import missing_mesh_packages
    from automarket.errors import EngineMissing

    if missing := missing_mesh_packages():
        raise EngineMissing(
            f"a mesh needs more than this environment has: {', '.join(missing)}", hint="pip install 'automarket[mesh]'"
        )


async def _keep(mesh: LocalMesh, layout: Layout, lock: int, say: Announcer) -> None:
    """Run the mesh until a signal comes."""
    from automarket.cli.up.mesh import supervised

    with _signals() as stop:
        async with supervised(layout, lock, say.child) as supervisor:
            if await _before(stop, _start(mesh, supervisor, layout, say)):
                await stop.get()
            say.stopping()
            # A second signal leaves the supervisor, which kills what is left.
            await _before(stop, mesh.stop(supervisor))
        say.stopped()


async def _start(mesh: LocalMesh, supervisor: Supervisor, layout: Layout, say: Announcer) -> None:
    await mesh.start(supervisor)
    providers, models = await mesh.describe()
    say.ready(mesh.address, mesh.workers, layout, providers, models)


async def _before(stop: asyncio.Queue[int], work: Coroutine[Any, Any, None]) -> bool:
    """Do work, but no longer than until a signal comes; tell whether none came."""
    working = asyncio.create_task(work)
    waiting = asyncio.create_task(stop.get())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
        return not waiting.done()
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.wait({working, waiting})


@contextlib.contextmanager
def _signals() -> Generator[asyncio.Queue[int]]:
    """Give the signals that ask for an end, as they come."""
    received: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]  # nohup has one ignored
    for number in heeded:
        loop.add_signal_handler(number, received.put_nowait, number)
    try:
        yield received
    finally:
        for number in heeded:
            loop.remove_signal_handler(number)
