"""What a language model says, as its caller gets it: text, reasoning, tool calls, how it ended and what it cost."""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from importlib import import_module

import pytest

from automarket.errors import InternalFault, OptionInvalid, ProviderBusy
from automarket.v1 import conversation_pb2, model_pb2
from automarket.v1 import model_service_pb2 as pb
from provider_servers.runtime import Completion, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from provider_servers.runtime.testing import serving
from tests.provider_servers.runtime.bench import call, kinds, said
from tests.support.chatter import Chatter


@pytest.fixture
async def chatter():
    async with serving(Chatter()) as served:
        yield served


def asking(text="hi", model="chatter"):
    request = pb.TransformRequest(target=model_pb2.Target(model=model))
    request.header.request_id = str(uuid.uuid4())
    request.header.inputs.add(inline=text.encode())
    return request


def output(events):
    [found] = [event.output_finished for event in events if event.HasField("output_finished")]
    return found


def usage(events):
    [found] = [event.usage for event in events if event.HasField("usage")]
    return found


async def test_a_schema_is_checked_once_and_beside_the_calls_that_run(chatter, monkeypatch):
    module = import_module("provider_servers.runtime.text_options")  # a function of the package has its name, too
    found, checks = module._found_fault, []

    def noting(text, *, of_object):
        checks.append((text, threading.get_ident()))
        return found(text, of_object=of_object)

    monkeypatch.setattr(module, "_found_fault", noting)
    unique = str(uuid.uuid4())
    good = json.dumps({"type": "object", "description": unique, "properties": {"x": {"enum": ["y" * 20_000]}}})
    bad = json.dumps({"type": 7, "description": unique})
    for _ in range(2):
        request = asking()
        request.header.text_to_text.response_format.json_schema.schema = good
        await call(chatter.channel, request)
        request.header.text_to_text.tools.add(name="tool", parameters=bad)
        with pytest.raises(OptionInvalid) as caught:
            await call(chatter.channel, request)
        assert list(caught.value.fields) == ["header.text_to_text.tools[0].parameters"]
    assert [text for text, _ in checks] == [good, bad]
    assert threading.get_ident() not in {thread for _, thread in checks}


async def test_reasoning_is_apart_from_text(chatter):
    chatter.provider.script = [
        ReasoningDelta(("Hm", ", well")),
        ReasoningDelta(signature="seal"),
        TextDelta(("Yes",)),
        Completion(FinishReason.STOP),
    ]
    events = await call(chatter.channel, asking())
    assert kinds(events) == [
        *("accepted", "output_started", "reasoning_delta", "reasoning_delta", "text_delta"),
        *("output_finished", "finished"),
    ]
    assert said(events) == "Yes"
    assert list(events[2].reasoning_delta.tokens) == ["Hm", ", well"]
    assert events[3].reasoning_delta.signature == "seal"
    assert output(events).size_bytes == 3


async def test_tool_calls_come_in_pieces_and_each_is_named_once(chatter):
    arguments = json.dumps({"town": "Tromsø", "days": list(range(10))}, ensure_ascii=False)
    pieces = [arguments[place : place + 1] for place in range(len(arguments))]
    assert len(pieces) >= 50
    chatter.provider.script = [
        ToolCallDelta(0, "call_a", "weather"),
        ToolCallDelta(1, "", "tides"),
        *(ToolCallDelta(0, "call_a", "weather", piece) for piece in pieces),
        ToolCallDelta(1, arguments="{}"),
        Completion(FinishReason.TOOL_CALLS, "tool_use"),
    ]
    events = await call(chatter.channel, asking())
    deltas = [event.tool_call_delta for event in events if event.HasField("tool_call_delta")]
    first = [one for one in deltas if one.index == 0]
    assert (first[0].id, first[0].name) == ("call_a", "weather")
    assert {(one.id, one.name) for one in first[1:]} == {("", "")}
    assert "".join(one.arguments for one in first) == arguments
    second = [one for one in deltas if one.index == 1]
    assert second[0].id.startswith("call_")
    assert len(second[0].id) > 10
    assert output(events).completion.finish_reason == conversation_pb2.FINISH_REASON_TOOL_CALLS
    assert output(events).size_bytes == 0


async def test_a_tool_call_without_a_name_is_a_bug_of_the_provider(chatter):
    chatter.provider.script = [ToolCallDelta(0, "call_a")]
    with pytest.raises(InternalFault):
        await call(chatter.channel, asking())


