"""A registry of images on loopback, so that tests pull for real, over a line that is as slow as they want it.

What was pushed is kept between runs: the large layers go there once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import re
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.engine import client
from tests.support.images import backend_image, packed
from tests.support.mesh import free_port
from tests.support.require import command, require
from tests.support.throttling_proxy import ThrottlingProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

_FOLDER = Path(__file__).resolve().parent.parent.parent / ".cache" / "docker-tests" / "registry"
_MANIFEST = {"accept": "application/vnd.docker.distribution.manifest.v2+json"}
_REPOSITORY = "automarket-test"
_CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "{address}"}}
"""


@dataclass
class Registry:
    """A registry that runs.

    Attributes:
        port: of the registry itself, for pushes.
        line: what pulls come through.
        line_port: its port.
    """

    port: int
    line: ThrottlingProxy
    line_port: int

    def reference(self, name: str, tag: str) -> str:
        """Give the name under which an image is pulled, whether it is there or not."""
        return f"127.0.0.1:{self.line_port}/{_REPOSITORY}/{name}:{tag}"

    async def publish(self, name: str, size: int = 8 * 1024 * 1024, **faults: object) -> str:
        """Offer the image of a backend with a layer of `size` bytes that this machine has not got; give its name."""
        base = await asyncio.to_thread(backend_image, name, **faults)
        tag = f"{base.rpartition(':')[2]}-{size}"
        async with httpx.AsyncClient(trust_env=False) as http:
            there = await http.get(
                f"http://127.0.0.1:{self.port}/v2/{_REPOSITORY}/{name}/manifests/{tag}", headers=_MANIFEST
            )
        if there.status_code != 200:
            await asyncio.to_thread(_push, f"127.0.0.1:{self.port}/{_REPOSITORY}/{name}", tag, _padded(base, size))
        return self.reference(name, tag)

    async def forget(self, reference: str) -> None:
        """Remove an image from this machine, so that it is pulled again."""
        await asyncio.to_thread(_forget, reference)


def _push(repository: str, tag: str, context: bytes) -> None:
    with client() as docker:
        docker.images.build(
            fileobj=io.BytesIO(context), custom_context=True, tag=f"{repository}:{tag}", rm=True, forcerm=True
        )
        for message in docker.api.push(repository, tag=tag, stream=True, decode=True):
            assert "error" not in message, message
        docker.images.remove(f"{repository}:{tag}")


@asynccontextmanager
async def loopback_registry(rate: float | None = None) -> AsyncGenerator[Registry]:
    """Run a registry with a line of `rate` bytes a second in front of it (`registry.line.rate` changes it).

    What was pulled from it is removed in the end; containers that use it have to be gone by then.
    """
    async with serving_registry(_FOLDER) as port:
        line = ThrottlingProxy(port, rate)
        try:
            await asyncio.to_thread(_forget_all)  # what a test that was killed left here
            async with line.running() as line_port:
                yield Registry(port, line, line_port)
        finally:
            await asyncio.to_thread(_forget_all)


@asynccontextmanager
async def serving_registry(images: Path) -> AsyncGenerator[int]:
    """Run a registry that keeps its images in a folder; give its port."""
    require("docker-registry")
    port = free_port()
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="am-registry-") as folder:
        config = Path(folder) / "config.yml"
        config.write_text(registry_config(images, f"127.0.0.1:{port}"))
        program = registry_program()
        process = await asyncio.create_subprocess_exec(program, "serve", str(config), stderr=asyncio.subprocess.DEVNULL)
        try:
            await _listening(port)
            yield port
        finally:
            process.kill()
            await process.wait()


def registry_program() -> str:
    """Give the path of the registry's program. Require "docker-registry" first."""
    path = command("docker-registry")
    assert path is not None
    return path


def registry_config(images: Path | str, address: str) -> str:
    """Give the registry's settings."""
    return _CONFIG.format(folder=images, address=address)


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


def _padded(base: str, size: int) -> bytes:
    """Pack what a build needs that puts so many random bytes on top of an image, the same each time."""
    dockerfile = f"FROM {base}\nCOPY padding /padding\n".encode()
    return packed({"Dockerfile": dockerfile, "padding": random.Random(size).randbytes(size)})


def _forget(reference: str) -> None:
    import docker.errors

    with client() as docker_client, contextlib.suppress(docker.errors.ImageNotFound):
        docker_client.images.remove(reference, force=True)


def _forget_all() -> None:
    with client() as docker:
        for image in docker.images.list():
            for tag in image.tags:
                if re.match(rf"127\.0\.0\.1:\d+/{_REPOSITORY}/", tag):
                    docker.images.remove(tag, force=True)
