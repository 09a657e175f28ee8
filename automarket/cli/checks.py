"""What is installed on this machine, what is missing, and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

LEAST_FREE_BYTES = 1_000_000_000
_COMMAND_SECONDS = 10
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = re.compile(r"(?:version:?\s+|^v)(\S+)")
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


class Verdict(StrEnum):
    """How something is."""

    OK = "ok"
    MISSING = "missing"  # something cannot be done without it
    FAULTY = "faulty"  # a mesh cannot run like this


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what it is, how it is, and what mends it."""

    name: str
    verdict: Verdict
    found: str
    hint: str = ""


def check_python() -> Check:
    """Look at the interpreter."""
    version = platform.python_version()
    fine = sys.version_info >= (3, 11)
    hint = "" if fine else "use Python 3.11 or newer"
    return Check("python", Verdict.OK if fine else Verdict.FAULTY, f"{version}, {sys.executable}", hint)


def check_programs() -> Iterator[Check]:
    """Look at the programs that providers use."""
    yield _program("ffmpeg", "-version", wheel="imageio_ffmpeg", extra="ffmpeg", needed=True)
    yield _program("ffprobe", "-version", instead="ffmpeg takes its place")
    yield _program("flite", "--version", wheel="espeakng_loader", extra="flite")
    yield from check_docker()
    yield _program("node", "--version", hint="needed by Node clients only: apt install nodejs")


def _program(
    name: str,
    flag: str,
    *,
    wheel: str = "",
    extra: str = "",
    needed: bool = False,
    instead: str = "",
    hint: str = "",
) -> Check:
    path = shutil.which(name)
    if path is not None:
        return Check(name, Verdict.OK, f"{_version_of(path, flag)}, {path}")
    if wheel and importlib.util.find_spec(wheel) is not None:
        return Check(name, Verdict.OK, f"not installed; the wheel {wheel} takes its place")
    if instead and shutil.which("ffmpeg"):
        return Check(name, Verdict.OK, f"not installed; {instead}")
    hint = hint or f"apt install {name}" + (f", or pip install 'automarket[{extra}]'" if extra else "")
    return Check(name, Verdict.FAULTY if needed else Verdict.MISSING, "not installed", hint)


def _version_of(*command: str) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "does not answer"
    found = _VERSION.search(result.stdout + result.stderr)
    return found[1] if found else "installed"


def check_docker() -> Iterator[Check]:
    """Look whether backends can run in containers; where they cannot, a call to one of them says the same."""
    from automarket import docker_check

    yield _precondition("docker", docker_check.check_docker, lambda _: f"answers at {docker_check.docker_host()}")
    yield _precondition("compose", docker_check.compose_command, " ".join)


def _precondition(name: str, check: Callable[[], T], found: Callable[[T], str]) -> Check:
    from automarket.errors import StateError

    try:
        return Check(name, Verdict.OK, found(check()))
    except StateError as error:
        return Check(name, Verdict.MISSING, error.message, error.hint or "")


def check_disk(data_dir: Path) -> Check:
    """Look whether the disk that holds the data folder has room."""
    from automarket.cli.plain import size

    folder = next(folder for folder in (data_dir, *data_dir.parents) if folder.exists())
    free = shutil.disk_usage(folder).free
    found = f"{size(free)} free for {data_dir}"
    if not os.access(folder, os.W_OK):
        return Check("disk", Verdict.FAULTY, f"{folder} cannot be written", "name another folder: --data-dir DIR")
    if free < LEAST_FREE_BYTES:
        return Check("disk", Verdict.FAULTY, found, "make room, or name another folder: --data-dir DIR")
    return Check("disk", Verdict.OK, found)


def check_extras() -> Iterator[Check]:
    """Look at the parts that pip installs by name."""
    for extra, packages in _extras().items():
        versions = {package: _version(package) for package in packages}
        missing = [package for package, version in versions.items() if not version]
        name = f"automarket[{extra}]"
        if not missing:
            yield Check(name, Verdict.OK, ", ".join(f"{package} {version}" for package, version in versions.items()))
        else:
            verdict = Verdict.FAULTY if extra == "mesh" else Verdict.MISSING
            yield Check(name, verdict, f"without {', '.join(missing)}", f"pip install '{name}'")


def _extras() -> dict[str, list[str]]:
    extras: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("automarket") or ():
        name, extra = _NAME.match(requirement), _EXTRA.search(requirement)
        if name and extra:
            extras.setdefault(extra[1], []).append(name[0])
    return extras


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def missing_mesh_packages() -> list[str]:
    """Name what `automarket up` needs and this environment lacks."""
    missing = [package for package in _extras().get("mesh", []) if not _version(package)]
    ours = [name for name in ("asset_store", "gateway", "provider_servers") if importlib.util.find_spec(name) is None]
    return missing + ours
