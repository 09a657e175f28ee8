from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.relay.feed import RoutingFeed
from gateway.relay.table import Instance, Load, Model, Provider, Slot, Table, TableCopy, encode_load, encode_table
from tests.support.gateway import until

MODEL = Model(
    "m",
    ("m", "alias"),
    ("speech-to-text",),
    (Slot(("audio",), repeated=True),),
    ("text",),
    replay_safe=True,
    deduplicates=True,
    hint="h",
    error_reason="ENGINE_MISSING",
)
ONE = Provider("one", ("one",), models=(MODEL,), instances=(Instance("one-1", "unix:/1", 4, 8, load=Load(1, 2)),))
AWAY = {"local": False, "available": False, "reason": "r", "error_reason": "DOCKER_MISSING"}
TWO = Provider("two", ("two",), **AWAY, instances=(Instance("two-1", "unix:/2", standby=3),))
TABLE = Table(
    7,
    "first",
    (ONE, TWO),
    "unix:/c",
    "unix:/s",
    {"stt": "speech-to-text"},
    settled=True,
    retry_after=3.0,
    telemetry=True,
)


def without_instances(*providers):
    return tuple(replace(provider, instances=()) for provider in providers)


def copy_of(*tables):
    copy = TableCopy()
    for table in tables:
        copy.apply(encode_table(table))
    return copy


def present(copy):
    return {p.id for p in copy.table.providers if p.instances}


def test_a_table_travels_whole():
    assert copy_of(TABLE).table == TABLE


def test_load_changes_the_instances_that_it_names():
    copy = copy_of(TABLE)
    copy.apply(encode_load({"two-1": Load(5, 6), "gone": Load(1, 1)}))
    one, two = copy.table.providers
    assert (one.instances[0].load, two.instances[0].load) == (Load(1, 2), Load(5, 6))
    assert copy.table.with_load({"two-1": Load(7, 7)}).providers[0] is one, "what did not change stays the same"


def test_a_line_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="Expecting"):
        TableCopy().apply(b"nonsense\n")


def test_what_a_control_before_knew_stays_until_it_is_back_or_the_table_is_settled():
    new = replace(TABLE, epoch="second", settled=False, providers=without_instances(ONE))
    copy = copy_of(TABLE, new)
    assert present(copy) == {"one", "two"}
    copy.apply(encode_table(replace(new, providers=(ONE,))))
    assert present(copy) == {"one", "two"}
    copy.apply(encode_table(replace(new, providers=without_instances(ONE))))
    assert present(copy) == {"two"}, "one was back and has gone"
    copy.apply(encode_table(replace(new, providers=(), settled=True)))
    assert copy.table.providers == ()


def test_what_the_same_control_drops_is_dropped_at_once_settled_or_not():
    unsettled = replace(TABLE, settled=False)
    assert present(copy_of(unsettled, replace(unsettled, providers=without_instances(ONE, TWO)))) == set()


def test_without_control_names_are_not_settled():
    copy = copy_of(TABLE)
    copy.control_is_gone(1.5)
    assert (copy.table.settled, copy.table.retry_after) == (False, 1.5)
    assert copy.table.providers == TABLE.providers


async def test_a_feed_follows_reconnects_and_survives_a_broken_line(short_dir):
    path = str(short_dir / "r.sock")
    lines = [encode_table(TABLE), b"nonsense\n"]
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        for line in lines:
            writer.write(line)
        await reader.read()
        writer.close()

    seen = []
    async with RoutingFeed(path, seen.append) as feed:
        await asyncio.sleep(0.25)
        assert not feed.connected
        server = await asyncio.start_unix_server(serve, path)
        await until(lambda: len(connections) > 2)
        assert feed.table.providers == TABLE.providers
        del lines[1]
        await until(lambda: feed.connected and feed.table.settled)
        connections[-1].write(encode_load({"one-1": Load(9, 9)}))
        await until(lambda: seen[-1].providers[0].instances[0].load == Load(9, 9))
        server.close()
        Path(path).unlink()
        connections[-1].close()
        await until(lambda: not feed.connected)
        assert not feed.table.settled


async def test_a_feed_takes_reports_back_while_somebody_reads_them(short_dir):
    path = str(short_dir / "r.sock")
    lines, reads, followers = [], asyncio.Event(), []

    async def serve(reader, writer):
        followers.append(writer)
        writer.write(encode_table(TABLE))
        await reads.wait()
        while line := await reader.readline():
            lines.append(line)
        writer.close()

    server = await asyncio.start_unix_server(serve, path, limit=1024)
    async with RoutingFeed(path) as feed:
        feed.send(b"nobody is there\n")
        await until(lambda: feed.connected)
        feed.send(b"first\n")
        for _ in range(4000):
            feed.send(b"x" * 999 + b"\n")
        assert feed._writer.transport.get_write_buffer_size() <= 1024 * 1024, "what nobody takes is lost"
        reads.set()
        await until(lambda: feed._writer.transport.get_write_buffer_size() == 0)
        feed.send(b"last\n")
        await until(lambda: b"last\n" in lines)
        assert lines[0] == b"first\n"
        assert 1000 < len(lines) < 4000
        server.close()
        followers[0].close()
        await until(lambda: not feed.connected)
        feed.send(b"nobody is there again\n")
