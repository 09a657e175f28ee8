"""What workers report, and what becomes of it: spans and metrics of the service "gateway"."""

from __future__ import annotations

import asyncio
import json
import os
import time

import grpc.aio
import pytest

from gateway.relay.report import CallReport, Reports
from tests.support.collector import collecting
from tests.support.gateway import asking, stock_channel, until, until_listening, until_raw_served
from tests.support.raw_peer import GET_MODEL

TRACE, SPAN, PARENT = "5" * 32, "6" * 16, "7" * 16
SERVER = 2


def call(method="/s/m", code="OK", **fields):
    ids = {"trace_id": TRACE, "span_id": SPAN, "parent_id": PARENT, "sampled": True}
    numbers = {"begin": 100.0, "end": 100.25, "bytes_in": 3, "bytes_out": 4}
    return CallReport(
        **{"provider": "p", "model": "m", "reason": "", **ids, **numbers, **fields}, method=method, code=code
    )


def told(reports):
    line = reports.line()
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


def test_calls_are_added_up_by_what_they_have_in_common():
    reports = Reports()
    for end in (100.5, 101.0):
        reports.call(call(end=end))
    reports.call(call(code="NOT_FOUND", reason="MODEL_UNKNOWN", provider="", model="", end=99.0))
    line = told(reports)
    assert line["calls"] == [["/s/m", "p", "m", "OK", 6, 8, [0.5, 1.0]], ["/s/m", "", "", "NOT_FOUND", 3, 4, [0.0]]]
    assert line["worker"] == os.getpid()
    assert told(reports)["calls"] == []


def test_only_wanted_spans_are_told():
    reports = Reports()
    reports.call(call(replays=1, reason="r"))
    reports.call(call(sampled=False))
    assert told(reports)["spans"] == [["/s/m", "p", "m", "OK", "r", 1, 100.0, 100.25, TRACE, SPAN, PARENT]]
    assert told(reports)["spans"] == []


def test_levels_stay_and_counts_begin_anew():
    reports = Reports()
    reports.gauge("streams", 5)
    reports.gauge("streams", 3)
    reports.count("frames", 10)
    reports.count("frames")
    line = told(reports)
    assert (line["gauges"], line["counts"]) == ({"streams": 3}, {"frames": 11})
    line = told(reports)
    assert (line["gauges"], line["counts"]) == ({"streams": 3}, {})


def test_callers_cannot_make_a_report_long():
    reports = Reports()
    for number in range(5000):
        reports.call(call(method=f"/{number}/" + "x" * 10_000))
    line = reports.line()
    assert len(line) < 1024 * 1024
    report = json.loads(line)
    assert len(report["spans"]) == 1000
    assert report["counts"] == {"spans_left_out": 4000}
    assert sum(len(seconds) for *_, seconds in report["calls"]) == 5000, "every call counts"
    assert len(report["calls"]) <= 501


@pytest.fixture
async def collector(monkeypatch):
    """Give a collector that every process which is started now exports to."""
    async with collecting() as (collector, endpoint):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
        yield collector


def labels(**facts):
    return frozenset(facts.items())


def gateway_spans(collector, trace):
    return [span for span in collector.spans if (span.service, span.trace_id) == ("gateway", trace)]


async def test_a_call_through_the_gateway_is_a_span_between_its_caller_and_its_provider(collector, processes):
    processes.start_control(settle_seconds=0)
    processes.start_gateway()
    processes.start_raw_peer("one")
    async with stock_channel(processes.public) as channel:
        await until_raw_served(channel)
        parent = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)
        get_model = channel.unary_unary(GET_MODEL)
        await get_model(b"abc", metadata=asking("who", *parent), timeout=5)
        unknown = asking("who", *parent, model="none")
        with pytest.raises(grpc.aio.AioRpcError):
            await get_model(b"abc", metadata=unknown, timeout=5)
        unwanted = (("traceparent", f"00-{'8' * 32}-{PARENT}-00"),)
        await get_model(b"abc", metadata=asking("who", *unwanted), timeout=5)
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/made.up/Method")(b"", timeout=5)

        await until(lambda: len(gateway_spans(collector, TRACE)) == 2, what="both spans arrive")
        method = GET_MODEL.lstrip("/")
        good, bad = sorted(gateway_spans(collector, TRACE), key=lambda span: span.error)
        assert (good.name, good.parent_id, good.kind) == (method, PARENT, SERVER)
        assert good.attributes == {"provider": "one", "model": "words"}
        assert 0 < good.seconds < 5
        assert (bad.name, bad.parent_id, bad.error) == (method, PARENT, "MODEL_UNKNOWN")
        assert bad.attributes == {"error.type": "MODEL_UNKNOWN"}
        assert good.span_id != bad.span_id

        def calls():
            return collector.newest("automarket.calls")

        await until(lambda: labels(method="unknown", code="UNIMPLEMENTED") in calls(), what="the last call is counted")
        well = labels(method=GET_MODEL, provider="one", model="words", code="OK")
        assert calls()[well] >= 2
        assert calls()[labels(method=GET_MODEL, code="NOT_FOUND")] >= 1
        assert collector.newest("automarket.call.duration")[well] == calls()[well]
        assert collector.newest("automarket.call.received")[labels(method=GET_MODEL)] > 0
        [facts] = collector.newest("automarket.relay.connections")
        assert dict(facts)["worker"].isdigit()
        assert sum(collector.newest("automarket.relay.frames").values()) > 0
        assert not gateway_spans(collector, "8" * 32), "its caller does not want it"


