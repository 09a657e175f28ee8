"""Checkpoints that the caller confirms before anything is spent, and calls that go on from one."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from automarket.errors import (
    CheckpointUnconfirmed,
    CheckpointUnknown,
    InvalidRequestError,
    JobCancelled,
    ResumeInvalid,
)
from automarket.v1 import model_service_pb2 as pb
from automarket.v1 import transform_pb2
from provider_servers.runtime import Checkpoint, Progress, ResumeAction, TextDelta
from provider_servers.runtime.testing import Sample, chunk, serving
from tests.provider_servers.runtime.bench import kinds, said
from tests.provider_servers.runtime.toys import TEXT, Toy
from tests.support.gateway import until

MODEL = replace(TEXT, long_running=True, resumable=True, from_vendor_schema=True)
WORDS = Sample({"text": "hello"})
KEEP, CONTINUE, CANCEL = (
    transform_pb2.LOSS_ACTION_KEEP,
    transform_pb2.RESUME_ACTION_CONTINUE,
    transform_pb2.RESUME_ACTION_CANCEL,
)


def stored(sequence):
    return pb.TransformRequest(checkpoint_stored=pb.CheckpointStored(sequence=sequence))


class Buyer:
    """Pays after the first checkpoint; notes it."""

    def __init__(self):
        self.paid = 0
        self.ended_early = 0
        self.gate = asyncio.Event()

    async def __call__(self, call):
        text = await call.input("text").text()
        try:
            yield Checkpoint(b"submitting")
            self.paid += 1
            yield Checkpoint(b"submitted 7")
            yield Progress("running", queue_position=3, log_lines=("step 1", "step 2"))
            await asyncio.wait_for(self.gate.wait(), 20)
            yield TextDelta((f"{text} for money",))
        except (asyncio.CancelledError, GeneratorExit, CheckpointUnconfirmed):
            self.ended_early += 1
            raise


class Line:
    """The caller's requests: the input, and what the test adds."""

    def __init__(self):
        self.queue = asyncio.Queue()
        self.queue.put_nowait(chunk(b"hello", last=True))

    def say(self, request):
        self.queue.put_nowait(request)

    async def __aiter__(self):
        while (request := await self.queue.get()) is not None:
            yield request


@contextlib.asynccontextmanager
async def buying(on_loss=KEEP):
    buyer = Buyer()
    async with serving(Toy(buyer, MODEL)) as served:
        first = served.header(WORDS)
        first.header.on_loss = on_loss
        yield buyer, served, first


@pytest.mark.parametrize("_", range(5))
async def test_nothing_is_spent_before_the_caller_has_stored_the_checkpoint(_):
    async with buying() as (buyer, served, first):
        line, events = Line(), []
        async for event in served.stream(first, line):
            events.append(event)
            if event.HasField("checkpoint"):
                await asyncio.sleep(0.05)
                assert buyer.paid == (event.checkpoint.state != b"submitting")
                assert not events[-1].HasField("progress")
                line.say(stored(event.sequence))
                buyer.gate.set()
        assert (buyer.paid, said(events)) == (1, "hello for money")
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        [progress] = [event.progress for event in events if event.HasField("progress")]
        assert (progress.queue_position, list(progress.log_lines)) == (3, ["step 1", "step 2"])


async def test_a_caller_that_does_not_come_back_is_not_waited_for():
    async with buying(transform_pb2.LOSS_ACTION_UNSPECIFIED) as (buyer, served, first):
        buyer.gate.set()
        events = await served.transform(first, Line())
        assert kinds(events).count("checkpoint") == 2
        assert said(events) == "hello for money"


@pytest.mark.parametrize("_", range(5))
async def test_a_caller_that_ends_its_requests_unconfirmed_ends_the_call_before_anything_is_spent(_):
    async with buying() as (buyer, served, first):
        line, seen = Line(), []
        with pytest.raises(CheckpointUnconfirmed):
            async for event in served.stream(first, line):
                seen.append(event)
                if event.HasField("checkpoint"):
                    line.say(None)
        assert kinds(seen)[-1] == "checkpoint"
        assert buyer.paid == 0
        line = Line()
        line.say(None)  # before there was anything to confirm
        with pytest.raises(CheckpointUnconfirmed):
            await served.transform(first, line)
        assert (buyer.paid, buyer.ended_early) == (0, 2)


