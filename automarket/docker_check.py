"""Whether Docker can be used here, and what to do when not. Doctor and the services ask the same questions.

Imports nothing but the standard library: the client has it, too, and needs neither the `docker` command nor its SDK.
"""

from __future__ import annotations

import getpass
import http.client
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from automarket.errors import ComposeMissing, DockerDenied, DockerMissing, DockerStopped

DEFAULT_SOCKET = "/var/run/docker.sock"
_PING_SECONDS = 1.0
_COMPOSE_SECONDS = 10.0
_ON_LINUX = sys.platform == "linux"
INSTALL = "apt install docker.io docker-compose" if _ON_LINUX else "install Docker Desktop"
START = "systemctl start docker" if _ON_LINUX else "start Docker Desktop"


def docker_host() -> str:
    """Give the address of Docker's engine: DOCKER_HOST, else the first socket that is there of the usual ones."""
    if host := os.environ.get("DOCKER_HOST"):
        return host
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    own = [Path(runtime) / "docker.sock"] if runtime else []  # an engine without root
    own.append(Path.home() / ".docker" / "run" / "docker.sock")  # Docker Desktop
    found = next((path for path in (Path(DEFAULT_SOCKET), *own) if os.path.lexists(path)), DEFAULT_SOCKET)
    return f"unix://{found}"


def check_docker() -> None:
    """See that Docker's engine answers, within about a second.

    Raises:
        DockerMissing: Docker is not installed.
        DockerDenied: this user may not use it.
        DockerStopped: it is installed and does not answer.
    """
    host = docker_host()
    if not host.startswith(("unix://", "tcp://", "http://", "https://")):
        return  # ssh, or a pipe of Windows: only the SDK itself can tell
    try:
        _ping(host)
    except PermissionError as error:
        message = f"this user may not use Docker: {host} refuses it"
        raise DockerDenied(message, hint=f"usermod -aG docker {_user()}, then log in again") from error
    except (OSError, http.client.HTTPException) as error:
        if not shutil.which("docker") and not shutil.which("dockerd"):
            raise DockerMissing("Docker is not installed", hint=INSTALL) from error
        own = os.environ.get("DOCKER_HOST")
        hint = f"start the engine at {own}, or unset DOCKER_HOST" if own else START
        raise DockerStopped(f"Docker's engine does not answer at {host}", hint=hint) from error


def engine_listens() -> bool:
    """Tell whether something listens at the engine's socket. It costs next to nothing; elsewhere it is taken for so."""
    parts = urlsplit(docker_host())
    if parts.scheme != "unix":
        return True
    try:
        _unix_connection(parts.netloc + parts.path).close()
    except OSError:
        return False
    return True


def compose_command() -> list[str]:
    """Give the command line that runs Compose: its plugin for the `docker` command, else `docker-compose`.

    Raises:
        ComposeMissing: neither is installed.
    """
    if shutil.which("docker") and _succeeds("docker", "compose", "version"):
        return ["docker", "compose"]
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    hint = "apt install docker-compose" if _ON_LINUX else INSTALL
    raise ComposeMissing("Docker's Compose is not installed", hint=hint)


def _ping(host: str) -> None:
    """Ask the engine for a sign of life; an engine behind TLS only has to accept the connection."""
    parts = urlsplit(host)
    if parts.scheme == "unix":
        connection = http.client.HTTPConnection("docker", timeout=_PING_SECONDS)
        connection.sock = _unix_connection(parts.netloc + parts.path)
    else:
        port = parts.port or (2376 if os.environ.get("DOCKER_TLS_VERIFY") else 2375)
        if parts.scheme == "https" or os.environ.get("DOCKER_TLS_VERIFY"):
            socket.create_connection((parts.hostname or "localhost", port), _PING_SECONDS).close()
            return
        connection = http.client.HTTPConnection(parts.hostname or "localhost", port, timeout=_PING_SECONDS)
    try:
        connection.request("GET", "/_ping")
        if (status := connection.getresponse().status) >= http.client.INTERNAL_SERVER_ERROR:
            raise http.client.HTTPException(f"the engine answers {status}")
    finally:
        connection.close()


def _unix_connection(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_PING_SECONDS)
    try:
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_COMPOSE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "$USER"
