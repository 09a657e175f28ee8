"""What is known of the last calls."""

from __future__ import annotations

import asyncio
import contextlib
import uuid

import pytest

from automarket.errors import AutoMarketError, DeadlineExceeded, RequestUnknown
from automarket.rpc.channel import errors_mapped
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from tests.provider_servers.runtime.bench import call, first
from tests.support.gateway import until


async def known(served, request_id):
    with errors_mapped():
        request = pb.GetDiagnosticsRequest(request_id=request_id)
        return await MediaProviderServiceStub(served.channel).GetDiagnostics(request)


@pytest.mark.parametrize(
    ("do", "outcome", "reason", "lines"),
    [
        ("", "OK", "", []),
        ("break", "INVALID_ARGUMENT", "MEDIA_INVALID", ["the engine said no"]),
        ("bug", "INTERNAL", "INTERNAL_FAULT", []),
        ("nothing", "UNAVAILABLE", "BACKEND_FAILED", []),
    ],
)
async def test_the_outcome_is_known(bench, do, outcome, reason, lines):
    request = first(do=do)
    failure = None
    try:
        await call(bench.channel, request)
    except AutoMarketError as error:
        failure = error
    found = await known(bench, request.header.request_id)
    assert (found.outcome, list(found.log_lines)) == (outcome, lines)
    assert found.reason == (failure.reason if failure else "")
    assert reason in ("", "INTERNAL_FAULT", found.reason)
    assert found.instance_id == bench.server.describe().instance_id
    assert found.start_time.ToNanoseconds() <= found.end_time.ToNanoseconds()


async def test_a_call_under_way_has_no_outcome_and_a_cancelled_one_says_so(bench):
    request = first(do="wait")
    task = asyncio.create_task(call(bench.channel, request))
    await until(lambda: bench.provider.order)
    found = await known(bench, request.header.request_id)
    assert (found.outcome, found.HasField("end_time")) == ("", False)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await until(lambda: bench.server.active_calls == 0)
    assert (await known(bench, request.header.request_id)).outcome == "CANCELLED"


async def test_a_call_that_ran_into_its_deadline_says_so(bench):
    for _ in range(5):
        request = first(do="wait")
        with pytest.raises(DeadlineExceeded):
            await call(bench.channel, request, timeout=0.2)
        await until(lambda: bench.server.active_calls == 0)
        assert (await known(bench, request.header.request_id)).outcome == "DEADLINE_EXCEEDED"


async def test_log_lines_are_the_last_ones_and_none_is_endless(bench):
    request = first(do="log")
    await call(bench.channel, request)
    lines = (await known(bench, request.header.request_id)).log_lines
    assert len(lines) == 200
    assert lines[-1].startswith("line 299 ")
    assert max(map(len, lines)) == 2000


async def test_the_last_256_calls_are_known(bench):
    requests = [first() for _ in range(258)]
    for request in requests:
        await call(bench.channel, request)
    for request in requests[:2]:
        with pytest.raises(RequestUnknown):
            await known(bench, request.header.request_id)
    for request in (requests[2], requests[-1]):
        assert (await known(bench, request.header.request_id)).outcome == "OK"


async def test_a_call_that_never_was_is_unknown(bench):
    with pytest.raises(RequestUnknown):
        await known(bench, str(uuid.uuid4()))
