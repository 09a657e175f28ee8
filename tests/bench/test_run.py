"""The measurements run: every case, small, with real processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.results import Results

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments, timeout=100):
    command = [sys.executable, "-m", "bench", "--quick", "--rounds", "1", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.mark.slow
def test_a_quick_run_measures_every_case_and_loses_no_message(tmp_path):
    done = bench("--save", str(tmp_path / "run.json"))
    assert done.returncode == 0, done.stderr
    run = Results.load(tmp_path / "run.json")
    for case, ways in run.samples.by_case.items():
        assert set(ways) == {"direct", "relay", "plain"}, case
        for sample in (one for samples in ways.values() for one in samples):
            assert sample.value > 0
            assert sample.work > 0
    assert all(not one.lost + one.reordered for one in run.samples.by_case["streams"]["relay"])
    assert set(run.assets) == {16, 32}
    assert all(seconds for seconds in run.digest.values())


def test_a_case_that_is_not_there_is_refused_with_those_that_are():
    done = bench("--only", "up,sideways")
    assert done.returncode == 2
    assert "there is no sideways; there are up, down" in done.stderr
