"""`automarket services`: the backends behind providers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automarket.cli.exits import Exit, exit_of
from automarket.cli.running import DEFAULT_ADDRESS, Address, Json, run, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.cli.services_view import ServicesView
    from automarket.cli.terminal import Terminal
    from automarket.client.mesh import Mesh
    from automarket.errors import AutoMarketError
    from automarket.service_status import ServiceStatus

app = typer.Typer(no_args_is_help=True, help="Start, stop and watch the backends behind providers.")

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Providers, by id or alias.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A provider, by id or alias.")]


@app.command("ls")
def list_services(address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """List the providers that have a backend, and how it is."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.backends import ask_backends
        from automarket.cli.services_view import print_backends

        async with automarket.connect(address) as mesh:
            found = await ask_backends(mesh)
        if screen.as_json:
            there = [one for changes in found.services.values() for one in changes]
            missing = [{"provider_id": one.id, "availability": one.availability} for one in found.missing()]
            screen.json([*there, *missing])
        else:
            print_backends(screen, found)

    run(screen, work())


@app.command()
def up(
    names: Names,
    *,
    timeout: Annotated[
        float | None, typer.Option(help="Wait no longer than so many seconds; the start goes on.", min=0.001)
    ] = None,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Start backends and wait until they are ready. With --json it prints an object a line."""
    screen = terminal(as_json=json)
    run(screen, _up(screen, address, names, timeout))


async def _up(screen: Terminal, address: str, names: Sequence[str], timeout: float | None) -> None:
    import automarket
    from automarket.cli.services_view import ServicesView

    async with automarket.connect(address) as mesh:
        with ServicesView(screen) as view:
            starts = (_start(mesh, view, name, timeout) for name in dict.fromkeys(names))
            errors = [error for error in await asyncio.gather(*starts) if error is not None]
        _raise_first(screen, errors)


async def _start(mesh: Mesh, view: ServicesView, name: str, timeout: float | None) -> AutoMarketError | None:
    from automarket.errors import AutoMarketError

    try:
        view.end(name, await mesh.provider(name).start_service(timeout, on_status=lambda one: view.show(name, one)))
    except AutoMarketError as error:
        view.drop(name)
        return error
    return None


def _raise_first(screen: Terminal, errors: Sequence[AutoMarketError]) -> None:
    """Say what went wrong with each; the first one gives the exit code."""
    for error in errors:
        screen.error(error)
    if errors:
        raise typer.Exit(exit_of(errors[0]))


@app.command()
def down(names: Names, *, address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Stop backends. What the mesh did not start, and what calls are using, goes on."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        stopped: dict[str, ServiceStatus] = {}
        async with automarket.connect(address) as mesh:
            for name in dict.fromkeys(names):
                stopped[name] = await mesh.provider(name).stop_service()
                if not screen.as_json:
                    _tell_stopped(screen, name, stopped[name])
        if screen.as_json:
            screen.json(stopped)
        if any(status.running and status.managed for status in stopped.values()):
            raise typer.Exit(Exit.TRY_AGAIN)

    run(screen, work())


def _tell_stopped(screen: Terminal, name: str, status: ServiceStatus) -> None:
    if status.running and not status.managed:
        screen.say(f"{name}: the mesh did not start it, and leaves it running")
    else:
        screen.say(f"{name}: {status.message or status.state}")


@app.command("status")
def show_status(name: Name, *, address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Say how the backend of a provider is."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.services_view import status_facts

        async with automarket.connect(address) as mesh:
            status = await mesh.provider(name).service_status()
        if screen.as_json:
            screen.json(status)
            return
        for number, (instance, one) in enumerate(status.instances or (("", status),)):
            if number:
                screen.say("")
            screen.facts(status_facts(name, instance, one))

    run(screen, work())


@app.command()
def logs(
    name: Name,
    *,
    lines: Annotated[int, typer.Option("-n", "--lines", help="So many of the last lines.", min=1, max=1000)] = 200,
    address: Address = DEFAULT_ADDRESS,
    json: Json = False,
) -> None:
    """Print the last lines that the backend of a provider wrote."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket

        async with automarket.connect(address) as mesh:
            status = await mesh.provider(name).service_status(log_lines=lines)
        instances: dict[str, Any] = {instance: one.log_lines for instance, one in status.instances}
        if screen.as_json:
            screen.json(instances)
            return
        for instance, written in (instances or {"": status.log_lines}).items():
            if len(instances) > 1:
                screen.note(f"== {instance}")
            for line in written:
                screen.say(line)
        if not any(instances.values() or [status.log_lines]):
            screen.note("it has written nothing")

    run(screen, work())


@app.command()
def watch(address: Address = DEFAULT_ADDRESS, json: Json = False) -> None:
    """Print how backends are and what becomes of them, until Ctrl-C. With --json it prints an object a line."""
    screen = terminal(as_json=json)

    async def work() -> None:
        import automarket
        from automarket.cli.services_view import ServicesView

        async with automarket.connect(address) as mesh:
            with ServicesView(screen, moves=False) as view:
                async for change in mesh.watch(include_models=False):
                    if (service := change.service) is not None:
                        view.show(service.provider_id, service.status, service.instance_id)

    run(screen, work())
