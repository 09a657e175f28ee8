"""Docker's Compose, as a child process: an argument list, never a shell, and never longer than its caller waits."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from automarket.children import reap
from automarket.docker_check import compose_command, docker_host
from automarket.errors import ServiceStartFailed
from services.runtime.explain import explain_start

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from services.runtime.settings import BackendSettings

_VARIABLE = re.compile(r"\$\{(\w+)(?::?-([^}]*))?\}")
_IMAGE = re.compile(r"^\s+image:\s*[\"']?([^\"'\s]+)", re.MULTILINE)


class Compose:
    """The project of one backend.

    Args:
        name: the backend; its service in the Compose files.
        files: the Compose files, a later one overrides.
        environment: what they interpolate, over this process's environment.
        settings: for what the errors tell to set.
    """

    def __init__(
        self, name: str, files: Sequence[Path], environment: Mapping[str, str], settings: BackendSettings
    ) -> None:
        self._name = name
        self._files = tuple(files)
        self._environment = environment
        self._settings = settings
        self.project = f"automarket-{name}"

    def image(self) -> str:
        """Give the image that the files name."""
        found = [one for path in self._files for one in _IMAGE.findall(path.read_text(encoding="utf-8"))]
        return _VARIABLE.sub(lambda match: self._environment.get(match[1]) or match[2] or "", found[-1])

    async def create(self, *, anew: bool, silence: float) -> None:
        """Make the container, its network and its volumes, where they differ from the files; starts nothing.

        Args:
            anew: replace a container that is as it should be, too.
            silence: fail when Compose says nothing for so many seconds.

        Raises:
            ComposeMissing: Compose is not installed.
            PortTaken, GpuMissing, ImageUnknown, DiskFull, ServiceStartFailed: what Compose said.
        """
        command = await asyncio.to_thread(compose_command)
        for path in self._files:
            command += ["-f", str(path)]
        command += ["-p", self.project, "up", "--no-start", "--no-build", *(["--force-recreate"] if anew else [])]
        code, output = await self._run([*command, self._name], silence)
        if code:
            raise explain_start(output, self._name, self._settings)

    async def _run(self, command: Sequence[str], silence: float) -> tuple[int, str]:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._child_environment(),
            start_new_session=True,
        )
        output = bytearray()
        try:
            while piece := await self._read(child, silence):
                output += piece
            return await child.wait(), output.decode("utf-8", "replace")
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await reap(child)

    async def _read(self, child: asyncio.subprocess.Process, silence: float) -> bytes:
        assert child.stdout is not None  # noqa: S101 - `_run` makes the pipe
        try:
            async with asyncio.timeout(silence):
                return await child.stdout.read(65536)
        except TimeoutError as error:
            message = f"backend {self._name} could not be started: Compose said nothing for {silence:.0f} s"
            raise ServiceStartFailed(message, hint="docker info says whether Docker answers") from error

    def _child_environment(self) -> dict[str, str]:
        """Give this process's environment with this backend's settings in place of those of the same names."""
        prefix = self._settings.prefix
        kept = {name: value for name, value in os.environ.items() if not name.startswith((prefix, "COMPOSE_"))}
        # The same engine as the SDK's, whatever context the user has chosen for the command line.
        return {**kept, **self._environment, "DOCKER_HOST": docker_host(), "COMPOSE_IGNORE_ORPHANS": "true"}
