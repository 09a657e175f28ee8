"""The infrastructure of the tests with Docker: what it promises to the other tests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from contextlib import asynccontextmanager

import httpx
import pytest

from tests.support.docker import backend_image, client, container_notes, serving_backend, set_faults
from tests.support.mesh import free_port
from tests.support.registry import loopback_registry

IN_CONTAINERS = [
    ("whisper", 9000, "/openapi.json"),
    ("chatterbox", 8004, "/api/model-info"),
    ("ollama", 11434, "/api/tags"),
]


async def test_a_backend_misbehaves_as_told_and_logs_what_it_was_asked():
    async with serving_backend("whisper") as backend, httpx.AsyncClient(base_url=backend.url) as http:
        await backend.misbehave(status=503, times=1)
        assert (await http.post("/asr")).status_code == 503
        assert (await http.post("/asr")).status_code == 422
        await backend.misbehave(never_healthy=True)
        assert (await http.get("/openapi.json")).status_code == 503
        assert [one["status"] for one in backend.notes("end", path="/asr")] == [503, 422]


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.parametrize(("name", "port", "path"), IN_CONTAINERS)
async def test_a_backend_runs_in_a_container(name, port, path):
    async with in_container(backend_image(name), name, port) as url:
        await answered(url + path)
        await set_faults(url, status=503)
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.post(url + path)).status_code == 503
    assert [one["status"] for one in container_notes(name, "end") if one["method"] == "POST"] == [503]


@pytest.mark.slow
@pytest.mark.docker
async def test_an_image_may_misbehave_from_its_start():
    async with in_container(backend_image("whisper", never_healthy=True), "whisper", 9000) as url:
        await answered(url + "/openapi.json", 503)


@pytest.mark.slow
@pytest.mark.docker
async def test_a_pull_from_the_registry_takes_the_time_of_its_line():
    async with loopback_registry(rate=2e6) as registry:
        reference = await registry.publish("whisper", 4_000_000)
        begin = time.monotonic()
        shown = await asyncio.to_thread(_pull, reference)
        assert time.monotonic() - begin > 1.8
        assert len({one for one in shown if 0 < one < 4_000_000}) >= 5
        await registry.forget(reference)
        registry.line.rate = None
        assert await asyncio.to_thread(_pull, reference)


def _pull(reference):
    """Pull an image and give the bytes that the engine told of, as they came."""
    with client() as docker:
        messages = list(docker.api.pull(*reference.rsplit(":", 1), stream=True, decode=True))
    return [one["progressDetail"]["current"] for one in messages if one["status"] == "Downloading"]


@asynccontextmanager
async def in_container(image, name, port):
    """Run an image and give its address; in the end the container is stopped, not removed: its log is still there."""
    with client() as docker:
        published = free_port()
        ports = {f"{port}/tcp": ("127.0.0.1", published)}
        labels = {"automarket.backend": name, "com.docker.compose.project": "automarket-tests"}
        network = docker.networks.create(f"automarket-tests-{name}", labels=labels)
        container = docker.containers.run(image, detach=True, ports=ports, labels=labels, network=network.name)
        try:
            yield f"http://127.0.0.1:{published}"
        finally:
            container.kill()


async def answered(url, status=200):
    """Wait until a request is answered so."""
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as http:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get(url)).status_code == status:
                    return
            await asyncio.sleep(0.05)
