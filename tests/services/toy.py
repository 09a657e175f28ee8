"""A backend for tests of services: its image, its Compose file, and a service of it."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from pydantic_settings import SettingsConfigDict

from services.runtime import BackendSettings, BackendSpec, DockerComposeService, OnDemand
from tests.support.docker import base_image, client
from tests.support.engine import machine_lock
from tests.support.images import packed
from tests.support.mesh import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.runtime import IsReady

APP = Path(__file__).parent / "toy_app.py"
PORT = 8000

COMPOSE = """
services:
  NAME:
    image: ${AUTOMARKET_TOY_IMAGE:-127.0.0.1:1/automarket-test/toy:none}
    init: true
    restart: "no"
    stop_grace_period: 2s
    environment:
      TOY: ${AUTOMARKET_TOY_OPTIONS:-}
    ports:
      - "127.0.0.1:${AUTOMARKET_TOY_PORT:-18000}:8000"
    volumes:
      - toy:/data
    mem_limit: ${AUTOMARKET_TOY_MEMORY:-96m}
    healthcheck:
      test: ["CMD", "python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/ready', timeout=2)"]
      interval: 2s
      timeout: 2s
      retries: 2
      start_period: ${AUTOMARKET_TOY_START_PERIOD:-60s}
    labels:
      automarket.backend: NAME
      automarket.started-by: ${AUTOMARKET_STARTED_BY:-user}
      automarket.exclusive-group: ${AUTOMARKET_TOY_EXCLUSIVE_GROUP:-}
      automarket.settings: ${AUTOMARKET_SETTINGS:-}
volumes:
  toy: {}
"""
GPU = """
services:
  NAME:
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: 1
              capabilities: [gpu]
"""


class ToySettings(BackendSettings):
    model_config = SettingsConfigDict(env_prefix="AUTOMARKET_TOY_")

    options: str = ""
    start_period: str = ""


async def is_ready(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=0.5) as http:
        return (await http.get(f"{url}/ready")).status_code == 200


async def get(url: str, path: str, timeout: float = 60.0) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=timeout) as http:
        answer = await http.get(f"{url}{path}")
        return answer.text


@dataclass
class Toys:
    """Makes services of toys that share a folder of locks: those of one mesh."""

    folder: Path
    image: str
    state: str = "state"

    def settings(self, *, port: int = 0, toy: dict[str, object] | None = None, **more: object) -> ToySettings:
        given: dict[str, object] = {"image": self.image, "idle_seconds": 0, "start_seconds": 10, **more}
        options = json.dumps(toy) if toy else ""
        return ToySettings(port=port or free_port(), options=options, state_dir=self.folder / self.state, **given)

    def spec(self, name: str = "toy") -> BackendSpec:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "docker-compose.yml").write_text(COMPOSE.replace("NAME", name))
        (folder / "docker-compose.gpu.yml").write_text(GPU.replace("NAME", name))
        return BackendSpec(name, folder, PORT, 30.0)

    def service(
        self, settings: ToySettings | None = None, name: str = "toy", is_ready: IsReady = is_ready
    ) -> DockerComposeService:
        return DockerComposeService(self.spec(name), settings or self.settings(), is_ready=is_ready)

    def on_demand(
        self, settings: ToySettings | None = None, name: str = "toy", is_ready: IsReady = is_ready
    ) -> OnDemand:
        settings = settings or self.settings()
        return OnDemand(self.service(settings, name, is_ready), settings)


def toy_image() -> str:
    """Give the tag of the toy's image, made where it is not there yet."""
    base = base_image()
    digest = hashlib.sha256(APP.read_bytes() + base.encode()).hexdigest()[:16]
    tag = f"automarket-test/toy:{digest}"
    dockerfile = f'FROM {base}\nCOPY toy_app.py /toy_app.py\nCMD ["python3", "/toy_app.py"]\n'
    with machine_lock("image-toy"), client() as docker:
        if not docker.images.list(tag):
            context = io.BytesIO(packed({"Dockerfile": dockerfile.encode(), "toy_app.py": APP.read_bytes()}))
            docker.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True)
    return tag


PYTHON = (sys.executable, "-P")


def containers(name: str = "") -> list[Any]:
    """Give the containers of backends, those that do not run, too."""
    label = f"automarket.backend={name}" if name else "automarket.backend"
    with client() as docker:
        return docker.containers.list(all=True, filters={"label": label})


async def eventually(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until something is so, asked in a thread."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - nobody tells us
            await asyncio.sleep(0.1)
