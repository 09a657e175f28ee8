"""What vendors are asked: conversations, options and media in each vendor's form."""

from __future__ import annotations

import base64
import json

import pytest

from automarket.errors import ConversationInvalid, OptionInvalid, OptionUnknown
from tests.provider_servers.chat.asking import VENDORS, part, talking_to
from tests.vendors.said import TEXT, TOOL

COMPATIBLE = [name for name in VENDORS if name != "anthropic"]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
SCHEMA = {"type": "object", "properties": {"zebra": {"type": "string"}, "apple": {"type": "integer"}}}
TALK = [
    ("system", [part("text", text="Be brief.")]),
    ("user", [part("text", text="How is the weather?")]),
    (
        "assistant",
        [
            part("reasoning", text="They ask.", signature="c2VhbA=="),
            part("text", text="Let me see."),
            part("tool_call", id="call:1", name=TOOL, arguments='{"zebra": 1, "apple": 2}'),
            part("tool_call", id="call:2", name=TOOL),
        ],
    ),
    (
        "tool",
        [
            part("tool_result", tool_call_id="call:1", text="rain"),
            part("tool_result", tool_call_id="call:2", text="no such city", is_error=True),
        ],
    ),
]


@pytest.mark.parametrize("vendor", COMPATIBLE)
async def test_a_conversation_as_chat_completions_have_it(vendor):
    async with talking_to(vendor) as asked:
        body = await asked.body(TALK, tools=[{"name": TOOL}], system_prompt="You are a clerk.")
    thoughts = {"reasoning": "They ask."} if vendor == "openrouter" else {}
    first, second = (
        {"id": f"call:{n}", "type": "function", "function": {"name": TOOL, "arguments": text}}
        for n, text in ((1, '{"zebra": 1, "apple": 2}'), (2, "{}"))
    )
    assert body["messages"] == [
        {"role": "system", "content": "You are a clerk."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How is the weather?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [first, second], **thoughts},
        {"role": "tool", "tool_call_id": "call:1", "content": "rain"},
        {"role": "tool", "tool_call_id": "call:2", "content": "Error: no such city"},
    ]
    assert body["stream"] is True
    asks = vendor in ("openai", "openai-compatible")
    assert body.get("stream_options") == ({"include_usage": True} if asks else None)


async def test_a_conversation_as_messages_have_it():
    async with talking_to("anthropic") as asked:
        body = await asked.body(TALK, tools=[{"name": TOOL}], system_prompt="You are a clerk.")
    assert body["system"] == [{"type": "text", "text": "You are a clerk."}, {"type": "text", "text": "Be brief."}]
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "How is the weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "They ask.", "signature": "c2VhbA=="},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "call_1", "name": TOOL, "input": {"zebra": 1, "apple": 2}},
                {"type": "tool_use", "id": "call_2", "name": TOOL, "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "rain"},
                {"type": "tool_result", "tool_use_id": "call_2", "content": "no such city", "is_error": True},
            ],
        },
    ]
    assert body["max_tokens"] == 8192


async def test_reasoning_that_is_sealed_comes_back_sealed():
    async with talking_to("anthropic") as asked:
        heard = await asked.ask("redacted")
        [seal] = heard.signatures
        told = [("user", [part("text", text="Go on.")]), ("assistant", [part("reasoning", signature=seal)])]
        body = await asked.body([*told, told[0]])
        assert body["messages"][1]["content"] == [{"type": "redacted_thinking", "data": "b3BhcXVl"}]
        heard = await asked.ask("reasoning")
        assert heard.signatures == ["c2lnbmF0dXJl"]


OPTIONS = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 2000, "stop": ["END", "\n\n"]}


