"""A registry on loopback, and a way to it of a certain speed: real pulls with real bytes, without a network."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.docker import client
from tests.support.mesh import free_port
from tests.support.require import missing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CONFIG = """
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: {folder}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@asynccontextmanager
async def registry(folder: Path) -> AsyncGenerator[int]:
    """Run a registry; give its port."""
    if not shutil.which("docker-registry"):
        missing("docker-registry", "no docker-registry is here: apt install docker-registry")
    port = free_port()
    config = folder / "registry.yml"
    config.write_text(CONFIG.format(folder=folder / "registry", port=port))
    process = await asyncio.create_subprocess_exec(
        "docker-registry", "serve", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(20):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"http://127.0.0.1:{port}/v2/")).status_code == 200:
                        break
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.kill()
        await process.wait()


class Road:
    """Passes connections on to a port, at most so many bytes a second towards the caller; counts them."""

    def __init__(self, port: int, bytes_a_second: float) -> None:
        self._port = port
        self.speed = bytes_a_second
        self.passed = 0
        self.connections = 0

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, to_there = await asyncio.open_connection("127.0.0.1", self._port)
        forth = asyncio.create_task(self._carry(reader, to_there))
        back = asyncio.create_task(self._carry(there, writer, slow=True))
        await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
        for task in (forth, back):
            task.cancel()
        await asyncio.gather(forth, back, return_exceptions=True)
        to_there.close()
        writer.close()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, slow: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65536):
                if slow:
                    self.passed += len(piece)
                    await asyncio.sleep(len(piece) / self.speed)
                sink.write(piece)
                await sink.drain()


@asynccontextmanager
async def road(port: int, bytes_a_second: float) -> AsyncGenerator[tuple[int, Road]]:
    """Open a way to a port of this machine; give its own port."""
    way = Road(port, bytes_a_second)
    server = await asyncio.start_server(way.take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], way
    finally:
        server.close()


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
        context = io.BytesIO(_packed({**files, "Dockerfile": "\n".join(steps).encode()}))
        docker.images.build(fileobj=context, custom_context=True, tag=f"{target}:1", rm=True, forcerm=True)
        for answer in docker.images.push(target, "1", stream=True, decode=True):
            assert "error" not in answer, answer
        docker.images.remove(f"{target}:1")
        docker.images.remove(f"{target}:base")


def _program() -> bytes:
    """Pack the registry with the libraries that it is linked to."""
    program = shutil.which("docker-registry") or ""
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = {word for word in linked.split() if word.startswith("/")}
    config = CONFIG.format(folder="/data", port=8000).replace("127.0.0.1", "0.0.0.0").encode()
    salt = uuid.uuid4().bytes  # its layers are in no engine
    files = {path.lstrip("/"): Path(path).read_bytes() for path in libraries}
    return _packed({"bin/docker-registry": Path(program).read_bytes(), "registry.yml": config, "salt": salt, **files})


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o755
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def forget(image: str) -> None:
    """Remove an image from the engine."""
    import docker.errors

    with client() as docker_client, contextlib.suppress(docker.errors.ImageNotFound):
        docker_client.images.remove(image, force=True)
