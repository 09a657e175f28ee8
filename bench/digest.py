"""What it costs to give a provider an asset by digest, on the same host, against streaming it through the gateway."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import automarket
from bench.bed import start
from bench.client_process import Client
from bench.processes import python
from bench.proxies import RELAY, Where

if TYPE_CHECKING:
    from collections.abc import Callable

WAYS = {
    "as a file, by digest": ("by-digest", False),
    "as a file, streamed": ("as-chunks", False),
    "read to its end, by digest": ("by-digest", True),
    "read to its end, streamed": ("as-chunks", True),
}


def measure(mebibytes: int, rounds: int, report: Callable[[str], None]) -> dict[str, list[float]]:
    """Give the seconds of each way, one a round; a first round warms up and does not count."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="am-bench-")))
        address = _start_mesh(stack, folder)
        sound = folder / "sound.wav"
        _write_sound(sound, mebibytes)
        digest = asyncio.run(_put(address, sound))
        client = Client()
        stack.callback(client.close)
        for number in range(rounds + 1):
            for way, (case, read) in WAYS.items():
                given = {"digest": digest} if case == "by-digest" else {"path": str(sound)}
                result = client.call(case, address, read=read, **given)
                if number:
                    seconds[way].append(result["value"])
    report(f"{mebibytes} MiB by digest and streamed")
    return seconds


def _start_mesh(stack: contextlib.ExitStack, folder: Path) -> str:
    """Start store, control, the provider and the gateway; give the gateway's address."""
    store, control, routes, provider, front = (
        f"unix:{folder}/{name}.sock" for name in ("store", "control", "routes", "provider", "front")
    )
    data = folder / "assets"
    start(stack, python("asset_store", "--listen", store, "--data-dir", str(data)), store, folder)
    known = ("--store", store, "--content-directory", str(data / "content"))
    start(stack, python("gateway.control", "--listen", control, "--routes", routes, *known), control, folder)
    serving = ("bench.whole:Whole", "--listen", provider, "--registry", control)
    start(stack, python("provider_servers.runtime", *serving), provider, folder)
    start(stack, RELAY.command(Where(front, provider, routes, folder)), front, folder)
    return front


def _write_sound(path: Path, mebibytes: int) -> None:
    """Write a WAV file of silence."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(48_000)
        for _ in range(mebibytes):
            sound.writeframesraw(bytes(1024 * 1024))


async def _put(address: str, path: Path) -> str:
    """Wait until the provider is known, then put the file into the store; give its digest."""
    async with automarket.connect(address) as mesh:
        async with asyncio.timeout(20):
            async for change in mesh.watch():
                if change.provider is not None and change.provider.instances:
                    break
        return (await mesh.assets.put(path)).digest
