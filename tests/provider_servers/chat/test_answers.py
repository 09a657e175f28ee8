"""What vendors answer, cut at any byte, is what callers get."""

from __future__ import annotations

import json

import pytest

from automarket.v1 import conversation_pb2 as pb
from tests.provider_servers.chat.asking import VENDORS, talking_to
from tests.vendors.said import (
    ARGUMENTS,
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    PROMPT_TOKENS,
    REASONING_TOKENS,
    TEXT,
    THOUGHTS,
    TOKENS,
    TOOL,
)

pytestmark = pytest.mark.parametrize("vendor", VENDORS)
SIZES = pytest.mark.parametrize("size", [1, 3, 65536])
SERVED = {
    "openai": "served-model-2026-08-01",
    "openai-compatible": "served-model-2026-08-01",
    "openrouter": "acme/model-20260801",
    "together": "openai/gpt-oss-20b",
    "anthropic": "claude-served-20260801",
}
REQUEST_IDS = {"openai": "req_openai_1", "openai-compatible": "req_openai_1", "anthropic": "req_011"}


@SIZES
async def test_text_comes_as_it_was_said(vendor, size):
    async with talking_to(vendor) as asked:
        asked.fake.piece_bytes = size
        heard = await asked.ask("ok")
    assert heard.error is None
    assert tuple(heard.tokens) == TOKENS
    assert heard.completion.finish_reason == pb.FINISH_REASON_STOP
    assert heard.completion.served_model == SERVED[vendor]
    assert heard.completion.vendor_request_id == REQUEST_IDS.get(vendor, "chatcmpl-A1")
    assert heard.kinds[-1] == "finished"


@SIZES
async def test_a_tool_call_in_fifty_pieces(vendor, size):
    async with talking_to(vendor) as asked:
        asked.fake.piece_bytes = size
        heard = await asked.ask("tools", tools=[{"name": TOOL}])
    assert heard.error is None, heard.error
    [call] = heard.calls.values()
    assert call[1:] == [TOOL, ARGUMENTS]
    assert json.loads(call[2])["city"] == "Kiel"
    assert call[0]
    assert heard.completion.finish_reason == pb.FINISH_REASON_TOOL_CALLS
    assert heard.call_pieces > 5 or size > 3


async def test_two_tool_calls_after_a_sentence(vendor):
    async with talking_to(vendor) as asked:
        heard = await asked.ask("two-tools", tools=[{"name": TOOL}, {"name": "get_time"}])
    assert heard.text == "Let me see."
    assert [call[1:] for call in heard.calls.values()] == [[TOOL, '{"city":"Kiel"}'], ["get_time", ""]]
    assert len({call[0] for call in heard.calls.values()}) == 2


@SIZES
async def test_reasoning_is_apart_from_text(vendor, size):
    async with talking_to(vendor) as asked:
        asked.fake.piece_bytes = size
        heard = await asked.ask("reasoning")
    assert tuple(heard.thoughts) == THOUGHTS
    assert heard.text == TEXT


async def test_usage_is_told_once_and_never_added_up(vendor):
    async with talking_to(vendor) as asked:
        heard = await asked.ask("ok")
    assert heard.kinds.count("usage") == 1
    assert (heard.usage.input_units, heard.usage.output_units) == (PROMPT_TOKENS, COMPLETION_TOKENS)
    if vendor != "together":
        assert heard.usage.cached_input_units == CACHED_TOKENS
    if vendor != "anthropic":
        assert heard.usage.reasoning_units == REASONING_TOKENS
    assert heard.usage.HasField("cost") == (vendor == "openrouter")


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("empty", pb.FINISH_REASON_STOP),
        ("length", pb.FINISH_REASON_LENGTH),
        ("filtered", pb.FINISH_REASON_CONTENT_FILTER),
    ],
)
async def test_how_answers_end(vendor, scenario, reason):
    async with talking_to(vendor) as asked:
        heard = await asked.ask(scenario)
    assert heard.error is None
    assert heard.completion.finish_reason == reason
    assert heard.text == {"empty": "", "length": "Once", "filtered": "I"}[scenario]


@SIZES
async def test_a_stop_may_be_in_the_middle_of_a_token(vendor, size):
    async with talking_to(vendor) as asked:
        asked.fake.piece_bytes = size
        heard = await asked.ask("ok", stop=["ps\nan", "Hamburg"])
    assert heard.error is None
    assert heard.text == TEXT[: TEXT.index("ps\nan")]
    assert heard.tokens[-1] == " shi"
    assert heard.completion.finish_reason == pb.FINISH_REASON_STOP


@SIZES
async def test_lines_may_end_in_carriage_returns(vendor, size):
    async with talking_to(vendor) as asked:
        asked.fake.piece_bytes = size
        assert (await asked.ask("crlf")).text == TEXT


async def test_what_arrives_together_is_one_event(vendor):
    async with talking_to(vendor) as asked:
        first = asked.fake._handle

        def together(request):
            reply = first(request)
            return (
                reply if reply.steps is None else type(reply)(200, steps=[b"".join(reply.steps)], headers=reply.headers)
            )

        asked.fake._handle = together
        heard = await asked.ask("ok")
    assert heard.events == [list(TOKENS)]


async def test_the_next_call_takes_the_same_connection(vendor):
    async with talking_to(vendor) as asked:
        for _ in range(5):
            assert (await asked.ask("ok")).text == TEXT
        assert asked.fake.open <= 3  # with those of the list of models and of the vendor's health
