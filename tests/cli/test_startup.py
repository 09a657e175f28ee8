"""How long the command line takes to begin."""

from __future__ import annotations

import resource
import subprocess

import pytest

from tests.cli.conftest import AUTOMARKET


@pytest.mark.alone
def test_help_comes_quickly_and_says_what_exit_codes_mean():
    """Against what Python itself takes: machines differ."""
    python = AUTOMARKET[0]
    assert _processor_seconds(*AUTOMARKET, "--help") < 5 * _processor_seconds(
        python, "-c", "import asyncio, argparse, json"
    )
    text = subprocess.run([*AUTOMARKET, "--help"], capture_output=True, text=True, check=True).stdout
    assert "no mesh is running" in " ".join(text.split())


def _processor_seconds(*command: str) -> float:
    """Give the least processor time that a command takes in five runs."""
    used: list[float] = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(used)
