"""Conversations: what an author gets of them, and what is refused at the door."""

from __future__ import annotations

import json
import uuid

import pytest
from google.protobuf import json_format

from automarket.chat import CONVERSATION_TYPE
from automarket.errors import (
    AssetUnknown,
    ChunkTooLarge,
    ConversationInvalid,
    DigestInvalid,
    InputEmpty,
    InputTooLarge,
    InputUnsuitable,
    OptionInvalid,
    OptionUnknown,
)
from automarket.v1 import conversation_pb2, model_pb2, transform_pb2
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.conversation_pb2 import (
    MESSAGE_ROLE_ASSISTANT,
    MESSAGE_ROLE_SYSTEM,
    MESSAGE_ROLE_TOOL,
    MESSAGE_ROLE_USER,
    ChatMessage,
    Conversation,
    MediaPart,
    MessagePart,
)
from provider_servers.runtime import MessageRole, ReasoningPart, TextPart, ToolCall, ToolResult
from provider_servers.runtime.testing import chunk, serving
from tests.provider_servers.runtime.bench import Bench, call, said
from tests.provider_servers.runtime.test_store import in_pieces
from tests.support.chatter import Chatter
from tests.support.gateway import Here, until

WEATHER = conversation_pb2.ToolCall(id="call_1", name="weather", arguments='{"town": "Bergen", "days": 3}')
RESULT = conversation_pb2.ToolResult(tool_call_id="call_1", text='{"rain": true}')
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"


@pytest.fixture
async def chatter():
    async with serving(Chatter()) as served:
        yield served


def message(role, *parts):
    made = [MessagePart(text=part) if isinstance(part, str) else part for part in parts]
    return ChatMessage(role=role, parts=made)


def asking(*messages, model="chatter"):
    header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
    header.inputs.add().conversation.CopyFrom(Conversation(messages=messages))
    return pb.TransformRequest(target=model_pb2.Target(model=model), header=header)


async def refused(served, request, error=ConversationInvalid, chunks=None):
    """Make a call that is refused before the author's code is asked; give the one field that is named."""
    with pytest.raises(error) as caught:
        await call(served.channel, request, chunks)
    [field] = caught.value.fields
    return field


async def test_a_conversation_arrives_as_it_was_said(chatter):
    thought = conversation_pb2.ReasoningPart(text="Rain, surely.", signature="c2ln")
    request = asking(
        message(MESSAGE_ROLE_SYSTEM, "Be brief."),
        message(MESSAGE_ROLE_USER, "Is it ", "raining? ☔"),
        message(MESSAGE_ROLE_ASSISTANT, MessagePart(reasoning=thought), MessagePart(tool_call=WEATHER)),
        message(MESSAGE_ROLE_TOOL, MessagePart(tool_result=RESULT)),
        ChatMessage(role=MESSAGE_ROLE_USER, name="anna", parts=[MessagePart(text="So?")]),
    )
    assert said(await call(chatter.channel, request)) == "So?"
    [asked] = chatter.provider.asked
    assert [one.role for one in asked.messages] == [
        MessageRole.SYSTEM,
        MessageRole.USER,
        MessageRole.ASSISTANT,
        MessageRole.TOOL,
        MessageRole.USER,
    ]
    assert asked.messages[1].parts == (TextPart("Is it "), TextPart("raining? ☔"))
    assert asked.messages[1].text == "Is it raining? ☔"
    assert asked.messages[2].parts[0] == ReasoningPart("Rain, surely.", "c2ln")
    assert asked.messages[2].tool_calls == (ToolCall("call_1", "weather", WEATHER.arguments),)
    assert asked.messages[2].tool_calls[0].parsed == {"town": "Bergen", "days": 3}
    assert asked.messages[3].tool_results == (ToolResult("call_1", '{"rain": true}'),)
    assert asked.messages[4].name == "anna"


async def test_a_plain_text_is_a_conversation_of_one_message_after_the_system_prompt(chatter):
    request = pb.TransformRequest(target=model_pb2.Target(model="chatter"))
    request.header.request_id = str(uuid.uuid4())
    request.header.inputs.add(inline=b"Who are you?")
    request.header.text_to_text.system_prompt = "You are a gull."
    await call(chatter.channel, request)
    [asked] = chatter.provider.asked
    assert (asked.roles(), asked.texts()) == (["system", "user"], ["You are a gull.", "Who are you?"])
    typed = asking(message(MESSAGE_ROLE_USER, "Hm?"))
    typed.header.text_to_text.system_prompt = "You are a gull."
    await call(chatter.channel, typed)
    assert chatter.provider.asked[1].texts() == ["You are a gull.", "Hm?"]


