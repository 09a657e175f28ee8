"""A gateway that is told to stop: nobody who follows HTTP/2 loses a call by it."""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import asynccontextmanager

import pytest
from hyperframe.frame import GoAwayFrame, PingFrame

from automarket.rpc.channel import open_channel
from tests.support import h2
from tests.support.attacked import Attacked, opening
from tests.support.gateway import until_served
from tests.support.h2 import Verdict, raw_client

pytestmark = pytest.mark.slow

HIGHEST = 2**31 - 1


@pytest.fixture(scope="module")
def everything(module_dir):
    """Give control and two providers that run, one set for all tests of the module."""
    made = Attacked(module_dir)
    try:
        made.start_quietly()
        made.kill("gateway")
        yield made
    finally:
        made.close()


@pytest.fixture
async def gateway(everything):
    """Give them with a gateway of the test's own, which it tells to stop."""
    everything.start_gateway()
    async with open_channel(everything.public) as channel:
        await until_served(channel, provider="near")
    yield everything
    everything.kill("gateway")


@asynccontextmanager
async def busy_client(gateway, **how):
    """Connect, and begin a call that goes on until it is told to end."""
    async with raw_client(gateway.public, **how) as client:
        stream_id = await client.call(h2.request(), opening("echo"))
        await client.until(lambda: client.received.get(stream_id), what="the first answer")
        yield client, stream_id


def goaways(client) -> list[tuple[int, int]]:
    return [(one.last_stream_id, one.error_code) for one in client.all_of(GoAwayFrame)]


async def exited(gateway, timeout: float = 10) -> int:
    return await asyncio.to_thread(gateway._running["gateway"].wait, timeout)


async def test_a_drain_says_goaway_twice_and_lets_calls_finish(gateway):
    async with busy_client(gateway) as (client, stream_id):
        gateway.signal("gateway", signal.SIGTERM)
        await client.until(lambda: len(goaways(client)) == 2, what="both GOAWAY")
        assert goaways(client) == [(HIGHEST, h2.NO_ERROR), (stream_id, h2.NO_ERROR)]
        kinds = [one.type for one in client.frames if one.type in (h2.GOAWAY, h2.PING) and "ACK" not in one.flags]
        assert kinds[:2] == [h2.GOAWAY, h2.PING]
        await client.send(h2.data(stream_id, b"", end=True))
        last, _ = await client.answered(stream_id)
        assert last.get(b"grpc-status") == b"0"
        await client.gone()
    assert await exited(gateway) == 0


async def test_a_call_that_was_on_its_way_when_the_drain_began_is_served(gateway):
    """Between the two GOAWAY: the client could not know yet."""
    async with busy_client(gateway, polite=False) as (client, stream_id):
        gateway.signal("gateway", signal.SIGTERM)
        await client.until(lambda: goaways(client), what="the first GOAWAY")
        late = await client.call(h2.request(), opening("echo"), end=True)
        assert await client.judged(late) == Verdict("status", 0)
        [token] = [one.opaque_data for one in client.all_of(PingFrame) if "ACK" not in one.flags]
        await client.send(h2.frame(h2.PING, h2.ACK, 0, token))
        await client.until(lambda: len(goaways(client)) == 2, what="the second GOAWAY")
        assert goaways(client)[1] == (late, h2.NO_ERROR)
        await client.send(h2.data(stream_id, b"", end=True))
        await client.answered(stream_id)
    assert await exited(gateway) == 0


async def test_a_call_that_begins_after_the_second_goaway_is_refused_unseen(gateway):
    async with busy_client(gateway) as (client, stream_id):
        gateway.signal("gateway", signal.SIGTERM)
        await client.until(lambda: len(goaways(client)) == 2, what="both GOAWAY")
        late = await client.call(h2.request(), opening("echo"), end=True)
        assert await client.judged(late) == Verdict("reset", h2.REFUSED_STREAM)
        await client.send(h2.data(stream_id, b"", end=True))
        assert await client.judged(stream_id) == Verdict("status", 0)
    assert await exited(gateway) == 0


async def test_a_client_that_answers_no_ping_gets_the_second_goaway_a_second_later(gateway):
    async with busy_client(gateway, polite=False) as (client, _):
        begin = gateway.signal("gateway", signal.SIGTERM)
        await client.until(lambda: len(goaways(client)) == 2, what="both GOAWAY")
        assert 0.8 < time.monotonic() - begin < 3


async def test_nobody_can_connect_while_calls_finish(gateway):
    async with busy_client(gateway) as (client, _):
        gateway.signal("gateway", signal.SIGTERM)
        await client.until(lambda: goaways(client), what="the first GOAWAY")
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection(*gateway.public.rsplit(":", 1))


async def test_connections_without_calls_are_closed_and_the_process_ends_at_once(gateway):
    async with raw_client(gateway.public) as idle, raw_client(gateway.public) as used:
        await used.answered(await used.call(h2.request(), opening("echo"), end=True))
        begin = gateway.signal("gateway", signal.SIGTERM)
        await idle.gone()
        await used.gone()
        assert goaways(idle)[-1] == (0, h2.NO_ERROR)
        assert await exited(gateway) == 0
        assert time.monotonic() - begin < 5


async def test_a_second_sigterm_changes_nothing(gateway):
    async with busy_client(gateway) as (client, stream_id):
        gateway.signal("gateway", signal.SIGTERM)
        await client.until(lambda: goaways(client), what="the first GOAWAY")
        gateway.signal("gateway", signal.SIGTERM)
        await client.send(h2.data(stream_id, b"", end=True))
        assert await client.judged(stream_id) == Verdict("status", 0)
    assert await exited(gateway) == 0
