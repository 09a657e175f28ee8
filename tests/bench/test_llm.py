"""The measurements of language models: how figures become verdicts, and that every case runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.llm import page
from bench.llm.answers import ENDING, PLAIN, STAMP, Wanted, question, stamped
from bench.llm.bed import DIRECT, LITELLM, OURS
from bench.llm.reading import SINGLY, TOGETHER, VENDOR
from bench.llm.results import Results
from bench.llm.rounds import CONVERSATIONS
from bench.llm.targets import TARGETS, targets_table
from bench.results import Machine
from bench.rounds import Sample, Samples
from bench.serving import percentile

ROOT = Path(__file__).resolve().parents[2]


def sample(figure, cpu=1.0, **others):
    return Sample(value=figure, work=2.0, proxy_cpu=cpu, client_cpu=0.5, peer_cpu=0.5, **others)


def results(**changes):
    made = Samples()
    for case in ("one", "many"):
        for way, figure, cpu in ((DIRECT, 1000.0, 0.0), (OURS, 160.0, 1.0), (LITELLM, 2.0, 40.0)):
            made.add(case, way, sample(figure, cpu))
    for way, figure in ((DIRECT, 1.0), (OURS, 3.0), (LITELLM, 11.0)):
        made.add("first", way, sample(figure))
    for way in (DIRECT, OURS):
        made.add(CONVERSATIONS, way, sample(0.0, p99=8.0))
    reading = {shape: {OURS: [80.0, 90.0, 10.0], VENDOR: [10.0, 9.0, 10.0]} for shape in (TOGETHER, SINGLY)}
    given = {"samples": made, "reading": reading, "memory": {OURS: 150.0}, "cancels": {"openai": [1.0, 2.0, 3.0]}}
    return Results(Machine("a machine", "", {"LiteLLM": "1.0"}, [], 0.1), 1, **({"quick": False} | given | changes))


def rows(run):
    return dict(zip((one.what for one in TARGETS), targets_table(run).splitlines()[2:], strict=True))


def test_every_target_has_a_row_that_says_whether_it_is_met():
    found = rows(results())
    assert found["Tokens a second, one answer, against LiteLLM"].endswith("| >= 80 times | 80 times | yes |")
    assert found["Processor time per token, one answer: LiteLLM's against ours"].endswith("| 40 times | **no** |")
    assert found["Time to the first token, added p50"].endswith("| <= 3 ms | 2 ms | yes |")
    assert found["Time to the first token: what LiteLLM adds against what we add"].endswith("| 5 times | yes |")
    assert found["Tokens read per CPU second, against OpenAI's SDK"].endswith("| 8 times | yes |")


def test_what_was_not_measured_has_no_verdict():
    run = results(samples=Samples(), cancels={}, memory={}, reading={})
    assert all("| not measured |  |" in row for row in rows(run).values())


def test_one_lost_token_is_too_many():
    made = results()
    made.samples.by_case[CONVERSATIONS][OURS] = [sample(0.0, lost=1)]
    assert rows(made)["300 conversations at once: tokens lost or out of order"].endswith("| 1 | **no** |")


def test_samples_survive_a_file(tmp_path):
    results().save(tmp_path / "run.json")
    assert Results.load(tmp_path / "run.json") == results()


def test_the_page_names_every_way():
    made = page.text(results())
    assert all(title in made for title in page.TITLES.values())
    assert "disturbed" not in made


def test_percentiles():
    assert percentile([5.0, 1.0, 3.0], 50) == 3
    assert percentile([float(number) for number in range(100)], 99) == 99


def test_a_question_tells_how_it_is_to_be_answered():
    wanted = Wanted(12, 34)
    assert Wanted.of(str(question(wanted)).encode()) == wanted
    assert Wanted.of(b"something else") == Wanted(1)
    assert int(STAMP.search(stamped(7))[2], 16) == 7
    assert len(set(PLAIN)) == len(PLAIN)
    assert ENDING.endswith(b"0\r\n\r\n")


@pytest.mark.slow
def test_a_quick_run_measures_every_case_and_loses_no_token(tmp_path):
    command = [sys.executable, "-m", "bench.llm", "--quick", "--rounds", "1", "--cancels", "2", "--without-litellm"]
    saved = tmp_path / "run.json"
    done = subprocess.run(
        [*command, "--save", saved], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    run = Results.load(saved)
    assert set(run.samples.by_case) == {"one", "many", "first", CONVERSATIONS}
    for ways in run.samples.by_case.values():
        assert set(ways) == {DIRECT, OURS}
    assert all(not one.lost + one.reordered for one in run.samples.by_case[CONVERSATIONS][OURS])
    assert len(run.cancels) == 5
    assert all(0 < wait < 1000 for waits in run.cancels.values() for wait in waits)
