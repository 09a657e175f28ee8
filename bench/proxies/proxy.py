"""What a proxy is to the measurements."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Missing(Exception):
    """A proxy is not installed; the text says how to install it."""


@dataclass(frozen=True, slots=True)
class Where:
    """Addresses, each unix:/path or host:port.

    Attributes:
        listen: where the proxy takes calls.
        upstream: the peer.
        routes: where the routing table is pushed.
        folder: for the proxy's files.
    """

    listen: str
    upstream: str
    routes: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy.

    Attributes:
        name: for the command line.
        title: for tables and charts.
        version: gives what is installed, or raises Missing.
        command: writes what the proxy needs into the folder and gives the command that starts it.
    """

    name: str
    title: str
    version: Callable[[], str]
    command: Callable[[Where], list[str]]


def find(program: str, *folders: str) -> str:
    """Give the path of a program.

    Raises:
        Missing: there is none.
    """
    path = shutil.which(program) or shutil.which(program, path=":".join(("/usr/sbin", "/sbin", *folders)))
    if path is None:
        raise Missing(f"{program} is not installed")
    return path


def version_of(path: str, flag: str) -> str:
    """Give the first version number that a program tells of itself."""
    done = subprocess.run([path, flag], capture_output=True, text=True, check=True, timeout=20)
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found.group() if found else "of unknown version"


def write(folder: Path, name: str, text: str) -> str:
    """Write a configuration file; give its path."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