async def test_a_long_conversation_comes_as_json_in_chunks(chatter):
    said_before = [message(MESSAGE_ROLE_USER, f"line {number} " + "ü" * 2000) for number in range(200)]
    written = json_format.MessageToJson(Conversation(messages=said_before), ensure_ascii=False).encode()
    request = asking()
    request.header.inputs[0].Clear()
    request.header.inputs[0].media_type = f"{CONVERSATION_TYPE}; charset=utf-8"
    request.header.inputs[0].stream.SetInParent()
    await call(chatter.channel, request, in_pieces(written, 100_001))
    [asked] = chatter.provider.asked
    assert len(asked.messages) == 200
    assert asked.messages[199].text == "line 199 " + "ü" * 2000


@pytest.mark.parametrize(
    ("written", "field"),
    [
        (b'{"messages": [{"role": "MESSAGE_ROLE_USER"', ""),
        (b'{"messages": [{"role": "nobody"}]}', ""),
        (b'{"messages": []}', ".conversation.messages"),
        (b'{"messages": [{"role": "MESSAGE_ROLE_USER"}]}', ".conversation.messages[0].parts"),
    ],
)
async def test_json_that_is_no_conversation_is_refused(chatter, written, field):
    request = asking()
    request.header.inputs[0].Clear()
    request.header.inputs[0].media_type = CONVERSATION_TYPE
    request.header.inputs[0].inline = written
    assert await refused(chatter, request) == f"header.inputs[0]{field}"
    assert not chatter.provider.asked


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "messages"),
        ([message(0, "hi")], "messages[0].role"),
        ([message(MESSAGE_ROLE_USER, "hi"), message(77, "hi")], "messages[1].role"),
        ([message(MESSAGE_ROLE_USER)], "messages[0].parts"),
        ([message(MESSAGE_ROLE_USER, MessagePart())], "messages[0].parts[0]"),
        ([message(MESSAGE_ROLE_USER, "a", MessagePart(tool_call=WEATHER))], "messages[0].parts[1].tool_call"),
        ([message(MESSAGE_ROLE_TOOL, "text")], "messages[0].parts[0].text"),
        ([message(MESSAGE_ROLE_SYSTEM, MessagePart(image=MediaPart(inline=b"x")))], "messages[0].parts[0].image"),
        (
            [message(MESSAGE_ROLE_TOOL, MessagePart(tool_result=RESULT))],
            "messages[0].parts[0].tool_result.tool_call_id",
        ),
        ([message(MESSAGE_ROLE_ASSISTANT, *[MessagePart(tool_call=WEATHER)] * 2)], "messages[0].parts[1].tool_call.id"),
        (
            [message(MESSAGE_ROLE_ASSISTANT, MessagePart(tool_call={"name": "weather"}))],
            "messages[0].parts[0].tool_call.id",
        ),
        ([message(MESSAGE_ROLE_ASSISTANT, MessagePart(tool_call={"id": "1"}))], "messages[0].parts[0].tool_call.name"),
        (
            [message(MESSAGE_ROLE_ASSISTANT, MessagePart(tool_call={"id": "1", "name": "n", "arguments": "[1]"}))],
            "messages[0].parts[0].tool_call.arguments",
        ),
        ([message(MESSAGE_ROLE_USER, MessagePart(image=MediaPart()))], "messages[0].parts[0].image.source"),
        ([message(MESSAGE_ROLE_USER, MessagePart(image={"inline": b""}))], "messages[0].parts[0].image.source"),
        ([message(MESSAGE_ROLE_USER, MessagePart(file={"inline": PDF}))], "messages[0].parts[0].file.media_type"),
        (
            [message(MESSAGE_ROLE_USER, MessagePart(file={"inline": b"PK", "media_type": "application/zip"}))],
            "messages[0].parts[0].file.media_type",
        ),
    ],
)
async def test_what_breaks_a_rule_is_refused_and_the_field_is_named(chatter, messages, field):
    assert await refused(chatter, asking(*messages)) == f"header.inputs[0].conversation.{field}"
    assert not chatter.provider.asked


