"""Docker's engine through its SDK, off the event loop, with the engine's faults as the mesh's errors.

One client is kept. An engine that was restarted is found again: what fails because its connection broke is asked once
more on a new one, and when the engine does not answer the error says what to do.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from automarket.docker_check import check_docker, docker_host, engine_listens
from automarket.errors import DockerStopped, EngineMissing
from automarket.secrets import scrub
from services.runtime.streams import broken_off, stream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

Attributes = dict[str, Any]
"""What Docker says of a container: the answer to `docker inspect`."""

_SECONDS = 10
_LONGEST_LINE = 2000
_EVENTS = ("create", "start", "die", "oom", "pause", "unpause", "destroy", "connect", "disconnect", "health_status")


@dataclass(frozen=True, slots=True)
class Counters:
    """What a container has used since it was started.

    Attributes:
        cpu_seconds: seconds of one core.
        received_bytes: what came over its networks.
        read_bytes: what it read from disks.
        memory_bytes, memory_limit_bytes: what it has in memory, and may have at most.
    """

    cpu_seconds: float = 0.0
    received_bytes: int = 0
    read_bytes: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0


class Refused(Exception):
    """The engine refused what was asked of it; the text says why."""


class Engine:
    """Docker's engine."""

    def __init__(self) -> None:
        self._client: Any = None
        self._lock = threading.Lock()
        self._threads = _threads()

    async def containers(self, label: str) -> list[Attributes]:
        """List the containers with a label, those that do not run, too. The entries are short: see `inspect`."""
        return await self._ask(lambda api: api.containers(all=True, filters={"label": [label]})) or []

    async def inspect(self, container: str) -> Attributes | None:
        """Say everything of a container, or None when there is none."""
        return await self._ask(lambda api: api.inspect_container(container))

    async def image_id(self, image: str) -> str:
        """Give the id of an image by its name; empty when it is not on this machine."""
        return part(await self._ask(lambda api: api.inspect_image(image)) or {}).get("Id", "")

    async def start(self, container: str) -> None:
        """Start a container.

        Raises:
            Refused: it cannot be started.
        """
        await self._ask(lambda api: api.start(container) or True, "container is gone", whole=True)

    async def stop(self, container: str, seconds: float) -> None:
        """Stop a container, by force after so long."""
        await self._ask(lambda api: api.stop(container, timeout=int(seconds)), whole=True)

    async def unpause(self, container: str) -> None:
        """Let a paused container go on."""
        await self._ask(lambda api: api.unpause(container), whole=True)

    async def remove(self, container: str) -> None:
        """Remove a container, whatever it does; its volumes stay."""
        await self._ask(lambda api: api.remove_container(container, force=True), whole=True)

    async def logs(self, container: str, lines: int) -> tuple[str, ...]:
        """Give the last lines that a container wrote, oldest first; none when they cannot be had any more."""
        if lines <= 0:
            return ()
        raw: bytes | None = None
        with suppress(Refused):
            raw = await self._ask(lambda api: api.logs(container, tail=lines))
        text = (raw or b"").decode("utf-8", "replace")
        return tuple(scrub(line)[:_LONGEST_LINE] for line in text.splitlines())[-lines:]

    async def execute(self, container: str, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in a container; give its exit code and what it wrote."""

        def run(api: Any) -> tuple[int, str]:
            one = api.exec_create(container, list(command))
            output = api.exec_start(one["Id"])
            return int(api.exec_inspect(one["Id"])["ExitCode"] or 0), output.decode("utf-8", "replace")

        return await self._ask(run, "container is gone")

    async def counters(self, container: str) -> Counters:
        """Say what a container has used."""
        return _counters(await self._ask(lambda api: api.stats(container, stream=False, one_shot=True)) or {})

    async def events(self) -> AsyncGenerator[Attributes]:
        """Give what happens to containers and their networks, from now on, until the engine ends."""
        filters = {"type": ["container", "network"], "event": list(_EVENTS)}
        async for event in stream(_connect, lambda api: api.events(decode=True, filters=filters)):
            yield event

    async def pull(self, image: str) -> AsyncGenerator[Attributes]:
        """Pull an image and give the engine's messages; one with "error" is the last."""
        async for message in stream(_connect, lambda api: api.pull(image, stream=True, decode=True)):
            yield message

    async def close(self) -> None:
        """Give up the connection and the threads; both come back when they are needed."""
        threads, self._threads = self._threads, _threads()
        threads.shutdown(wait=False)
        self._drop()

    async def _ask(self, work: Callable[[Any], Any], gone: str = "", *, whole: bool = False) -> Any:
        """Ask the engine; what it has not got is None, or with `gone` refused. `whole`: a cancel waits for its end."""
        answer = asyncio.get_running_loop().run_in_executor(self._threads, self._work, work, gone)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if whole:  # whoever cleans up then finds what has become of it
                await asyncio.wait({answer})
            answer.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise

    def _work(self, work: Callable[[Any], Any], gone: str) -> Any:
        api = self._connected()
        import requests
        from docker.errors import APIError, NotFound

        try:
            return self._once_more(work, api, requests.ConnectionError)
        except NotFound as error:
            if gone:
                raise Refused(error.explanation or gone) from error
            return None
        except APIError as error:
            raise Refused(error.explanation or str(error)) from error
        except broken_off() as error:
            self._drop()
            check_docker()
            raise DockerStopped(f"Docker's engine gave no answer: {type(error).__name__}") from error

    def _once_more(self, work: Callable[[Any], Any], api: Any, broken: type[Exception]) -> Any:
        try:
            return work(api)
        except broken:
            self._drop()
            return work(self._connected())

    def _connected(self) -> Any:
        # The SDK leaves a socket open by which it does not get through.
        if self._client is not None and not engine_listens():
            self._drop()
        with self._lock:
            if self._client is None:
                self._client = _connect()
            return self._client

    def _drop(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(4, thread_name_prefix="docker")


def _connect() -> Any:
    """Connect to the engine.

    Raises:
        EngineMissing: the SDK is not installed.
        DockerMissing, DockerDenied, DockerStopped: see `check_docker`.
    """
    if find_spec("docker") is None:
        raise EngineMissing("Docker's SDK is not installed", hint="pip install 'automarket[docker]'")
    from docker import APIClient
    from docker.utils import kwargs_from_env

    check_docker()
    options: dict[str, Any] = {"base_url": docker_host(), **kwargs_from_env()}
    try:
        return APIClient(**options, version="auto", timeout=_SECONDS)
    except broken_off() as error:
        message = f"Docker's engine gave no answer: {error}"
        raise DockerStopped(message, hint="docker info says more") from error


def part(attributes: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """Give a part of what Docker says; empty where it says nothing."""
    found: Any = attributes
    for name in path:
        found = found.get(name) or {}
    return found


def _counters(stats: Attributes) -> Counters:
    cpu, memory = part(stats, "cpu_stats", "cpu_usage"), part(stats, "memory_stats")
    disks: list[Attributes] = part(stats, "blkio_stats").get("io_service_bytes_recursive") or []
    return Counters(
        cpu_seconds=cpu.get("total_usage", 0) / 1e9,
        received_bytes=sum(one.get("rx_bytes", 0) for one in part(stats, "networks").values()),
        read_bytes=sum(one.get("value", 0) for one in disks if one.get("op", "").lower() == "read"),
        memory_bytes=memory.get("usage", 0),
        memory_limit_bytes=memory.get("limit", 0),
    )
