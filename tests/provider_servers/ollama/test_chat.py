"""Conversations, pictures, tools and formats, over the stand-in on this host."""

from __future__ import annotations

import json
import uuid

import pytest

from automarket.client.options import write_options
from automarket.errors import ConversationInvalid, InvalidRequestError, OptionUnknown
from automarket.v1 import conversation_pb2, model_pb2
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.conversation_pb2 import ChatMessage, MediaPart, MessagePart
from provider_servers.runtime.testing import Sample
from tests.provider_servers.ollama.conftest import thoughts, tokens, usage

pytestmark = pytest.mark.asyncio(loop_scope="module")

SYSTEM, USER, ASSISTANT, TOOL = 1, 2, 3, 4
TIDES = {"name": "tides", "description": "Tells the tides.", "parameters": {"type": "object"}}


def message(role, *parts, name=""):
    made = [MessagePart(text=part) if isinstance(part, str) else part for part in parts]
    return ChatMessage(role=role, parts=made, name=name)


def asking(*messages, model="llama3.2", **options):
    request = pb.TransformRequest(target=model_pb2.Target(model=model))
    request.header.request_id = str(uuid.uuid4())
    request.header.inputs.add().conversation.messages.extend(messages)
    write_options(request.header, "text-to-text", options)
    return request


def ended(events):
    [found] = [event.output_finished.completion for event in events if event.HasField("output_finished")]
    return found


def calls(events):
    return [event.tool_call_delta for event in events if event.HasField("tool_call_delta")]


def said(events):
    return "".join(tokens(events))


async def test_a_conversation_is_told_whole(backend, served):
    async def text(*messages):
        return said(await served.transform(asking(*messages, seed=3)))

    plain = await text(message(USER, "Tell me of the harbour."))
    assert await text(message(USER, "Tell me of the harbour.")) == plain
    assert await text(message(SYSTEM, "Be a gull."), message(USER, "Tell me of the harbour.")) != plain
    before = (message(USER, "Hi."), message(ASSISTANT, "Ahoy."))
    assert await text(*before, message(USER, "Tell me of the harbour.")) != plain
    assert await text(message(USER, "Tell me of the harbour.", name="anna")) != plain


async def test_how_it_ended_is_told(backend, served):
    events = await served.transform(asking(message(USER, "Hi."), max_tokens=3))
    assert ended(events).finish_reason == conversation_pb2.FINISH_REASON_LENGTH
    assert (ended(events).vendor_finish_reason, ended(events).served_model) == ("length", "llama3.2")
    assert usage(events).output_units == 3
    events = await served.transform(asking(message(USER, "Hi."), seed=5))
    assert ended(events).finish_reason == conversation_pb2.FINISH_REASON_STOP


async def test_tools_are_called_and_their_results_told(backend, served):
    events = await served.transform(asking(message(USER, "What do the tides do?"), tools=[TIDES]))
    [call] = calls(events)
    assert (call.index, call.name) == (0, "tides")
    assert call.id.startswith("call_")
    assert json.loads(call.arguments) == {"words": ["What", "do", "the", "tides", "do?"]}
    assert ended(events).finish_reason == conversation_pb2.FINISH_REASON_TOOL_CALLS
    assert not tokens(events)
    made = MessagePart(tool_call=conversation_pb2.ToolCall(id=call.id, name=call.name, arguments=call.arguments))
    result = MessagePart(tool_result=conversation_pb2.ToolResult(tool_call_id=call.id, text="They rise."))
    goes_on = asking(
        message(USER, "What do the tides do?"), message(ASSISTANT, made), message(TOOL, result), tools=[TIDES]
    )
    events = await served.transform(goes_on)
    assert said(events)
    assert not calls(events)


async def test_several_calls_have_an_identity_each(backend, served):
    tools = [TIDES, {"name": "boats"}]
    found = calls(await served.transform(asking(message(USER, "tides and boats"), tools=tools)))
    assert [call.name for call in found] == ["tides", "boats"]
    assert found[1].id == "call_1"
    assert len({call.id for call in found}) == 2


async def test_json_and_schemas_come_back_in_their_order(backend, served):
    assert json.loads(said(await served.transform(asking(message(USER, "Hi."), response_format="json"))))
    schema = {"type": "object", "properties": {"zoo": {"type": "integer"}, "ant": {"type": "string"}}}
    told = said(await served.transform(asking(message(USER, "Hi."), response_format=schema)))
    assert told == '{"zoo": 7, "ant": "a boat"}'
    assert said(await served.transform(asking(message(USER, "Hi."), response_format="text", seed=1)))[0] != "{"


async def test_pictures_are_looked_at_by_models_that_can(backend, served, media):
    await served.run(Sample({"text": "Hi."}, model="gemma3"))
    picture = media.picture_png().read_bytes()
    part = MessagePart(image=MediaPart(inline=picture))
    assert said(await served.transform(asking(message(USER, "What is it?", part), model="gemma3")))
    assert backend.notes("image")[-1]["size"] == len(picture)
    with pytest.raises(ConversationInvalid, match="takes no pictures"):
        await served.transform(asking(message(USER, "What is it?", part)))


async def test_what_a_model_cannot_do_is_refused_by_name(backend, served):
    await served.run(Sample({"text": "Hi."}, model="smollm2:135m"))
    with pytest.raises(OptionUnknown) as caught:
        await served.transform(asking(message(USER, "Hi."), model="smollm2:135m", tools=[TIDES]))
    assert list(caught.value.fields) == ["header.text_to_text.tools"]
    with pytest.raises(OptionUnknown):
        await served.transform(asking(message(USER, "Hi."), reasoning_effort="low"))
    with pytest.raises(OptionUnknown):
        await served.transform(asking(message(USER, "Hi."), tool_choice="auto"))
    sound = MessagePart(audio=MediaPart(inline=b"RIFF"))
    with pytest.raises(ConversationInvalid, match="takes no sound"):
        await served.transform(asking(message(USER, sound)))


async def test_a_model_that_is_not_there_says_only_when_asked_that_it_cannot(backend, served):
    with pytest.raises(InvalidRequestError, match="does not support thinking"):
        await served.transform(asking(message(USER, "Hi."), model="gemma3", reasoning_effort="low"))


async def test_what_a_model_thought_goes_back_to_it(backend, served):
    await served.run(Sample({"text": "Hi."}, {"max_tokens": 1}, "qwen3"))
    thought = MessagePart(reasoning=conversation_pb2.ReasoningPart(text="Hm."))
    request = asking(
        message(USER, "Hi."), message(ASSISTANT, thought, "Ahoy."), message(USER, "So?"), model="qwen3",
        reasoning_effort="high",
    )  # fmt: skip
    assert thoughts(await served.transform(request)) == "Hm. Boats."
