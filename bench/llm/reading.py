"""How much work it is to read an answer: our provider against OpenAI's own SDK, on the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from bench.llm.installed import release
from bench.processes import ROOT, python

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SDK = ROOT / ".cache" / "sdk-openai" / "bin" / "python"
OURS, VENDOR = "ours", "openai"
TOGETHER, SINGLY = "tokens that come together", "one token a read"
# Streams, tokens of each, and tokens a second; 0 is as fast as they come.
_SHAPES: dict[str, dict[str, tuple[int, int, int]]] = {
    TOGETHER: {OURS: (1, 50_000, 0), VENDOR: (1, 4_000, 0)},
    SINGLY: dict.fromkeys((OURS, VENDOR), (20, 100, 50)),
}

Reads = dict[str, dict[str, list[float]]]


def version() -> str:
    """Give the SDK's release.

    Raises:
        Missing: it is not installed.
    """
    return release(SDK, "openai", "OpenAI's SDK is not installed: tools/vendor_sdks.sh")


def measure(url: str, rounds: int, report: Callable[[str], None], *, quick: bool = False) -> Reads:
    """Give tokens a second of processor time, by shape and by who reads, one a round."""
    found: Reads = {shape: {OURS: [], VENDOR: []} for shape in _SHAPES}
    for _ in range(rounds):
        for who, command in ((OURS, python("bench.llm.read_ours")), (VENDOR, [str(SDK), "-P", str(_script())])):
            shapes = [_smaller(ways[who]) if quick else ways[who] for ways in _SHAPES.values()]
            for shape, figure in zip(_SHAPES, _run([*command, url, json.dumps(shapes)]), strict=True):
                found[shape][who].append(figure)
    report("read by OpenAI's SDK and by our provider")
    return found


def _script() -> Path:
    return Path(__file__).with_name("read_sdk.py")


def _smaller(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    streams, tokens, rate = shape
    return min(streams, 2), min(tokens, 200) // 10, rate


def _run(command: Sequence[str]) -> list[float]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
