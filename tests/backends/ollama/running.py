"""The stand-in for Ollama on this host, with its manners."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.support.backends import HostBackend, Note


async def set_manners(url: str, **manners: object) -> None:
    """Tell it how to answer from now on, see `tests.backends.ollama.app.Manners`."""
    async with _http(url) as http:
        assert (await http.post("/test/manners", json=manners)).status_code == 200


def _http(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, verify=False, base_url=url)  # plain HTTP needs no certificates


async def reset(backend: HostBackend, *models: str) -> None:
    """Make it as new, with these models and no others, and without a log."""
    await backend.misbehave()
    async with _http(backend.url) as http:
        await set_manners(backend.url, pull_seconds=0)
        for model in (await http.get("/api/tags")).json()["models"]:
            await http.request("DELETE", "/api/delete", json={"model": model["name"]})
        for model in models:
            answer = await http.post("/api/pull", json={"model": model, "stream": False})
            assert answer.json() == {"status": "success"}
    await set_manners(backend.url)
    backend.lines.clear()


async def noted(backend: HostBackend, event: str, count: int = 1, seconds: float = 10) -> list[Note]:
    """Wait until its log has so many lines of an event; give them."""
    begin = time.monotonic()
    while len(found := backend.notes(event)) < count:
        assert time.monotonic() - begin < seconds, f"not within {seconds} s: {backend.lines[-20:]}"
        await asyncio.sleep(0.01)
    return found
