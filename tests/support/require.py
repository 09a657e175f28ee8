"""Parts of the machine that some tests need, and what it means when they are missing.

A missing part skips the test on a laptop. With AUTOMARKET_REQUIRE=all, or a comma-separated list of parts, it fails it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest

_COMMANDS = {"ffmpeg": "ffmpeg", "ffprobe": "ffprobe", "flite": "flite", "node": "node", "docker": "docker"}
_MODULES = {"pocketsphinx": "pocketsphinx", "espeakng-loader": "espeakng_loader"}


def present(part: str) -> bool:
    """Tell whether `part` is on this machine."""
    if part in _MODULES:
        return importlib.util.find_spec(_MODULES[part]) is not None
    return shutil.which(_COMMANDS[part]) is not None


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
