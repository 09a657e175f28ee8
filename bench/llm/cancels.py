"""How soon a cancel reaches the vendor: from the caller's cancel, through gateway and provider, to a closed connection.

The vendors are the stand-ins of the tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from automarket.v1 import model_pb2, model_service_pb2, transform_pb2
from bench.llm.bed import start_mesh
from bench.llm.client import GENERATE
from bench.llm.h2 import Calls
from tests.vendors.http import FakeServer, Pause, Reply, Request, answer
from tests.vendors.running import STAND_INS, environment

if TYPE_CHECKING:
    from collections.abc import Callable

VENDORS = ("openai", "anthropic", "openrouter", "together", "ollama")
SCENARIO = "slow"  # one token, then nothing for long
SETTLE_SECONDS = 0.03
PATIENCE_SECONDS = 10.0


def measure(rounds: int, report: Callable[[str], None]) -> dict[str, list[float]]:
    """Give the milliseconds of each cancel, by vendor."""
    found = uvloop.run(_measure(rounds))
    report(f"{rounds} cancels at each of {len(found)} vendors")
    return found


async def _measure(rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="am-bench-")))
        servers = {vendor: FakeServer(_handle(vendor)) for vendor in VENDORS}
        variables: dict[str, dict[str, str]] = {}
        for vendor, server in servers.items():
            await stack.enter_async_context(server.serving())
            variables[vendor] = _environment(vendor, server.url)
        inner = stack.enter_context(contextlib.ExitStack())
        mesh = await asyncio.to_thread(start_mesh, inner, folder, variables)
        host, _, port = mesh.address.rpartition(":")
        _, calls = await asyncio.get_running_loop().create_connection(Calls, host, int(port))
        stack.callback(calls.close)
        for vendor, server in servers.items():
            await _begun(calls, vendor, server)
            found[vendor] = [await _cancel(calls, vendor, server) for _ in range(rounds)]
    return found


def _handle(vendor: str) -> Callable[[Request], Reply]:
    return _ollama if vendor == "ollama" else STAND_INS[vendor][0]().handle


def _environment(vendor: str, url: str) -> dict[str, str]:
    if vendor == "ollama":
        return {"AUTOMARKET_OLLAMA_BASE_URL": url}
    given = dict(environment(vendor, url + STAND_INS[vendor][1]))
    return {name: SCENARIO if name.endswith("_MODELS") else value for name, value in given.items()}


def _ollama(request: Request) -> Reply:
    """Answer as far as a call needs it."""
    if request.path == "/api/chat":
        line = {"model": SCENARIO, "message": {"role": "assistant", "content": "a"}, "done": False}
        kind = {"content-type": "application/x-ndjson"}
        return Reply(steps=[json.dumps(line).encode() + b"\n", Pause(30)], headers=kind)
    model = {"name": f"{SCENARIO}:latest", "model": f"{SCENARIO}:latest", "size": 1, "details": {"family": "llama"}}
    return answer({"version": "0.32.0", "models": [model], "capabilities": ["completion"], "details": {}})


def _asked(server: FakeServer) -> int:
    """Count the questions to a model that have come; Ollama is asked what its models are by POST, too."""
    return sum(post.path != "/api/show" for post in server.posts)


async def _begun(calls: Calls, vendor: str, server: FakeServer) -> None:
    """Wait until a first call has come to the vendor."""
    deadline = time.monotonic() + 20
    while not _asked(server):
        call = asyncio.ensure_future(_call(calls, vendor))
        await asyncio.wait({call}, timeout=1)
        if call.done() and time.monotonic() > deadline:
            call.result()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
    await _until(lambda: len(server.dropped) == _asked(server))


async def _call(calls: Calls, vendor: str) -> Any:
    header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
    header.inputs.add(inline=b"Tell me of the harbour.", media_type="text/plain")
    target = model_pb2.Target(model=SCENARIO, provider=vendor)
    request = model_service_pb2.GenerateRequest(target=target, header=header).SerializeToString()
    metadata = (("automarket-model", SCENARIO), ("automarket-provider", vendor))
    return await calls.call(GENERATE, request, metadata)


async def _cancel(calls: Calls, vendor: str, server: FakeServer) -> float:
    """Give how many milliseconds it took until the vendor's connection was closed."""
    asked, dropped = _asked(server), len(server.dropped)
    call = asyncio.ensure_future(_call(calls, vendor))
    await _until(lambda: _asked(server) > asked)
    await asyncio.sleep(SETTLE_SECONDS)  # it waits for the next token
    if call.done():
        raise RuntimeError(f"{vendor} answered before the cancel: {call.exception() or call.result()}")
    begin = time.monotonic()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await _until(lambda: len(server.dropped) > dropped)
    return (server.dropped[-1] - begin) * 1000


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 - what is looked at is the tests' own
            await asyncio.sleep(0.001)
