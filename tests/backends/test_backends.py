"""The infrastructure of the tests with Docker: what it promises to the other tests."""

from __future__ import annotations

import httpx
import pytest

from tests.support.docker import backend_image, client, container_notes, serving_backend
from tests.support.mesh import free_port

NAMES = ("whisper", "chatterbox", "ollama")


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
@pytest.mark.parametrize("name", NAMES)
def test_a_backend_runs_in_a_container(name):
    image, port = backend_image(name), free_port()
    with client() as docker:
        inside = {"whisper": 9000, "chatterbox": 8004, "ollama": 11434}[name]
        docker.containers.run(
            image, detach=True, ports={f"{inside}/tcp": ("127.0.0.1", port)}, labels={"automarket.backend": name}
        ).stop()
    assert container_notes(name, "start")