async def test_an_empty_completion_is_an_answer(chatter):
    chatter.provider.script = [Completion(FinishReason.LENGTH, "length", "m-2026", "req_1")]
    events = await call(chatter.channel, asking())
    assert kinds(events) == ["accepted", "output_started", "output_finished", "finished"]
    ended = output(events).completion
    assert (ended.finish_reason, ended.vendor_finish_reason) == (conversation_pb2.FINISH_REASON_LENGTH, "length")
    assert (ended.served_model, ended.vendor_request_id) == ("m-2026", "req_1")


async def test_a_cost_that_the_vendor_tells_not_is_worked_out_by_the_price(chatter):
    chatter.provider.script = [
        TextDelta(("x",)),
        Usage("token", 100, 10, cached_input_units=40, cache_write_units=5, reasoning_units=4),
    ]
    used = usage(await call(chatter.channel, asking()))
    assert used.cost == pytest.approx(60 * 0.001 + 40 * 0.0001 + 10 * 0.002)
    assert used.currency == "USD"
    assert (used.cached_input_units, used.cache_write_units, used.reasoning_units) == (40, 5, 4)


async def test_a_cost_that_the_vendor_tells_is_kept_and_without_a_price_there_is_none(chatter):
    chatter.provider.script = [TextDelta(("x",)), Usage("token", 100, 10, cost=0.5, currency="EUR")]
    used = usage(await call(chatter.channel, asking()))
    assert (used.cost, used.currency) == (0.5, "EUR")
    chatter.provider.script = [TextDelta(("x",)), Usage("token", 100, 10)]
    used = usage(await call(chatter.channel, asking(model="plain")))
    assert not used.HasField("cost")
    assert not used.HasField("cached_input_units")


async def test_what_was_said_before_a_failure_was_received(chatter):
    chatter.provider.script = [TextDelta(("almost",)), ProviderBusy("the vendor has too much to do", retry_after=2)]
    received = []
    with pytest.raises(ProviderBusy) as caught:
        async for event in chatter.stream(asking()):
            received.append(event)  # noqa: PERF401 - kept when the stream breaks
    assert said(received) == "almost"
    assert caught.value.retry_after == 2


async def test_text_that_waits_while_other_text_is_sent_goes_together_and_none_is_lost(chatter):
    tokens = [f"{number} " for number in range(5000)]
    chatter.provider.script = [*(TextDelta((token,)) for token in tokens), Completion(FinishReason.STOP)]
    chatter.provider.pause = None
    events = await call(chatter.channel, asking())
    deltas = [event.text_delta for event in events if event.HasField("text_delta")]
    assert [token for delta in deltas for token in delta.tokens] == tokens
    assert len(deltas) < 4000
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert kinds(events)[-2:] == ["output_finished", "finished"]


async def test_text_waits_for_no_other_text(chatter):
    chatter.provider.script = [TextDelta(("first",)), 60.0, TextDelta(("second",))]
    async for event in chatter.stream(asking()):
        if event.HasField("text_delta"):
            assert list(event.text_delta.tokens) == ["first"]
            break
    await asyncio.wait_for(chatter.provider.asked[0].ended.wait(), 1)


async def test_who_does_not_read_holds_back_who_writes(chatter):
    written = []

    def endless():
        for number in range(100_000):
            written.append(number)
            yield TextDelta(("x" * 1000,))

    chatter.provider.script = endless()
    chatter.provider.pause = None
    stream = chatter.stream(asking(), timeout=30)
    async for event in stream:
        if event.HasField("text_delta"):
            break
    await asyncio.sleep(1)
    before = len(written)
    assert before < 50_000  # what the windows of the connection hold
    await asyncio.sleep(0.5)
    assert len(written) == before
    await stream.aclose()


async def test_bounds_and_prices_are_in_the_description(chatter):
    from automarket.v1.model_service_pb2_grpc import ModelServiceStub

    stub = ModelServiceStub(chatter.channel)
    found = (await stub.GetModel(pb.GetModelRequest(target=model_pb2.Target(model="chatter")))).model
    assert (found.limits.context_tokens, found.limits.max_output_tokens) == (8192, 1024)
    assert found.pricing.cached_input_cost == 0.0001
    assert [slot.name for slot in found.inputs] == ["text", "images", "audio", "files"]
    assert [slot.optional for slot in found.inputs] == [False, True, True, True]
