"""Language models through the real gateway and asset store: texts, conversations, streams, comparisons."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

import automarket
from automarket import (
    Comparison,
    Conversation,
    Fallback,
    FinishReason,
    MediaPart,
    Message,
    ReasoningPart,
    ResponseFormat,
    Text,
    TextToTextOptions,
    TokenUsage,
    Tool,
    ToolCall,
    ToolChoice,
)
from automarket.client import events as e
from automarket.errors import (
    ConversationInvalid,
    EndedError,
    InputUnsuitable,
    InvalidRequestError,
    MeshUnreachable,
    ModelUnknown,
    OptionInvalid,
    OptionUnknown,
    ProviderBusy,
)
from provider_servers.runtime import Completion, ReasoningDelta, TextDelta, TextResult, ToolCallDelta, Usage
from provider_servers.runtime.testing import serving
from tests.client.conftest import empty_store, until_complete
from tests.support.chatter import ENDED, Chatter

WEATHER = Tool("weather", "Tells the weather.", {"type": "object", "properties": {"town": {"type": "string"}}})


@pytest.fixture
async def chatter(gateway):
    async with serving(Chatter(), gateway.control) as served:
        await until_complete(gateway.address, {"chatter"})
        await empty_store(gateway.address)
        yield served.provider


@pytest.fixture
async def mesh(gateway, chatter):
    async with automarket.connect(gateway.address) as mesh:
        yield mesh


@pytest.fixture
async def model(mesh):
    return await mesh.provider("chatter").text_to_text("chatter")


async def test_a_text_is_answered_and_says_how_it_was_made(chatter, model):
    text = await model.transform("are you there", TextToTextOptions(temperature=0, stop=("END",)), max_tokens=9)
    assert isinstance(text, Text)
    assert text.content == "are you there"
    about = text.metadata
    assert (about.model, about.provider, about.partial) == ("chatter", "chatter", False)
    assert about.usage == {"token": 6}
    assert about.tokens == TokenUsage(3, 3, cached=1, reasoning=0)
    assert about.tokens.total == 6
    assert about.completion.finish_reason is FinishReason.STOP
    assert (about.completion.served_model, about.completion.vendor_request_id) == ("chatter-2026-01-01", "req_7")
    assert about.completion.vendor_finish_reason == "end_turn"
    assert about.cost == pytest.approx(2 * 0.001 + 0.0001 + 3 * 0.002)
    assert about.currency == "USD"
    assert len(about.request_id) == 36
    [asked] = chatter.asked
    assert (asked.options.temperature, asked.options.stop, asked.options.max_tokens) == (0, ("END",), 9)


async def test_a_stream_gives_pieces_as_they_come_and_then_the_whole(chatter, model):
    chatter.pause = 0.05
    loop, came, pieces = asyncio.get_running_loop(), [], []
    stream = model.transform_stream("one two three four")
    async for piece in stream:
        came.append(loop.time())
        pieces.append(piece)
    assert len(pieces) > 1
    assert "".join(piece.content for piece in pieces) == "one two three four"
    assert all(piece.metadata.partial and piece.metadata.model == "chatter" for piece in pieces)
    assert came[-1] - came[0] > 0.1
    text = await stream.final()
    assert text.content == "".join(piece.content for piece in pieces)
    assert not text.metadata.partial
    assert text.metadata.tokens.completion == 4
    assert stream.report.accepted.provider_id == "chatter"


async def test_a_stream_never_repeats_text(chatter, model):
    stream = model.transform_stream("one two three four")
    chatter.pause, given = 0.05, []
    async for piece in stream:
        given.append(piece.content)
        break
    assert given[0] == "one "
    given += [piece.content async for piece in stream]
    assert "".join(given) == "one two three four"
    assert [piece.content async for piece in stream] == []
    assert (await stream.final()).content == "one two three four"


async def test_the_whole_can_be_had_without_the_pieces(model):
    assert (await model.transform_stream("one two three").final()).content == "one two three"


async def test_a_text_that_comes_at_once_is_one_piece_at_least(chatter, model):
    chatter.script = [TextResult("all at once, über alles")]
    stream = model.transform_stream("hi")
    assert "".join([piece.content async for piece in stream]) == "all at once, über alles"
    assert (await stream.final()).content == "all at once, über alles"


async def test_leaving_a_stream_cancels_the_call(chatter, model):
    chatter.script = [TextDelta(("a",)), 60.0]
    async with model.transform_stream("hi") as stream:
        async for _ in stream:
            break
    await asyncio.wait_for(chatter.asked[0].ended.wait(), 0.5)
    assert stream.text_so_far.content == "a"
    assert stream.text_so_far.metadata.partial
    with pytest.raises(EndedError):
        await stream.final()


async def test_a_failure_on_the_way_comes_out_of_the_iteration_and_of_final(chatter, model):
    chatter.script = [TextDelta(("almost",)), ProviderBusy("too much to do", retry_after=2)]
    stream, received = model.transform_stream("hi"), []
    with pytest.raises(ProviderBusy):
        async for piece in stream:
            received.append(piece.content)  # noqa: PERF401 - kept when the stream breaks
    assert received == ["almost"]
    with pytest.raises(ProviderBusy, match="too much to do"):
        await stream.final()
    assert stream.text_so_far.content == "almost"


async def test_reasoning_and_tool_calls_are_apart_from_the_text(chatter, model):
    arguments = '{"town": "Ny-Ålesund", "why": "' + "x" * 60 + '"}'
    chatter.script = [
        ReasoningDelta(("Let me", " see")),
        ReasoningDelta(signature="seal"),
        ReasoningDelta(("More",)),
        TextDelta(("I look.",)),
        ToolCallDelta(0, "call_a", "weather"),
        *(ToolCallDelta(0, arguments=letter) for letter in arguments),
        ToolCallDelta(1, "call_b", "tides", "{}"),
        Completion(FinishReason.TOOL_CALLS, "tool_calls"),
    ]
    stream = model.transform_stream("hi", tools=[WEATHER])
    assert "".join([piece.content async for piece in stream]) == "I look."
    assert stream.tool_calls_so_far[0].name == "weather"
    assert stream.reasoning_so_far[0].text == "Let me see"
    text = await stream.final()
    assert text.metadata.reasoning == (ReasoningPart("Let me see", "seal"), ReasoningPart("More"))
    assert text.metadata.tool_calls == (ToolCall("call_a", "weather", arguments), ToolCall("call_b", "tides", "{}"))
    assert text.metadata.tool_calls[0].parsed["town"] == "Ny-Ålesund"
    assert text.metadata.completion.finish_reason is FinishReason.TOOL_CALLS
    answer = Message.answered(text)
    chatter.script = None
    final = await model.transform_conversation(
        [
            Message.user("hi"),
            answer,
            Message.tool("call_a", "rain"),
            Message.tool("call_b", "low"),
            Message.user("so?"),
        ],
    )
    assert final.content == "so?"
    said = chatter.asked[-1].messages[1]
    assert said.parts == answer.parts
    assert [type(part).__name__ for part in said.parts] == [
        *("ReasoningPart", "ReasoningPart", "TextPart", "ToolCall", "ToolCall")
    ]


async def test_events_of_a_stream_are_there_too(chatter, model):
    chatter.script = [
        ReasoningDelta(("Hm",)),
        TextDelta(("Yes",)),
        ToolCallDelta(0, "c", "n"),
        ENDED,
        Usage("token", 1, 1),
    ]
    events = [event async for event in model.stream("hi")]
    kinds = Counter(type(event) for event in events)
    assert kinds[e.ReasoningDelta] == kinds[e.TextDelta] == kinds[e.ToolCallDelta] == 1
    [finished] = [event for event in events if isinstance(event, e.OutputFinished)]
    assert finished.completion == ENDED
    [thought] = [event for event in events if isinstance(event, e.ReasoningDelta)]
    assert thought.text == "Hm"


async def test_messages_may_be_dictionaries(chatter, model):
    await model.transform(
        [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": ["Is it raining", "?"], "name": "anna"},
            {"role": "assistant", "tool_calls": [ToolCall("1", "weather", "{}")]},
            {"role": "tool", "tool_call_id": "1", "content": "yes"},
        ],
        {"system_prompt": "You are a gull."},
    )
    [asked] = chatter.asked
    assert asked.roles() == ["system", "system", "user", "assistant", "tool"]
    assert asked.texts() == ["You are a gull.", "Be brief.", "Is it raining?", "", ""]
    assert asked.messages[2].name == "anna"


@pytest.mark.parametrize(
    ("messages", "member"),
    [
        ([], "messages"),
        ([{"content": "hi"}], "role"),
        ([{"role": "nobody", "content": "hi"}], "role"),
        ([{"role": "user", "content": "hi", "images": []}], "images"),
        ([{"role": "user", "content": [3]}], "content"),
        ([{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}], "tool_calls"),
    ],
)
async def test_messages_that_are_none_are_refused_here(chatter, model, messages, member):
    with pytest.raises(ConversationInvalid) as caught:
        await model.transform_conversation(messages)
    assert list(caught.value.fields) == [member]
    assert not chatter.asked


async def test_a_conversation_is_an_input_like_any_other(mesh, chatter):
    conversation = Conversation.of([Message.system("Be brief."), Message.user("hi there")])
    text = await mesh.transform(conversation, capability="text-to-text", provider="chatter")
    assert text.content == "hi there"
    with pytest.raises(ModelUnknown):
        await mesh.text_to_text("nobody")


async def test_a_model_without_conversations_refuses_one_before_it_is_sent(place, mesh):
    async with automarket.connect(place.toy.address) as direct:
        with pytest.raises(InputUnsuitable, match="takes no conversation"):
            await direct.transform(Conversation.of([Message.user("hi")]), model="echo")
    assert not place.calls


async def test_two_hundred_messages_and_a_megabyte_go_with_the_call_and_eight_by_digest(mesh, chatter, model):
    long = [Message.user(f"{number} " + "ü" * 2500) for number in range(200)]
    stream = model.stream(long)
    text = await stream.result()
    assert text.content.startswith("199 ")
    assert len(chatter.asked[0].messages) == 200
    assert not stream.report.uploads
    longer = [Message.user("x" * 8_000_000), Message.user("the end")]
    stream = model.stream(longer)
    assert (await stream.result()).content == "the end"
    [upload] = stream.report.uploads
    assert upload.sent_bytes + upload.by_file_bytes > 8_000_000
    assert len(chatter.asked[1].messages[0].text) == 8_000_000
    stream = model.stream(longer)
    await stream.result()
    assert stream.report.uploads[0].sent_bytes == 0


async def test_a_long_conversation_needs_no_store(gateway, chatter):
    async with serving(Chatter()) as alone, automarket.connect(alone.server._addresses[0]) as direct:
        found = await direct.text_to_text("chatter")
        text = await found.transform([Message.user("x" * 3_000_000), Message.user("the end")])
        assert text.content == "the end"
    async with automarket.connect(gateway.address) as mesh:
        found = await mesh.text_to_text("chatter", provider="chatter")
        await found.transform([Message.user("y" * 3_000_000), Message.user("the end")], store=False)
        assert [asset async for asset in mesh.assets.list()] == []


async def test_media_in_messages_goes_inline_when_it_is_small_and_else_by_digest(mesh, chatter, model, media, tmp_path):
    document = tmp_path / "report.pdf"
    document.write_bytes(b"%PDF-1.4\n" + bytes(100_000))
    stream = model.stream(
        [
            Message.user(
                "what are these?",
                MediaPart("image", media.picture_png()),
                MediaPart("audio", media.talk_mp4()),
                MediaPart("file", document),
                MediaPart("file", b"plain words", media_type="text/plain", file_name="notes.txt"),
            )
        ]
    )
    await stream.result()
    [asked] = chatter.asked
    assert [(kind, media_type) for kind, media_type, _ in asked.media] == [
        ("image", "image/png"),
        ("audio", "audio/wav"),
        ("file", "application/pdf"),
        ("file", "text/plain"),
    ]
    assert asked.media[0][2] == media.picture_png().read_bytes()
    assert asked.media[2][2] == document.read_bytes()
    assert [one.file_name for one in asked.messages[0].attachments] == [
        "picture.png",
        "talk.mp4",
        "report.pdf",
        "notes.txt",
    ]
    uploaded = {one.digest for one in stream.report.uploads}
    assert len(uploaded) == 2
    stored = await mesh.assets.stat(next(iter(uploaded)))
    await model.transform([Message.user("again", MediaPart("file", stored, media_type="application/pdf"))])
    assert chatter.asked[1].messages[0].attachments[0].media.digest == stored.digest


async def test_media_that_cannot_go_is_told_with_its_place(gateway, chatter, model, media, tmp_path):
    with pytest.raises(ConversationInvalid) as caught:
        await model.transform([Message.user(MediaPart("file", b"?"))])
    assert list(caught.value.fields) == ["messages[0].parts[0].file"]
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        await model.transform([Message.user(MediaPart("file", tmp_path / "none.pdf"))])
    with pytest.raises(InvalidRequestError, match="cannot be read"):
        await model.transform([Message.user(MediaPart("image", tmp_path / "none.png"))])
    with pytest.raises(InvalidRequestError, match="without the asset store") as caught:
        await model.transform([Message.user(MediaPart("audio", media.talk_mp4()))], store=False)
    assert list(caught.value.fields) == ["messages[0].parts[0].audio"]


async def test_pictures_may_come_beside_a_text(chatter, model, media):
    await model.transform("what is this?", images=[media.picture_png()])
    [asked] = chatter.asked
    assert [kind for kind, _, _ in asked.media] == ["image"]
    assert asked.texts() == ["what is this?"]


async def test_options_in_every_form_reach_the_provider(chatter, model):
    schema = {"type": "object", "properties": {"z": {"type": "integer"}, "a": {}}}
    await model.transform(
        "hi",
        TextToTextOptions(
            tools=(WEATHER,), tool_choice=ToolChoice(tool="weather"), response_format=ResponseFormat(schema=schema)
        ),
    )
    await model.transform("hi", tools=[{"name": "a", "parameters": schema}], tool_choice="required", stop="END")
    await model.transform("hi", {"response_format": schema, "reasoning_effort": "low"}, seed=2**60, do="x")
    await model.transform("hi", response_format="json", tools=[{"name": "a"}], tool_choice=ToolChoice("none"))
    await model.transform("hi", response_format={"json_schema": {"schema": schema, "name": "z"}}, tools=[], stop=[])
    first, second, third, fourth, fifth = (one.options for one in chatter.asked)
    assert first.tools == (WEATHER,)
    assert first.tool_choice.tool == "weather"
    assert list(first.response_format.schema["properties"]) == ["z", "a"]
    assert (second.tools[0].parameters, second.tool_choice.mode, second.stop) == (schema, "required", ("END",))
    assert (third.response_format.kind, third.response_format.schema) == ("json_schema", schema)
    assert (third.seed, third.reasoning_effort, chatter.asked[2].own["do"]) == (2**60, "low", "x")
    assert (fourth.response_format.kind, fourth.tool_choice.mode) == ("json", "none")
    assert (fifth.response_format.name, fifth.tools, fifth.stop) == ("z", (), ())


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"response_format": 3}, "response_format"),
        ({"response_format": {"x": object()}}, "response_format.json_schema.schema"),
        ({"tools": "weather"}, "tools"),
        ({"tools": ["weather"]}, "tools[0]"),
        ({"tools": [{"nome": "weather"}]}, "tools[0].nome"),
        ({"tool_choice": 3}, "tool_choice"),
        ({"stop": [3]}, "stop[0]"),
        ({"temperature": "hot"}, "temperature"),
        ({"response_format": {"type": "thing"}}, "response_format.json_schema.schema"),
    ],
)
async def test_options_that_cannot_be_name_their_field(chatter, model, options, field):
    with pytest.raises(OptionInvalid) as caught:
        await model.transform("hi", options)
    assert list(caught.value.fields) == [f"header.text_to_text.{field}"]
    assert not chatter.asked


async def test_an_option_given_twice_or_unknown_is_refused(model):
    with pytest.raises(OptionInvalid, match="given twice"):
        await model.transform("hi", TextToTextOptions(seed=1), seed=2)
    with pytest.raises(OptionUnknown, match="temperature"):
        await model.transform("hi", temprature=1)


async def test_a_fallback_answers_when_the_first_model_fails_before_its_first_event(mesh, chatter, gateway):
    class Other(Chatter):
        id = "other"
        name = "Other"

    async with serving(Other(), gateway.control) as other:
        await until_complete(gateway.address, {"chatter", "other"})
        chatter.script = [ProviderBusy("too much to do", retry_after=1)]
        found = await mesh.text_to_text("chatter", provider="chatter")
        text = await found.transform("hi there", fallbacks=[Fallback("chatter", "other")])
        assert (text.content, text.metadata.provider) == ("hi there", "other")
        assert len(other.provider.asked) == 1
        with pytest.raises(ProviderBusy):
            await found.transform("hi there")


async def test_models_are_compared_side_by_side_and_one_that_fails_is_a_row(mesh, chatter):
    heard = []
    rows = await mesh.compare(
        "one two three",
        ["chatter", "plain@chatter", "nobody"],
        {"temperature": 0.5},
        on_text=lambda name, text: heard.append((name, text.content)),
    )
    assert [row.name for row in rows] == ["chatter", "plain@chatter", "nobody"]
    first, second, third = rows
    assert (first.text.content, first.model, first.provider, first.tokens) == ("one two three", "chatter", "chatter", 3)
    assert 0 < first.first_token_seconds <= first.seconds
    assert first.tokens_per_second > 0
    assert (first.cost is not None, first.currency) == (True, "USD")
    assert (second.model, second.cost) == ("plain", None)
    assert isinstance(third.error, ModelUnknown)
    assert (third.text, third.tokens, third.tokens_per_second) == (None, 0, None)
    for name in ("chatter", "plain@chatter"):
        assert "".join(words for whose, words in heard if whose == name) == "one two three"
    assert {whose for whose, _ in heard} == {"chatter", "plain@chatter"}


def test_speed_is_counted_from_the_first_token_unless_all_came_at_once():
    row = Comparison("a", "a", "p", None, "", None, seconds=3.0, first_token_seconds=1.0, tokens=10)
    assert row.tokens_per_second == 5
    assert replace(row, came_at_once=True).tokens_per_second == pytest.approx(10 / 3)
    assert replace(row, tokens=0).tokens_per_second is None


async def test_a_row_that_fails_on_the_way_keeps_what_came(mesh, chatter):
    chatter.script = [TextDelta(("almost",)), ProviderBusy("too much to do", retry_after=2)]
    [row] = await mesh.compare([{"role": "user", "content": "hi"}], ["chatter"])
    assert isinstance(row.error, ProviderBusy)
    assert (row.partial, row.text, row.tokens) == ("almost", None, 1)


async def test_models_run_at_the_same_time(mesh, chatter):
    chatter.script = [0.5, TextDelta(("a",)), ENDED]
    begin = asyncio.get_running_loop().time()
    rows = await mesh.compare("hi", ["chatter"] * 4)
    assert asyncio.get_running_loop().time() - begin < 1.5
    assert [row.error for row in rows] == [None] * 4
    assert all(row.first_token_seconds > 0.4 for row in rows)


@pytest.mark.parametrize("models", [[], ["m"] * 33, "chatter"])
async def test_a_comparison_of_nothing_or_too_much_is_refused(mesh, models):
    with pytest.raises(InvalidRequestError):
        await mesh.compare("hi", models)


async def test_where_nobody_answers_every_row_says_so():
    async with automarket.connect("127.0.0.1:1") as mesh:
        rows = await mesh.compare("hi", ["a", "b"])
        assert [type(row.error) for row in rows] == [MeshUnreachable] * 2


async def test_cancelling_again_and_again_ends_every_call_at_once(chatter, model):
    chatter.script = [ReasoningDelta(("Hm",)), TextDelta(("a",)), 60.0]
    loop = asyncio.get_running_loop()
    for number in range(25):
        async with model.transform_stream("hi") as stream:
            async for piece in stream:
                assert piece.content == "a"
                break
            begin = loop.time()
        await asyncio.wait_for(chatter.asked[number].ended.wait(), 0.5)
        assert loop.time() - begin < 0.5


async def test_a_task_that_is_cancelled_while_it_waits_for_a_piece_ends_the_call(chatter, model):
    chatter.script = [TextDelta(("a",)), 60.0]

    async def read():
        async with model.transform_stream("hi") as stream:
            async for _ in stream:
                pass

    reading = asyncio.create_task(read())
    while not chatter.asked:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(chatter.asked[0].ended.wait(), 0.5)