async def test_what_makes_no_sense_is_dropped_and_what_follows_is_taken(collector, processes):
    processes.start_control()
    path = processes.routes.removeprefix("unix:")
    now = time.time()
    good = {"worker": 1, "calls": [["/m", "p", "m", "OK", 1, 1, [0.1]]], "gauges": {}, "counts": {"limit.resets": 1}}
    spans = [
        ["/m", "p", "m", "OK", "", 0, now, now, "zz", SPAN, ""],
        ["/m", "p", "m", "OK", "", 0, now, now, TRACE, SPAN[:8], ""],
        ["/m", "p", "m", "OK", "", 0, -5, now, TRACE, SPAN, ""],
        ["/m", "p", "m", "OK", "", 0, float("inf"), now, TRACE, SPAN, ""],
        ["/m"],
    ]
    lines = [b"\n", b"[]\n", b"\xff\n", b"{}\n", b"x" * (3 * 1024 * 1024) + b"\n"]
    lines += [json.dumps({**good, "spans": [span]}).encode() + b"\n" for span in spans]
    lines += [json.dumps({**good, "spans": [], "calls": [["/m", 1]]}).encode() + b"\n"]
    whole = ["/m", "p", "m", "OK", "", 0, now, now, TRACE, SPAN, ""]
    lines += [json.dumps({**good, "spans": [whole]}).encode() + b"\n"]
    await until_listening(processes.routes, timeout=15)
    _, writer = await asyncio.open_unix_connection(path)
    for line in lines:
        writer.write(line)
        await writer.drain()
    await until(lambda: collector.newest("automarket.relay.limits"), what="the last line is taken")
    await until(lambda: gateway_spans(collector, TRACE))
    writer.close()
    assert collector.newest("automarket.calls") == {labels(method="unknown", provider="p", model="m", code="OK"): 1}
    assert collector.newest("automarket.relay.limits") == {labels(limit="resets"): 1}
    [span] = gateway_spans(collector, TRACE)
    assert (span.parent_id, span.error) == ("", "")
    processes.stop("control")
    said = (processes.folder / "control.log").read_text()
    assert said.count("a report makes no sense") == 1
    assert "Traceback" not in said


async def test_levels_of_a_worker_that_ended_are_not_told_any_more(collector, processes):
    processes.start_control()
    path = processes.routes.removeprefix("unix:")
    await until_listening(processes.routes, timeout=15)
    writers = []
    for worker in (1, 2):
        _, writer = await asyncio.open_unix_connection(path)
        report = {"worker": worker, "calls": [], "spans": [], "gauges": {"streams": worker}, "counts": {}}
        writer.write(json.dumps(report).encode() + b"\n")
        writers.append(writer)

    def streams():
        return collector.newest("automarket.relay.streams")

    await until(lambda: streams() == {labels(worker="1"): 1.0, labels(worker="2"): 2.0})
    writers[0].close()
    deadline = time.monotonic() + 5
    while streams() != {labels(worker="2"): 2.0}:
        assert time.monotonic() < deadline
        collector.points.clear()
        await until(streams)
    writers[1].close()


async def test_without_a_collector_nothing_is_reported_and_nobody_minds(processes, monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    processes.start_control()
    await until_listening(processes.routes, timeout=15)
    reader, writer = await asyncio.open_unix_connection(processes.routes.removeprefix("unix:"))
    assert json.loads(await reader.readline())["telemetry"] is False
    writer.write(b"anything\n" + b"x" * (3 * 1024 * 1024) + b"\n")
    await writer.drain()
    processes.start_raw_peer("one")
    async with asyncio.timeout(15):
        while b'"one-1"' not in await reader.readline():
            pass
    writer.close()