@pytest.mark.parametrize(
    ("answers", "told"), [((99,), "expected"), ((2, 2), "no checkpoint waits"), ((0,), "expected")]
)
async def test_a_confirmation_of_what_does_not_wait_is_refused(answers, told):
    async with buying() as (buyer, served, first):
        line = Line()
        with pytest.raises(CheckpointUnknown) as caught:
            async for event in served.stream(first, line):
                if event.HasField("checkpoint") and event.checkpoint.state == b"submitting":
                    assert event.sequence == 2
                    for sequence in answers:
                        line.say(stored(sequence))
        [(field, fault)] = caught.value.fields.items()
        assert field == "checkpoint_stored.sequence"
        assert fault.startswith((told, "expected"))
        assert buyer.paid == len(answers) - 1


async def test_callers_that_do_not_come_back_confirm_nothing():
    async with buying(transform_pb2.LOSS_ACTION_CANCEL) as (_, served, first):
        line = Line()
        with pytest.raises(CheckpointUnknown) as caught:
            async for event in served.stream(first, line):
                if event.HasField("checkpoint"):
                    line.say(stored(event.sequence))
        assert "KEEP" in caught.value.hint


async def test_a_caller_that_is_lost_while_it_is_asked_ends_the_call_before_anything_is_spent():
    async with buying() as (buyer, served, first):
        events = served.stream(first, Line())
        async for event in events:
            if event.HasField("checkpoint"):
                break
        await events.aclose()
        await until(lambda: buyer.ended_early == 1)
        assert buyer.paid == 0


async def test_generate_refuses_to_be_come_back_to():
    async with buying() as (_, served, first):
        first.header.inputs[0].inline = b"hello"
        with pytest.raises(InvalidRequestError) as caught:
            await served.generate(first)
        assert list(caught.value.fields) == ["header.on_loss"]


# --- going on ---


def resuming(served, state, action=CONTINUE):
    first = served.header(WORDS)
    first.header.inputs[0].inline = b"hello"
    first.header.resume.state = state
    first.header.resume.action = action
    first.header.on_loss = KEEP
    return first


async def tell(call):
    text = f"{call.resume.action} {call.resume.state.decode()}" if call.resume else "anew"
    yield TextDelta((f"{text} {'keeps' if call.keeps else 'cancels'}",))


@pytest.mark.parametrize(
    ("state", "action", "told"),
    [(b"s", CONTINUE, "continue s keeps"), (b"s", CANCEL, "cancel s keeps"), (b"", CONTINUE, "anew keeps")],
)
async def test_the_author_sees_where_a_call_goes_on(state, action, told):
    async with serving(Toy(tell, MODEL)) as served:
        assert said(await served.transform(resuming(served, state, action))) == told


async def test_a_call_that_had_not_begun_is_cancelled_at_once():
    async with serving(Toy(tell, MODEL)) as served:
        with pytest.raises(JobCancelled):
            await served.transform(resuming(served, b"", CANCEL))


async def test_a_model_without_checkpoints_does_not_go_on():
    async with serving(Toy(tell)) as served:
        for state in (b"", b"s"):
            with pytest.raises(ResumeInvalid) as caught:
                await served.transform(resuming(served, state))
            assert list(caught.value.fields) == ["header.resume"]


async def test_a_cancel_does_not_wait_for_the_calls_that_work():
    gate = asyncio.Event()

    async def work(call):
        if call.resume and call.resume.action is ResumeAction.CANCEL:
            raise JobCancelled("it is cancelled")
        await gate.wait()
        yield TextDelta(("done",))

    async with serving(Toy(work, MODEL)) as served:
        busy = [asyncio.create_task(served.transform(resuming(served, b"s"))) for _ in range(4)]
        await until(lambda: served.server.active_calls == 4)
        with pytest.raises(JobCancelled):
            await served.transform(resuming(served, b"s", CANCEL))
        gate.set()
        await asyncio.gather(*busy)


async def test_a_model_says_that_it_takes_long_and_goes_on(bench):
    async with serving(Toy(tell, MODEL)) as served:
        [described] = served.server._host.models.now().models
        assert (described.long_running, described.resumable, described.from_vendor_schema) == (True, True, True)