async def test_parts_that_a_model_does_not_take_are_refused_by_name(chatter):
    for kind in ("image", "audio", "file"):
        part = MessagePart(**{kind: MediaPart(inline=b"x", media_type="x/y")})
        request = asking(message(MESSAGE_ROLE_USER, "look", part), model="plain")
        assert (await refused(chatter, request)).endswith(f"messages[0].parts[1].{kind}")


async def test_media_inline_is_bounded_and_digests_are_checked(chatter):
    long = MessagePart(image=MediaPart(inline=bytes(64 * 1024 + 1)))
    assert (await refused(chatter, asking(message(MESSAGE_ROLE_USER, long)), ChunkTooLarge)).endswith("image.inline")
    wrong = MessagePart(audio=MediaPart(digest="sha256:abc"))
    assert (await refused(chatter, asking(message(MESSAGE_ROLE_USER, wrong)), DigestInvalid)).endswith("audio.digest")


async def test_a_conversation_is_the_only_input(chatter, media):
    request = asking(message(MESSAGE_ROLE_USER, "hi"))
    request.header.inputs.add(slot="images", inline=media.picture_png().read_bytes())
    assert await refused(chatter, request) == "header.inputs[0]"


async def test_a_model_that_takes_no_conversation_refuses_one():
    async with serving(Bench()) as bench:
        request = asking(message(MESSAGE_ROLE_USER, "hi"), model="say")
        assert await refused(bench, request) == "header.inputs[0]"


async def test_media_in_messages_is_what_it_is_or_is_cast_to_what_the_model_takes(chatter, media):
    picture, sound = media.picture_png().read_bytes(), media.speech_wav().read_bytes()
    await call(
        chatter.channel,
        asking(
            message(
                MESSAGE_ROLE_USER,
                "what is this?",
                MessagePart(image=MediaPart(inline=picture)),
                MessagePart(file=MediaPart(inline=PDF, media_type="application/pdf", file_name="a.pdf")),
            )
        ),
    )
    [asked] = chatter.provider.asked
    assert asked.media == [("image", "image/png", picture), ("file", "application/pdf", PDF)]
    assert asked.messages[0].attachments[1].file_name == "a.pdf"
    assert len(sound) > 64 * 1024


async def test_media_that_is_not_what_it_should_be_names_its_field(chatter, media):
    sound = media.speech_wav().read_bytes()[:40_000]
    part = MessagePart(image=MediaPart(inline=sound))
    field = await refused(chatter, asking(message(MESSAGE_ROLE_USER, "look", part)), InputUnsuitable)
    assert field == "header.inputs[0].conversation.messages[0].parts[1].image"


async def test_a_text_with_media_in_slots_of_their_own_is_one_message(chatter, media):
    request = asking()
    request.header.inputs[0].Clear()
    request.header.inputs[0].inline = b"what is this?"
    request.header.inputs.add(slot="images", inline=media.picture_png().read_bytes())
    await call(chatter.channel, request)
    [asked] = chatter.provider.asked
    [only] = asked.messages
    assert [type(part).__name__ for part in only.parts] == ["Attachment", "TextPart"]
    assert asked.media[0][:2] == ("image", "image/png")


async def test_empty_texts_are_refused_and_empty_parts_are_not(chatter):
    request = asking()
    request.header.inputs[0].Clear()
    request.header.inputs[0].inline = b" \n"
    with pytest.raises(InputEmpty):
        await call(chatter.channel, request)
    await call(
        chatter.channel,
        asking(
            message(MESSAGE_ROLE_USER, "hi"),
            message(MESSAGE_ROLE_ASSISTANT, ""),
            message(MESSAGE_ROLE_USER, "are you there?"),
        ),
    )
    assert chatter.provider.asked[0].texts() == ["hi", "", "are you there?"]


async def test_media_by_digest_comes_from_the_store_and_becomes_lineage(store, assets, media, short_dir):
    picture = await assets.put(media.picture_png())
    sound = await assets.put(media.talk_mp4())
    here = Here(store.folder)
    async with here.running_control(store=store.address), serving(Chatter(), here.control) as served:
        await until(lambda: served.server._host.store.there, what="the store is known")
        document = await assets.put(PDF)
        request = asking(
            message(
                MESSAGE_ROLE_USER,
                "listen",
                MessagePart(image=MediaPart(digest=picture.digest)),
                MessagePart(audio=MediaPart(digest=sound.digest)),
                MessagePart(file=MediaPart(digest=document.digest, media_type="application/pdf")),
            )
        )
        request.header.store = True
        events = await call(served.channel, request)
        [asked] = served.provider.asked
        assert [one[:2] for one in asked.media] == [
            ("image", "image/png"),
            ("audio", "audio/wav"),
            ("file", "application/pdf"),
        ]
        assert asked.media[0][2] == media.picture_png().read_bytes()
        assert asked.media[2][2] == PDF
        [made] = [event.output_finished for event in events if event.HasField("output_finished")]
        lineage = (await assets.stat(made.digest)).lineage
        assert list(lineage.parents) == [picture.digest, sound.digest, document.digest]
        assert [cast.slot for cast in events[0].accepted.casts] == ["audio"]
        nobody = MessagePart(image=MediaPart(digest="sha256:" + "0" * 64))
        with pytest.raises(AssetUnknown):
            await call(served.channel, asking(message(MESSAGE_ROLE_USER, nobody)))


