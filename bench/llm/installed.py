"""What is installed in environments other than this one."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from bench.proxies import Missing

if TYPE_CHECKING:
    from pathlib import Path


def release(python: Path, package: str, otherwise: str) -> str:
    """Give the release of a package that an environment has.

    Args:
        python: the environment's interpreter.
        package: by its name on PyPI.
        otherwise: what to say where it is not there.

    Raises:
        Missing: it is not there.
    """
    asked = f"from importlib.metadata import version; print(version({package!r}))"
    try:
        done = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.CalledProcessError):
        raise Missing(otherwise) from None
    return done.stdout.strip()
