"""Parts of the machine that some tests need, and what it means when they are missing.

A missing part skips the test on a laptop. With AUTOMARKET_REQUIRE=all, or a comma-separated list of parts, it fails it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

_COMMANDS = {
    **{name: name for name in ("ffmpeg", "ffprobe", "flite", "node", "docker", "curl", "nghttp", "h2load")},
    "envoy": ".cache/bench-envoy/bin/envoy",
}
_ROOT = Path(__file__).resolve().parent.parent.parent
_MODULES = {"pocketsphinx": "pocketsphinx", "espeakng-loader": "espeakng_loader"}


def present(part: str) -> bool:
    """Tell whether `part` is on this machine."""
    if part in _MODULES:
        return importlib.util.find_spec(_MODULES[part]) is not None
    return command(part) is not None


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
