"""The client process, as the program that measures sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from bench.processes import ROOT


class Client:
    """Starts the client process and tells it what to do.

    Args:
        module: what it runs.
    """

    def __init__(self, module: str = "bench.client") -> None:
        pipe = subprocess.PIPE
        command = [sys.executable, "-m", module]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def call(self, case: str, address: str, **arguments: float | str) -> dict[str, float]:
        """Have a case's calls made; give what came out.

        Raises:
            RuntimeError: a call failed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"case": case, "address": address, **arguments}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"error": "the client is gone"}')
        if "error" in answer:
            raise RuntimeError(f"{case} at {address}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=10)
