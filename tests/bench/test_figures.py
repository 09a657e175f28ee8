"""How samples become figures, tables and verdicts."""

from __future__ import annotations

import dataclasses
import os

import pytest

from bench import page
from bench.bed import DIRECT
from bench.processes import cpu_seconds, peak_mebibytes
from bench.proxies import Missing, nginx
from bench.results import Machine, Results
from bench.rounds import Sample, Samples, proxy_cpu, value
from bench.targets import TARGETS, targets_table

CASES = ("up", "down", "flat-out", "paced", "unary", "streams")
WAYS = (DIRECT, "relay", "plain", "nginx", "haproxy", "envoy")


def sample(figure=1.0, cpu=1.0, **others):
    return Sample(value=figure, work=2.0, proxy_cpu=cpu, client_cpu=0.5, peer_cpu=0.5, **others)


def samples(case="up", **figures):
    made = Samples()
    for way, column in figures.items():
        for figure in column:
            made.add(case, way, sample(figure))
    return made


def results(**changes):
    made = Samples()
    for case in CASES:
        for number, way in enumerate(WAYS):
            made.add(case, way, sample(1.0 + number, cpu=float(number), p99=2.0 * number))
    machine = Machine(
        "a machine", "over something", {"relay": "1.0"}, ["nginx is not installed: apt install nginx"], 0.1
    )
    whole = Results(machine, 1, False, made, {"relay": 30.0}, {256: 28.0, 1024: 29.0}, {})
    return dataclasses.replace(whole, **changes)


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians():
    made = samples(direct=[100, 10, 1], relay=[50, 9, 0.1])
    assert made.ratio("up", "relay", DIRECT, value) == 0.5
    assert made.median("up", "relay", value) == 9


def test_what_a_way_adds_is_told_round_by_round():
    assert samples(direct=[1, 5, 9], relay=[2, 7, 12]).added("up", "relay", value) == 2


def test_processor_time_is_given_for_one_of_what_was_moved():
    assert proxy_cpu(sample(cpu=3.0)) == 1.5


def test_samples_survive_a_file(tmp_path):
    before = results(digest={"as a file, streamed": [0.5, 0.25]})
    before.save(tmp_path / "deep" / "run.json")
    assert Results.load(tmp_path / "deep" / "run.json") == before


def test_every_target_has_a_row_that_says_whether_it_is_met():
    rows = targets_table(results()).splitlines()[2:]
    assert len(rows) == len(TARGETS)
    assert rows[0] == "| 256 MiB up, against direct | >= 0.65 | >= 0.75 | 2.00 | yes |"
    assert "| <= 1.4 | <= 1 | 0.33 | yes |" in rows[2]
    assert any("not measured" in row and "digest" in row for row in rows)


def test_one_lost_message_is_too_many():
    run = results()
    run.samples.by_case["streams"]["relay"] = [sample(lost=1)]
    row = next(row for row in targets_table(run).splitlines() if "lost or reordered" in row)
    assert row.endswith("| 1.00 | **no** |")


def test_the_page_names_what_is_missing_and_how_to_get_it():
    assert "**Not measured: nginx is not installed: apt install nginx.**" in page.text(results())


def test_the_page_says_when_other_work_disturbed_the_run():
    assert "disturbed" not in page.text(results())
    busy = dataclasses.replace(results().machine, load=4.25)
    assert "the load was 4.2 before it began" in page.text(results(machine=busy))


def test_a_quick_run_gives_no_verdicts():
    assert "| what | target |" in page.text(results())
    assert "| what | target |" not in page.text(results(quick=True))


def test_a_proxy_that_is_not_installed_says_what_to_install(monkeypatch):
    def nothing(program, *_):
        raise Missing(program)

    monkeypatch.setattr(nginx, "find", nothing)
    with pytest.raises(Missing, match="apt install nginx-light"):
        nginx.NGINX.version()


def test_the_kernel_tells_the_time_and_memory_of_a_process():
    begin = cpu_seconds(os.getpid())
    while cpu_seconds(os.getpid()) - begin < 0.02:
        sum(range(10_000))
    assert peak_mebibytes(os.getpid()) > 5
