"""Parts of the machine that some tests need, and what it means when they are missing.

A missing part skips the test on a laptop. With AUTOMARKET_REQUIRE=all, or a comma-separated list of parts, it fails it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.engine import engine_answers

_COMMANDS = {
    **{name: name for name in ("ffmpeg", "ffprobe", "flite", "node", "curl", "nghttp", "h2load")},
    "docker-registry": ".cache/docker-registry/usr/bin/docker-registry",
    "envoy": ".cache/bench-envoy/bin/envoy",
}
_ROOT = Path(__file__).resolve().parent.parent.parent
_MODULES = {
    "pocketsphinx": "pocketsphinx",
    "espeakng-loader": "espeakng_loader",
    "faster-whisper": "faster_whisper",
}


def present(part: str) -> bool:
    """Tell whether `part` is on this machine."""
    if part in _MODULES:
        return importlib.util.find_spec(_MODULES[part]) is not None
    if part == "docker":
        return engine_answers()
    if part == "docker-compose":
        return shutil.which("docker-compose") is not None or _has_compose_plugin()
    return command(part) is not None


def _has_compose_plugin() -> bool:
    try:
        return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def command(part: str) -> str | None:
    """Give the path of a program, which `make setup` may have put into a folder of its own; None when it is missing."""
    name = _COMMANDS[part]
    return shutil.which(str(_ROOT / name) if "/" in name else name)


def require(*parts: str) -> None:
    """Skip the test where a part is missing, or fail it where the part is required."""
    for part in parts:
        if not present(part):
            missing(part, f"{part} is missing on this machine")


def missing(part: str, why: str) -> None:
    """Skip the test because a part is not there, or fail it where the part is required."""
    required = os.environ.get("AUTOMARKET_REQUIRE", "")
    if required == "all" or part in required.split(","):
        pytest.fail(f"{why}, and it is required")
    pytest.skip(why)