@pytest.mark.parametrize("vendor", COMPATIBLE)
async def test_options_of_chat_completions(vendor):
    more = {"seed": 2**40, "presence_penalty": -1, "frequency_penalty": 1.5, "reasoning_effort": "low"}
    top_k = {} if vendor == "openai" else {"top_k": 7}
    wanted = {"json_schema": {"schema": json.dumps(SCHEMA), "name": "weather", "strict": True}}
    tools = [{"name": TOOL, "description": "Weather.", "parameters": json.dumps(SCHEMA)}]
    async with talking_to(vendor) as asked:
        body = await asked.body(
            **OPTIONS, **more, **top_k, response_format=wanted, tools=tools, tool_choice={"tool": TOOL}
        )
        simple = await asked.body(response_format={"json": {}}, tools=tools, tool_choice={"mode": "required"})
    limit = "max_completion_tokens" if vendor == "openai" else "max_tokens"
    assert body[limit] == 2000
    assert ({"max_tokens", "max_completion_tokens"} - {limit}).isdisjoint(body)
    for name in ("temperature", "top_p", "stop"):
        assert body[name] == OPTIONS[name]
    for name in ("seed", "presence_penalty", "frequency_penalty"):
        assert body[name] == more[name]
    effort = body["reasoning"]["effort"] if vendor == "openrouter" else body["reasoning_effort"]
    assert effort == "low"
    assert body.get("top_k") == top_k.get("top_k")
    schema = {"name": "weather", "schema": SCHEMA, "strict": True}
    assert body["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert list(body["response_format"]["json_schema"]["schema"]["properties"]) == ["zebra", "apple"]
    function = {"name": TOOL, "parameters": SCHEMA, "description": "Weather."}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == {"type": "function", "function": {"name": TOOL}}
    assert simple["response_format"] == {"type": "json_object"}
    assert simple["tool_choice"] == "required"
    assert "temperature" not in simple


async def test_options_of_messages():
    wanted = {"json_schema": {"schema": json.dumps(SCHEMA)}}
    tools = [{"name": TOOL, "parameters": json.dumps(SCHEMA), "strict": True}]
    async with talking_to("anthropic") as asked:
        body = await asked.body(
            **OPTIONS,
            top_k=7,
            response_format=wanted,
            tools=tools,
            tool_choice={"mode": "required"},
            reasoning_effort="high",
        )
        forced = await asked.body(tools=tools, tool_choice={"tool": TOOL}, reasoning_effort="none")
        bad = await asked.ask("ok", response_format={"json": {}})
        seeded = await asked.ask("ok", seed=1)
    for name, value in (("temperature", 0.5), ("top_p", 0.9), ("top_k", 7), ("max_tokens", 2000)):
        assert body[name] == value
    assert body["stop_sequences"] == OPTIONS["stop"]
    assert body["thinking"] == {"type": "adaptive"}
    assert body["output_config"] == {"effort": "high", "format": {"type": "json_schema", "schema": SCHEMA}}
    assert body["tools"] == [{"name": TOOL, "input_schema": SCHEMA, "strict": True}]
    assert body["tool_choice"] == {"type": "any"}
    assert forced["tool_choice"] == {"type": "tool", "name": TOOL}
    assert forced["thinking"] == {"type": "disabled"}
    assert type(bad.error) is OptionInvalid
    assert type(seeded.error) is OptionUnknown


async def test_what_only_one_vendor_takes_goes_through_as_it_is():
    own = {
        "openai": {"verbosity": "low", "parallel_tool_calls": False},
        "openrouter": {"provider": {"order": ["acme"]}, "min_p": 0.1},
        "together": {"reasoning": {"enabled": False}, "repetition_penalty": 1.1},
        "anthropic": {"cache_control": {"type": "ephemeral"}},
        "openai-compatible": {"chat_template_kwargs": {"thinking": True}},
    }
    for vendor, options in own.items():
        async with talking_to(vendor) as asked:
            body = await asked.body(**options)
            assert {name: body[name] for name in options} == options
            if vendor == "openai":
                assert type((await asked.ask("ok", top_k=7)).error) is OptionUnknown


async def test_pictures_and_files_as_chat_completions_have_them():
    media = [
        part("text", text="What is this?"),
        part("image", inline=PNG),
        part("file", inline=PDF, media_type="application/pdf", file_name="bill.pdf"),
    ]
    async with talking_to("openai") as asked:
        body = await asked.body([("user", media)])
    picture, file = (base64.b64encode(one).decode() for one in (PNG, PDF))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
        {"type": "file", "file": {"filename": "bill.pdf", "file_data": f"data:application/pdf;base64,{file}"}},
    ]


async def test_pictures_and_files_as_messages_have_them():
    media = [
        part("image", inline=PNG),
        part("file", inline=PDF, media_type="application/pdf", file_name="bill.pdf"),
        part("file", inline=b"plain words", media_type="text/plain"),
    ]
    async with talking_to("anthropic") as asked:
        body = await asked.body([("user", media)])
    picture, file = (base64.b64encode(one).decode() for one in (PNG, PDF))
    assert body["messages"][0]["content"] == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": file},
            "title": "bill.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain words"}},
    ]


async def test_sound_as_chat_completions_have_it(media):
    wav = media.ffmpeg("beep.wav", "-f", "lavfi", "-i", "sine=d=0.2", "-ar", "16000", "-ac", "1").read_bytes()
    async with talking_to("openai-compatible") as asked:
        body = await asked.body([("user", [part("audio", inline=wav), part("text", text="What is said?")])])
    sound = body["messages"][0]["content"][0]
    assert sound["input_audio"]["format"] == "wav"
    assert base64.b64decode(sound["input_audio"]["data"])[:4] == b"RIFF"


@pytest.mark.parametrize("vendor", ["openai", "anthropic", "together"])
async def test_media_that_a_model_does_not_take_is_refused_by_name(vendor):
    kind = {"together": "file"}.get(vendor, "audio")
    async with talking_to(vendor) as asked:
        heard = await asked.ask("ok", [("user", [part(kind, inline=b"RIFF....", media_type="application/pdf")])])
        assert asked.fake.posts == []
    assert type(heard.error) is ConversationInvalid
    [field] = heard.error.fields
    assert f"messages[0].parts[0].{kind}" in field


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_conversation_of_two_hundred_messages(vendor):
    talk = [
        ("user" if number % 2 == 0 else "assistant", [part("text", text=f"message {number}")]) for number in range(199)
    ]
    async with talking_to(vendor) as asked:
        body = await asked.body([*talk, ("user", [part("text", text="And now?")])])
    said = [
        one["content"] if isinstance(one["content"], str) else one["content"][0]["text"] for one in body["messages"]
    ]
    assert said == [f"message {number}" for number in range(199)] + ["And now?"]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_prompt_of_a_million_characters(vendor):
    prompt = "Ärger im Hafen. 🚢 " * 55_000
    assert len(prompt.encode()) > 1_000_000
    async with talking_to(vendor) as asked:
        heard = await asked.ask("ok", [("user", [part("text", text=prompt)])])
        assert heard.text == TEXT, heard.error
        content = asked.fake.posts[-1].json["messages"][0]["content"]
    assert (content if isinstance(content, str) else content[0]["text"]) == prompt
