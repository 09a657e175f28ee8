"""The processes of a mesh on one machine: what they are, in which order they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from automarket.cli.up.child import ChildSpec, ChildState, Surroundings
from automarket.cli.up.known import write_known
from automarket.cli.up.readiness import until_serving, until_sharing
from automarket.cli.up.supervisor import Supervisor
from automarket.client.mesh import connect
from automarket.errors import InvalidRequestError, UnavailableError
from automarket.lifetime import PARENT_VARIABLE, parent_pipe
from automarket.rpc import telemetry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from automarket.cli.up.child import ChildEvent
    from automarket.cli.up.known import KnownProvider
    from automarket.cli.up.layout import Layout
    from automarket.client.descriptors import ModelInfo, ProviderInfo
    from automarket.client.mesh import Mesh

STORE, CONTROL, GATEWAY = "asset-store", "control", "gateway"
REGISTER_SECONDS = 10.0
GRACE_SECONDS = 8.0
BACKEND_SECONDS = 15.0
DRAIN_SECONDS = 30.0


def child_of_provider(provider_id: str) -> str:
    """Give the name of a provider's process."""
    return f"provider-{provider_id}"


def workers_named(count: int) -> list[str]:
    """Give the names of the gateway's workers: gateway, gateway-2, gateway-3."""
    return [GATEWAY, *(f"{GATEWAY}-{number}" for number in range(2, count + 1))]


def server_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Give the command of a server of ours; -P keeps folders of the caller from being taken for ours."""
    return (sys.executable, "-P", "-m", module, *arguments)


class LocalMesh:
    """A mesh on this machine.

    Args:
        layout: its folders.
        address: its public address.
        providers: the providers of this machine; the available ones are started.
        workers: how many processes share the public port.
        drain_seconds: how long calls under way may go on when the mesh stops.

    Raises:
        InvalidRequestError: several workers are to share what is no port.
    """

    def __init__(
        self,
        layout: Layout,
        address: str,
        providers: Sequence[KnownProvider],
        *,
        workers: int = 1,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        if workers > 1 and address.startswith("unix:"):
            raise InvalidRequestError(
                f"{workers} workers cannot share {address}: the kernel spreads the connections of a port only",
                hint="listen on a port, or run one worker",
            )
        self.layout = layout
        self.address = address
        self.providers = providers
        self.workers = workers_named(workers)
        self._drain_seconds = drain_seconds
        self._started = [one for one in providers if one.available]

    async def start(self, supervisor: Supervisor) -> None:
        """Start all processes and wait until they take work; a provider that fails is reported and tried again.

        Raises:
            StateError: a process that nothing works without did not start.
        """
        write_known(self.layout.known_providers, self.providers)
        await supervisor.start_essential([self._store(), self._control()])
        providers = [self._provider(one) for one in self._started]
        starting = asyncio.create_task(supervisor.start(providers))
        try:
            await supervisor.start_essential([self._worker(name) for name in self.workers])
            events = await starting
        finally:
            starting.cancel()
            await asyncio.wait({starting})
        ready = {event.name for event in events if event.state == ChildState.READY}
        await self._until_registered({one.id for one in self._started if child_of_provider(one.id) in ready})

    async def stop(self, supervisor: Supervisor, grace: float = GRACE_SECONDS) -> None:
        """Stop all processes, the door first: calls under way may finish as long as what they need is there.

        The workers end by themselves when the time to drain is over; `grace` is what comes on top, and for the others.
        Providers have more of it, for they stop their backends.
        """
        providers = [child_of_provider(one.id) for one in self._started]
        await supervisor.stop([self.workers], self._drain_seconds + grace)
        await supervisor.stop([providers], grace + BACKEND_SECONDS)
        await supervisor.stop([[CONTROL, STORE]], grace)

    async def describe(self) -> tuple[list[ProviderInfo], list[ModelInfo]]:
        """Ask the mesh what it has; who would answer may be on its way back.

        Raises:
            UnavailableError: nobody answered for REGISTER_SECONDS.
        """
        deadline = time.monotonic() + REGISTER_SECONDS
        async with connect(self.address) as mesh:
            while True:
                try:
                    return await mesh.providers(), await mesh.models()
                except UnavailableError:
                    if time.monotonic() > deadline:
                        raise
                await asyncio.sleep(0.1)

    async def _until_registered(self, wanted: set[str]) -> None:
        """Wait until the mesh knows the providers, for a while: one that is slow turns up later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REGISTER_SECONDS), connect(self.address) as mesh:
                while not await _registered(mesh, wanted):  # noqa: ASYNC110 - the gateway gives no event before it can
                    await asyncio.sleep(0.05)

    def _server(self, name: str, address: str, module: str, *arguments: str) -> ChildSpec:
        return ChildSpec(name, server_command(module, "--listen", address, *arguments), partial(until_serving, address))

    def _store(self) -> ChildSpec:
        address = self.layout.socket(STORE)
        return self._server(STORE, address, "asset_store", "--data-dir", str(self.layout.assets))

    def _control(self) -> ChildSpec:
        return self._server(
            CONTROL,
            self.layout.socket(CONTROL),
            "gateway.control",
            *("--routes", self.layout.socket("routes")),
            *("--store", self.layout.socket(STORE)),
            *("--content-directory", str(self.layout.assets / "content")),
            *("--known-providers", str(self.layout.known_providers)),
            *("--data-dir", str(self.layout.state)),
        )

    def _worker(self, name: str) -> ChildSpec:
        shared = len(self.workers) > 1
        command = server_command(
            "gateway.relay",
            *("--listen", self.address),
            *("--routes", self.layout.socket("routes")),
            *("--drain-seconds", f"{self._drain_seconds:g}"),
            *(["--reuse-port"] if shared else []),
        )
        return ChildSpec(name, command, partial(until_sharing if shared else until_serving, self.address))

    def _provider(self, provider: KnownProvider) -> ChildSpec:
        address = self.layout.provider_socket(provider.id)
        command = server_command(
            "provider_servers.runtime",
            provider.entry,
            *("--listen", address),
            *("--registry", self.layout.socket(CONTROL)),
        )
        return ChildSpec(child_of_provider(provider.id), command, partial(until_serving, address))


async def _registered(mesh: Mesh, wanted: set[str]) -> bool:
    """Wait until the mesh knows the providers; False when it cannot say yet."""
    try:
        async with contextlib.aclosing(mesh.watch(include_models=False)) as changes:
            async for change in changes:
                if change.provider is not None and change.provider.instances:
                    wanted.discard(change.provider.id)
                if not wanted:
                    return True
    except UnavailableError:  # the gateway has not heard from control yet
        pass
    return not wanted


@contextlib.asynccontextmanager
async def supervised(layout: Layout, lock: int, report: Callable[[ChildEvent], None]) -> AsyncGenerator[Supervisor]:
    """Give a supervisor whose children end when this process does, and hold the lock on the data folder until then."""
    read_end, write_end = parent_pipe()
    environment = os.environ | {PARENT_VARIABLE: str(read_end)}
    surroundings = Surroundings(environment, layout.data_dir, layout.logs, (read_end, lock))
    telemetry.configure("supervisor")
    try:
        async with Supervisor(surroundings, report) as supervisor:
            yield supervisor
    finally:
        await asyncio.to_thread(telemetry.shutdown)
        os.close(write_end)
        os.close(read_end)