async def test_bounds_of_a_slot_hold_for_parts_of_messages(store, assets, media):
    picture = await assets.put(media.picture_png().read_bytes() + bytes(200_000))
    here = Here(store.folder)
    async with here.running_control(store=store.address), serving(Chatter(), here.control) as served:
        await until(lambda: served.server._host.store.there, what="the store is known")
        part = MessagePart(image=MediaPart(digest=picture.digest))
        field = await refused(served, asking(message(MESSAGE_ROLE_USER, part)), InputTooLarge)
        assert field.endswith("messages[0].parts[0].image")


async def test_options_are_checked_at_the_door_and_read_as_values(chatter):
    request = asking(message(MESSAGE_ROLE_USER, "hi"))
    options = request.header.text_to_text
    options.temperature, options.top_k, options.seed = 0, 5, 2**60
    options.stop.extend(["END", "\n\n"])
    options.response_format.json_schema.schema = '{"type": "object", "properties": {"z": {}, "a": {}}}'
    options.response_format.json_schema.strict = True
    options.tools.add(name="weather", description="Tells it.", parameters='{"type": "object"}')
    options.tool_choice.tool = "weather"
    options.reasoning_effort = "low"
    request.header.model_options["do"] = "nothing"
    await call(chatter.channel, request)
    [asked] = chatter.provider.asked
    read = asked.options
    assert (read.temperature, read.top_p, read.top_k, read.seed) == (0, None, 5, 2**60)
    assert read.stop == ("END", "\n\n")
    assert (read.response_format.kind, read.response_format.name, read.response_format.strict) == (
        "json_schema",
        "answer",
        True,
    )
    assert json.dumps(read.response_format.schema) == '{"type": "object", "properties": {"z": {}, "a": {}}}'
    assert [(one.name, one.description, one.parameters) for one in read.tools] == [
        ("weather", "Tells it.", {"type": "object"})
    ]
    assert (read.tool_choice.tool, read.reasoning_effort) == ("weather", "low")
    assert asked.own["do"] == "nothing"


async def test_schemas_that_recur_or_are_long_are_checked_alike(chatter):
    long = json.dumps({"type": "object", "properties": {f"p{n}": {"description": "x" * 50} for n in range(200)}})
    assert len(long) > 8 * 1024
    for _ in range(2):
        request = asking(message(MESSAGE_ROLE_USER, "hi"))
        request.header.text_to_text.tools.add(name="a", parameters=long)
        await call(chatter.channel, request)
        assert len(chatter.provider.asked[-1].options.tools[0].parameters["properties"]) == 200
        for wrong in ('{"type": "thing"}', '{"type": "thing", "x": "' + "x" * 9000 + '"}'):
            request.header.text_to_text.tools[0].parameters = wrong
            assert await refused(chatter, request, OptionInvalid) == "header.text_to_text.tools[0].parameters"


async def test_a_conversation_goes_in_one_message_too(chatter, media):
    part = MessagePart(image=MediaPart(inline=media.picture_png().read_bytes()))
    events = await chatter.generate(asking(message(MESSAGE_ROLE_USER, "what is this?", part)))
    assert said(events) == "what is this?"
    assert chatter.provider.asked[0].media[0][1] == "image/png"


async def test_modes_and_plain_formats_are_read_too(chatter):
    request = asking(message(MESSAGE_ROLE_USER, "hi"))
    options = request.header.text_to_text
    options.response_format.json.SetInParent()
    options.tools.add(name="a")
    options.tool_choice.mode = 3
    await call(chatter.channel, request)
    [asked] = chatter.provider.asked
    assert asked.options.response_format.kind == "json"
    assert (asked.options.tool_choice.mode, asked.options.tool_choice.tool) == ("required", "")
    assert asked.options.tools[0].parameters == {}


