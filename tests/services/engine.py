"""A Docker engine of a test's own, next to the machine's, which may be stopped and started at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from tests.support.require import missing

if TYPE_CHECKING:
    from pathlib import Path

_BRIDGE, _NETWORK = "am-test0", "172.31.112.1/24"


class PrivateEngine:
    """An engine with folders, socket and bridge of its own. It leaves the firewall alone, so both get along."""

    def __init__(self, folder: Path) -> None:
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
        self._dockerd, self._ip = shutil.which("dockerd", path=path), shutil.which("ip", path=path)
        if os.geteuid() != 0 or not self._dockerd or not self._ip:
            missing("docker", "an engine of the test's own needs root, dockerd and ip")
        self._folder = folder
        self._environment = {**os.environ, "PATH": path}
        self._environment.pop("DOCKER_HOST", None)
        self.host = f"unix://{folder}/docker.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        subprocess.run([self._ip, "link", "add", _BRIDGE, "type", "bridge"], check=False, capture_output=True)
        subprocess.run([self._ip, "addr", "add", _NETWORK, "dev", _BRIDGE], check=False, capture_output=True)
        subprocess.run([self._ip, "link", "set", _BRIDGE, "up"], check=True)
        folder = self._folder
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self._dockerd, "--data-root", folder / "data", "--exec-root", folder / "exec"),
                    *("--pidfile", folder / "pid", "-H", self.host, "--bridge", _BRIDGE),
                    # Without pools of its own: with them an engine that starts again takes docker0 away.
                    *("--iptables=false", "--ip-masq=false"),
                ],
                stdout=log,
                stderr=log,
                env=self._environment,
            )
        deadline = time.monotonic() + 60
        while subprocess.run(["docker", "-H", self.host, "info"], check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """Stop it with all its containers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        """Take away its bridge."""
        subprocess.run([self._ip, "link", "del", _BRIDGE], check=False, capture_output=True)
