"""What runs while language models are measured: the upstream, our gateway and provider, LiteLLM, and who asks."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.client_process import Client
from bench.llm import litellm
from bench.processes import Process, free_port, python

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

DIRECT, OURS, LITELLM = "direct", "ours", "litellm"
KEY = "sk-bench"
LITELLM_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Bed:
    """What runs.

    Attributes:
        folder: for sockets, configurations and what the processes write.
        client: asks.
        upstream: its process; `upstream_url` leads to it.
        addresses: where to ask, by way.
        ways: "grpc" or "http", by way.
        watched: the processes whose time and memory count, by way.
    """

    folder: Path
    client: Client
    upstream: Process
    upstream_url: str
    addresses: dict[str, str] = field(default_factory=dict[str, str])
    watched: dict[str, list[Process]] = field(default_factory=dict[str, "list[Process]"])

    def call(self, case: str, way: str, **sizes: float) -> dict[str, float]:
        """Have the client ask."""
        kind = "grpc" if way == OURS else "http"
        return self.client.call(case, self.addresses[way], way=kind, **sizes)


@contextlib.contextmanager
def running(*, with_litellm: bool) -> Generator[Bed]:
    """Start everything and wait until questions are answered everywhere; stop everything at the end."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="am-bench-")))
        address = f"127.0.0.1:{free_port()}"
        port = address.rpartition(":")[2]
        upstream = begin(stack, python("bench.llm.upstream", "--port", port), address, folder)
        client = Client("bench.llm.client")
        stack.callback(client.close)
        bed = Bed(folder, client, upstream, f"http://{address}", {DIRECT: address})
        mesh = start_mesh(stack, folder, {"openai": openai_environment(bed.upstream_url)})
        bed.addresses[OURS], bed.watched[OURS] = mesh.address, [mesh.relay, mesh.providers["openai"]]
        if with_litellm:
            port = free_port()
            where = f"127.0.0.1:{port}"
            made = litellm.command(port, bed.upstream_url, folder)
            process = begin(stack, made, where, folder, litellm.ENVIRONMENT, seconds=LITELLM_SECONDS)
            bed.addresses[LITELLM], bed.watched[LITELLM] = where, [process]
        for way in bed.addresses:
            bed.call("ready", way)
        yield bed


@dataclass(frozen=True, slots=True)
class Mesh:
    """Control, the gateway and providers; `address` is the gateway's."""

    address: str
    relay: Process
    providers: dict[str, Process]


def openai_environment(url: str) -> dict[str, str]:
    """Give the variables that lead the provider to the upstream."""
    return {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{url}/v1"}


def start_mesh(stack: contextlib.ExitStack, folder: Path, providers: Mapping[str, Mapping[str, str]]) -> Mesh:
    """Start control, the gateway and the providers, each with its variables."""
    control, routes, front = f"unix:{folder}/control.sock", f"unix:{folder}/routes.sock", f"127.0.0.1:{free_port()}"
    begin(stack, python("gateway.control", "--listen", control, "--routes", routes), control, folder)
    relay = begin(stack, python("gateway.relay", "--listen", front, "--routes", routes), front, folder)
    started: dict[str, Process] = {}
    for name, variables in providers.items():
        listen = f"unix:{folder}/{name}.sock"
        made = python("provider_servers.runtime", name, "--listen", listen, "--registry", control)
        started[name] = begin(stack, made, listen, folder, variables)
    return Mesh(front, relay, started)


def begin(
    stack: contextlib.ExitStack,
    command: list[str],
    address: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    *,
    seconds: float = 30,
) -> Process:
    """Start a process that serves an address; it is stopped with the stack."""
    process = Process(command, folder / "log", environment)
    stack.callback(process.stop)
    process.wait_for(address, seconds)
    return process