def _schema(options, text):
    options.response_format.json_schema.schema = text


def _tool(options, **facts):
    options.tools.add(**{"name": "a", **facts})


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda o: _schema(o, "{"), "response_format.json_schema.schema"),
        (lambda o: _schema(o, "[1]"), "response_format.json_schema.schema"),
        (lambda o: _schema(o, '{"type": "thing"}'), "response_format.json_schema.schema"),
        (lambda o: _schema(o, '{"properties": 3}'), "response_format.json_schema.schema"),
        (lambda o: o.response_format.json_schema.SetInParent(), "response_format.json_schema"),
        (lambda o: o.response_format.SetInParent(), "response_format"),
        (lambda o: _tool(o, parameters="no"), "tools[0].parameters"),
        (lambda o: _tool(o, parameters='{"type": "array"}'), "tools[0].parameters"),
        (lambda o: _tool(o, name="not a name"), "tools.0.name"),
        (lambda o: (_tool(o), _tool(o)), "tools[1].name"),
        (lambda o: setattr(o.tool_choice, "mode", 3), "tool_choice.mode"),
        (lambda o: (_tool(o), setattr(o.tool_choice, "tool", "b")), "tool_choice.tool"),
        (lambda o: setattr(o.tool_choice, "mode", 9), "tool_choice.mode"),
        (lambda o: setattr(o, "temperature", 2.1), "temperature"),
        (lambda o: setattr(o, "temperature", float("nan")), "temperature"),
        (lambda o: setattr(o, "top_p", 0), "top_p"),
        (lambda o: setattr(o, "max_tokens", 0), "max_tokens"),
        (lambda o: o.stop.extend([""]), "stop.0"),
        (lambda o: o.stop.extend(["x"] * 17), "stop"),
        (lambda o: setattr(o, "reasoning_effort", "endless"), "reasoning_effort"),
    ],
)
async def test_options_that_are_wrong_name_their_field(chatter, spoil, field):
    request = asking(message(MESSAGE_ROLE_USER, "hi"))
    spoil(request.header.text_to_text)
    assert await refused(chatter, request, OptionInvalid) == f"header.text_to_text.{field}"


async def test_an_option_that_a_model_lacks_is_refused_and_a_narrower_range_holds(chatter):
    request = asking(message(MESSAGE_ROLE_USER, "hi"), model="plain")
    request.header.text_to_text.top_p = 0.5
    assert await refused(chatter, request, OptionUnknown) == "header.text_to_text.top_p"
    request.header.text_to_text.ClearField("top_p")
    request.header.text_to_text.temperature = 1.5
    assert await refused(chatter, request, OptionInvalid) == "header.text_to_text.temperature"


async def test_a_conversation_in_chunks_that_ends_early_is_told(chatter):
    request = asking()
    request.header.inputs[0].Clear()
    request.header.inputs[0].media_type = CONVERSATION_TYPE
    request.header.inputs[0].stream.SetInParent()

    async def half():
        yield chunk(b'{"messages": [')

    with pytest.raises(Exception, match="before input 0 was complete"):
        await call(chatter.channel, request, half())


async def test_pictures_and_sound_are_left_as_they_are_or_cast_to_the_first_type(chatter, media):
    gif = media.ffmpeg("dot.gif", "-f", "lavfi", "-i", "color=red:s=64x48", "-frames:v", "1")
    mp3 = media.ffmpeg("beep.mp3", "-f", "lavfi", "-i", "sine=d=0.3", "-b:a", "32k")
    flac = media.ffmpeg("beep.flac", "-f", "lavfi", "-i", "sine=d=0.1:r=8000")
    parts = [
        MessagePart(image=MediaPart(inline=gif.read_bytes())),
        MessagePart(audio=MediaPart(inline=mp3.read_bytes())),
        MessagePart(audio=MediaPart(inline=flac.read_bytes())),
    ]
    events = await call(chatter.channel, asking(message(MESSAGE_ROLE_USER, "what are these?", *parts)))
    [asked] = chatter.provider.asked
    assert [media_type for _, media_type, _ in asked.media] == ["image/png", "audio/mpeg", "audio/wav"]
    assert asked.media[0][2].startswith(b"\x89PNG")
    assert asked.media[1][2] == mp3.read_bytes()
    assert asked.media[2][2].startswith(b"RIFF")
    assert said(events) == "what are these?"
