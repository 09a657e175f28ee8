"""Work at a vendor: submitted once, followed, cancelled, gone on with, whatever breaks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from automarket.errors import (
    BackendFailed,
    ContentRefused,
    JobCancelled,
    JobCancelledLocally,
    OutcomeUnknown,
    RateLimited,
    RequestIdReused,
    ResumeInvalid,
    VendorOverloaded,
)
from provider_servers.runtime import TextDelta
from provider_servers.runtime.remote import Cancel, Made, Phase, Result, Status
from provider_servers.runtime.remote.states import Stage, State
from tests.provider_servers.remote.scripted import (
    CANCEL,
    CONTINUE,
    KEEP,
    LOST,
    NOT_MADE,
    QUICK,
    Runner,
    Vendor,
    shopping,
)
from tests.provider_servers.runtime.bench import kinds, said
from tests.support.gateway import until
from tests.vendors.http import FakeServer, Reply
from tests.vendors.made import made

LOSE = 1  # on_loss CANCEL
ID = "7d5e3a52-5c4e-4f6b-9a53-0d3f7c1f1a10"


def checkpoint(event):
    return event.HasField("checkpoint")


def submitted(event):
    return event.HasField("checkpoint") and b'"submitted"' in event.checkpoint.state


async def test_work_is_submitted_once_and_followed_to_its_result():
    async with shopping() as (vendor, served):
        events = await Runner(served).run()
        assert vendor.submitted == ["a kite"]
        assert said(events) == "a kite"
        states = [event.checkpoint.state for event in events if checkpoint(event)]
        assert [b'"stage":"submitting"' in one for one in states] == [True, False]
        queued, running = [event.progress for event in events if event.HasField("progress")]
        assert (queued.phase, queued.queue_position) == ("queued", 1)
        assert queued.message == "queued at Scripted, 1 ahead"
        assert (running.phase, running.HasField("queue_position")) == ("running", False)
        [usage] = [event.usage for event in events if event.HasField("usage")]
        assert (usage.cost, usage.currency) == (0.25, "USD")
        assert kinds(events)[-1] == "finished"


async def test_a_caller_that_does_not_come_back_sees_one_checkpoint_after_the_submit():
    async with shopping() as (_, served):
        events = await Runner(served).run(LOSE)
        assert kinds(events).count("checkpoint") == 1
        assert kinds(events)[:2] == ["accepted", "checkpoint"]


async def test_going_back_to_the_queue_is_told_and_log_lines_are_told_once():
    vendor = Vendor()
    vendor.statuses.extendleft(
        [
            Status(Phase.QUEUED, 0, log_lines=("one", "two", "three")),
            Status(Phase.RUNNING, None, 0.5, log_lines=("one", "two")),
            Status(Phase.RUNNING, None, 0.5, log_lines=("one",)),
        ]
    )
    async with shopping(vendor) as (_, served):
        told = [event.progress for event in await Runner(served).run() if event.HasField("progress")]
        assert [line for one in told for line in one.log_lines] == ["one", "two", "three"]
        assert [one.phase for one in told] == ["running", "running", "queued", "queued", "running"]
        assert told[0].fraction == 0.5


async def test_a_submit_that_was_not_taken_is_made_again_and_one_that_may_have_been_is_not():
    vendor = Vendor()
    vendor.submits.extendleft([RateLimited("slow down", retry_after=0.01), NOT_MADE])
    async with shopping(vendor) as (_, served):
        await Runner(served).run()
        assert vendor.called.count("submits") == 3
        assert vendor.submitted == ["a kite"]
    vendor = Vendor()
    vendor.submits.appendleft(LOST)
    async with shopping(vendor) as (_, served):
        with pytest.raises(OutcomeUnknown) as caught:
            await Runner(served).run()
        assert vendor.called.count("submits") == 1
        assert "Scripted" in caught.value.hint
        assert caught.value.code.name == "ABORTED"


async def test_a_lost_submit_that_the_vendor_can_look_up_goes_on():
    vendor = Vendor()
    vendor.submits.appendleft(LOST)
    vendor.lookups.append({"id": "w7"})
    async with shopping(vendor) as (_, served):
        runner = Runner(served)
        assert said(await runner.run()) == "a kite"
        assert b'"w7"' in runner.state
        assert vendor.called.count("submits") == 1


@pytest.mark.parametrize(
    ("faults", "error"),
    [
        ([RateLimited("no", retry_after=3600)], RateLimited),
        ([NOT_MADE] * 3, BackendFailed),
        ([ContentRefused("no")], ContentRefused),
    ],
)
async def test_a_submit_that_is_refused_ends_the_call(faults, error):
    vendor = Vendor()
    vendor.submits = type(vendor.submits)(faults)
    async with shopping(vendor) as (_, served):
        with pytest.raises(error):
            await Runner(served).run()
        assert vendor.submitted == []


async def test_polls_that_fail_are_waited_out_for_as_long_as_patience_lasts():
    vendor = Vendor()
    vendor.statuses.extendleft([LOST, VendorOverloaded("busy", retry_after=0.01), RateLimited("slow"), LOST])
    async with shopping(vendor) as (_, served):
        assert said(await Runner(served).run()) == "a kite"
    vendor = Vendor()
    vendor.statuses = type(vendor.statuses)([LOST])
    async with shopping(vendor) as (_, served):
        with pytest.raises(BackendFailed):
            await Runner(served).run()
        assert "cancels" not in vendor.called  # the caller comes back


async def test_a_result_that_is_late_is_asked_for_again():
    vendor = Vendor()
    vendor.results.extendleft([None, None])
    async with shopping(vendor) as (_, served):
        assert said(await Runner(served).run()) == "a kite"
        assert vendor.called.count("results") == 3
    vendor = Vendor()
    vendor.results = type(vendor.results)([None])
    async with shopping(vendor) as (_, served):
        with pytest.raises(BackendFailed, match="still in progress"):
            await Runner(served).run()


async def test_a_stream_of_states_is_followed_and_polls_go_on_where_it_breaks_off():
    async def stream(ticket):
        yield Status(Phase.QUEUED, 2)
        yield Status(Phase.RUNNING)
        raise LOST

    vendor = Vendor()
    vendor.stream = stream
    vendor.statuses = type(vendor.statuses)([Status(Phase.DONE)])
    async with shopping(vendor) as (_, served):
        events = await Runner(served).run()
        positions = [
            e.progress.queue_position for e in events if e.HasField("progress") and e.progress.phase == "queued"
        ]
        assert (positions, vendor.called.count("statuses")) == ([2], 1)

    async def whole(ticket):
        yield Status(Phase.DONE)

    vendor = Vendor()
    vendor.stream = whole
    async with shopping(vendor) as (_, served):
        await Runner(served).run()
        assert "statuses" not in vendor.called


# --- callers that are lost ---


@pytest.mark.parametrize("_", range(5))
async def test_the_work_of_a_caller_that_is_lost_is_cancelled_at_the_vendor(_):
    vendor = Vendor()
    vendor.gate = asyncio.Event()
    async with shopping(vendor) as (_, served):
        await Runner(served).run(LOSE, until=checkpoint)
        await until(lambda: vendor.called.count("cancels") == 1)
        await until(lambda: served.server.active_calls == 0)


async def test_the_work_of_a_caller_that_is_lost_during_the_submit_is_cancelled_once_it_is_known():
    vendor = Vendor()
    vendor.submit_gate = asyncio.Event()
    async with shopping(vendor) as (_, served):
        task = asyncio.create_task(Runner(served).run(LOSE))
        await until(lambda: served.server.active_calls == 1)
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.sleep(0.05)
        vendor.submit_gate.set()
        await until(lambda: vendor.called.count("cancels") == 1)
        assert vendor.submitted == ["a kite"]


async def test_a_submit_that_takes_longer_than_a_cancel_is_cancelled_all_the_same():
    vendor = Vendor()
    vendor.submit_gate = asyncio.Event()
    vendor.cancels.appendleft(VendorOverloaded("busy"))
    async with shopping(vendor, waits=replace(QUICK, cancel=0.2)) as (_, served):
        task = asyncio.create_task(Runner(served).run(LOSE))
        await until(lambda: served.server.active_calls == 1)
        await asyncio.sleep(0.1)
        task.cancel()
        await until(lambda: served.server.active_calls == 0)
        vendor.submit_gate.set()
        await until(lambda: vendor.called.count("cancels") == 2)


async def test_work_that_an_equal_call_still_follows_is_not_cancelled_with_its_first_caller():
    vendor = Vendor()
    vendor.gate = asyncio.Event()
    async with shopping(vendor) as (_, served):
        first, second = Runner(served, ID), Runner(served, ID)
        lost = asyncio.create_task(first.run(LOSE))
        await until(lambda: vendor.submitted)
        stays = asyncio.create_task(second.run(LOSE))
        await until(lambda: any(map(checkpoint, first.events)) and any(map(checkpoint, second.events)))
        lost.cancel()
        await until(lambda: served.server.active_calls == 1)
        vendor.gate.set()
        assert said(await stays) == "a kite"
        assert vendor.submitted == ["a kite"]
        assert "cancels" not in vendor.called


async def test_a_call_that_reuses_a_request_id_takes_nothing_from_the_one_that_had_it():
    async with shopping() as (vendor, served):
        await Runner(served, ID).run(LOSE)
        with pytest.raises(RequestIdReused):
            await Runner(served, ID).run(LOSE, text=b"a dog")
        assert said(await Runner(served, ID).run(LOSE)) == "a kite"
        assert vendor.submitted == ["a kite"]


async def test_a_repeat_of_what_nobody_knows_the_outcome_of_is_not_another_purchase():
    vendor = Vendor()
    vendor.submits.appendleft(LOST)
    async with shopping(vendor) as (_, served):
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                await Runner(served, ID).run(LOSE)
        assert vendor.called.count("submits") == 1


async def test_a_repeat_of_a_call_whose_result_could_not_be_downloaded_is_not_another_purchase():
    server = FakeServer(lambda _: Reply(503))
    async with server.serving():
        vendor = Vendor(Result((Made("image", f"{server.url}/x.png"),)))
        async with shopping(vendor, trusted=(urlsplit(server.url).netloc,)) as (_, served):
            with pytest.raises(BackendFailed, match="cannot be downloaded"):
                await Runner(served, ID).run(LOSE)
            server._handle = lambda _: Reply(200, made("png"))
            assert kinds(await Runner(served, ID).run(LOSE))[-1] == "finished"
            assert vendor.submitted == ["a kite"]


async def test_the_work_of_a_caller_that_comes_back_is_left_alone():
    vendor = Vendor()
    vendor.gate = asyncio.Event()
    async with shopping(vendor) as (_, served):
        runner = Runner(served)
        await runner.run(until=submitted)
        await until(lambda: served.server.active_calls == 0)
        assert "cancels" not in vendor.called
        vendor.gate.set()
        assert said(await runner.run(action=CONTINUE)) == "a kite"
        assert vendor.submitted == ["a kite"]


async def test_a_caller_that_is_lost_before_its_checkpoint_is_stored_has_spent_nothing():
    async with shopping() as (vendor, served):
        runner = Runner(served)
        await runner.run(on_loss=KEEP, until=lambda event: event.HasField("accepted"))
        await until(lambda: served.server.active_calls == 0)
        assert (vendor.submitted, runner.state) == ([], b"")
        assert said(await runner.run(action=CONTINUE)) == "a kite"
        assert vendor.submitted == ["a kite"]


async def test_a_submit_whose_caller_was_lost_is_remembered_by_the_process_that_made_it():
    vendor = Vendor()
    vendor.submit_gate = asyncio.Event()
    async with shopping(vendor) as (_, served):
        runner = Runner(served)
        task = asyncio.create_task(runner.run())
        await until(lambda: runner.state != b"")
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.wait([task])
        assert b'"submitting"' in runner.state
        again = asyncio.create_task(runner.run(action=CONTINUE))
        await asyncio.sleep(0.05)
        vendor.submit_gate.set()
        assert said(await again) == "a kite"
        assert vendor.submitted == ["a kite"]
        assert "lookups" not in vendor.called


# --- going on ---


def lost_submit():
    return State(Stage.SUBMITTING, "paint", remembered={"text": "a kite"}).write()


@pytest.mark.parametrize("action", [CONTINUE, CANCEL])
async def test_a_submit_that_nobody_can_tell_of_ends_with_outcome_unknown(action):
    async with shopping() as (vendor, served):
        runner = Runner(served)
        runner.state = lost_submit()
        with pytest.raises(OutcomeUnknown):
            await runner.run(action=action)
        assert vendor.submitted == []


async def test_a_submit_that_is_found_goes_on_or_is_cancelled():
    vendor = Vendor()
    vendor.lookups.extend([{"id": "w3"}])
    async with shopping(vendor) as (_, served):
        runner = Runner(served)
        runner.state = lost_submit()
        assert said(await runner.run(action=CONTINUE)) == "a kite"
        assert b'"w3"' in runner.state
        runner.state = lost_submit()
        with pytest.raises(JobCancelled):
            await runner.run(action=CANCEL)
        assert vendor.submitted == []


@pytest.mark.parametrize(
    "state",
    [b"x", b"{}", b"[]", b"\xff", State(Stage.SUBMITTED, "paint").write(), State(Stage.SUBMITTING, "other").write()],
    ids=["letter", "object", "list", "no-utf8", "no-ticket", "other-model"],
)
async def test_a_state_that_is_no_checkpoint_is_refused(state):
    async with shopping() as (vendor, served):
        runner = Runner(served)
        runner.state = state
        with pytest.raises(ResumeInvalid) as caught:
            await runner.run(action=CONTINUE)
        assert list(caught.value.fields) == ["header.resume.state"]
        assert vendor.called == []


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ([Cancel.TAKEN], JobCancelled),
        ([LOST, Cancel.TAKEN], JobCancelled),
        ([Cancel.NONE], JobCancelledLocally),
        ([Cancel.UNKNOWN], JobCancelledLocally),
        ([Cancel.TOO_LATE], None),
        ([Cancel.REQUESTED], None),
    ],
)
async def test_a_cancel_ends_the_call_or_comes_too_late(answers, error):
    vendor = Vendor()
    vendor.cancels = type(vendor.cancels)(answers)
    async with shopping(vendor) as (_, served):
        runner = Runner(served)
        runner.state = State(Stage.SUBMITTED, "paint", ticket={"id": "w1"}).write()
        if error is None:
            assert said(await runner.run(action=CANCEL)) == "a kite"
        else:
            with pytest.raises(error) as caught:
                await runner.run(action=CANCEL)
            assert type(caught.value) is error
        assert vendor.called.count("cancels") == len(answers)
        assert vendor.submitted == []


async def test_work_that_was_asked_to_stop_ends_as_cancelled_where_its_result_says_so():
    vendor = Vendor()
    vendor.cancels = type(vendor.cancels)([Cancel.REQUESTED])
    vendor.results = type(vendor.results)([JobCancelled("it was cancelled")])
    async with shopping(vendor) as (_, served):
        runner = Runner(served)
        runner.state = State(Stage.SUBMITTED, "paint", ticket={"id": "w1"}).write()
        with pytest.raises(JobCancelled):
            await runner.run(action=CANCEL)


async def test_text_is_given_as_it_is_made():
    vendor = Vendor(Result(spoken=(TextDelta((" kite",)),)))
    vendor.statuses.extendleft([Status(Phase.RUNNING, spoken=(TextDelta(("a", " red")),))])
    async with shopping(vendor) as (_, served):
        events = await Runner(served).run()
        assert said(events) == "a red kite"
        told = [event.WhichOneof("event") for event in events]
        assert told.index("text_delta") < len(told) - 1 - told[::-1].index("progress")
