"""Images of a small backend that is in no registry but the tests' own: pulled, or put into the engine."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import uuid
from pathlib import Path

import httpx

from tests.support.docker import client
from tests.support.images import packed
from tests.support.registry import registry_config, registry_program


def import_program(tag: str) -> None:
    """Make a small image of a backend that answers GET /v2/ at port 8000."""
    command = json.dumps(["/bin/docker-registry", "serve", "/registry.yml"])
    with client() as docker:
        repository, _, version = tag.rpartition(":")
        docker.api.import_image_from_data(_program(), repository=repository, tag=version, changes=[f"CMD {command}"])


async def is_registry(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=0.5) as http:
        return (await http.get(f"{url}/v2/")).status_code == 200


def push(port: int, name: str, layers: int, layer_bytes: int) -> None:
    """Push an image to a registry, and keep nothing of it in the engine.

    What it runs is the registry's own program, which is 20 MB and answers GET /v2/ at port 8000; further layers are
    random bytes.
    """
    target = f"127.0.0.1:{port}/{name}"
    with client() as docker:
        import_program(f"{target}:base")
        steps = [f"FROM {target}:base", *(f"COPY layer{number} /layers/" for number in range(layers))]
        files = {f"layer{number}": os.urandom(layer_bytes) for number in range(layers)}
        context = io.BytesIO(packed({**files, "Dockerfile": "\n".join(steps).encode()}))
        docker.images.build(fileobj=context, custom_context=True, tag=f"{target}:1", rm=True, forcerm=True)
        for answer in docker.images.push(target, "1", stream=True, decode=True):
            assert "error" not in answer, answer
        docker.images.remove(f"{target}:1")
        docker.images.remove(f"{target}:base")


def _program() -> bytes:
    """Pack the registry with the libraries that it is linked to."""
    program = registry_program()
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = {word for word in linked.split() if word.startswith("/")}
    config = registry_config("/data", "0.0.0.0:8000").encode()
    salt = uuid.uuid4().bytes  # its layers are in no engine
    files = {path.lstrip("/"): Path(path).read_bytes() for path in libraries}
    return packed({"bin/docker-registry": Path(program).read_bytes(), "registry.yml": config, "salt": salt, **files})


def forget(image: str) -> None:
    """Remove an image from the engine."""
    import docker.errors

    with client() as docker_client, contextlib.suppress(docker.errors.ImageNotFound):
        docker_client.images.remove(image, force=True)
