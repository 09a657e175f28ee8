"""Forms that only some vendors' answers have."""

from __future__ import annotations

import json

import pytest

from automarket.errors import BackendFailed, ContextTooLong
from automarket.v1 import conversation_pb2 as pb
from provider_servers.openai.provider import VENDOR
from provider_servers.runtime.chat.compatible.stream import CompletionStream
from provider_servers.runtime.http.sse import SseEvent
from tests.provider_servers.chat.asking import talking_to
from tests.vendors.openrouter import COST
from tests.vendors.said import COMPLETION_TOKENS, PROMPT_TOKENS, TEXT

SIZES = pytest.mark.parametrize("size", [1, 3, 65536])


@SIZES
@pytest.mark.parametrize("vendor", ["openai", "together", "openrouter", "openai-compatible"])
async def test_a_character_in_two_halves_is_held_until_it_is_whole(vendor, size):
    async with talking_to(vendor) as asked:
        asked.fake.piece_bytes = size
        heard = await asked.ask("halves")
    assert heard.text == "a 🚢 b"
    assert all("\ufffd" not in token for token in heard.tokens)


async def test_a_refusal_in_words_is_text_and_says_so():
    async with talking_to("openai") as asked:
        heard = await asked.ask("refusal")
    assert heard.text == "I will not."
    assert heard.completion.finish_reason == pb.FINISH_REASON_CONTENT_FILTER
    assert heard.completion.vendor_finish_reason == "stop"


async def test_all_tokens_may_go_into_reasoning():
    async with talking_to("openai") as asked:
        heard = await asked.ask("all-reasoning")
    assert (heard.text, heard.error) == ("", None)
    assert heard.completion.finish_reason == pb.FINISH_REASON_LENGTH
    assert heard.usage.output_units == COMPLETION_TOKENS


@SIZES
@pytest.mark.parametrize("scenario", ["comments", "padded"])
async def test_what_keeps_a_connection_alive_is_no_answer(scenario, size):
    async with talking_to("openrouter") as asked:
        asked.fake.piece_bytes = size
        heard = await asked.ask(scenario)
    assert heard.text == TEXT
    assert heard.completion.finish_reason == pb.FINISH_REASON_STOP
    assert heard.kinds.count("output_finished") == 1  # the finish reason comes twice
    assert (heard.usage.cost, heard.usage.currency) == (COST, "USD")


async def test_usage_in_the_finishing_chunk_and_a_reason_of_its_own():
    async with talking_to("together") as asked:
        heard = await asked.ask("usage-in-finish")
    assert heard.completion.finish_reason == pb.FINISH_REASON_STOP
    assert heard.completion.vendor_finish_reason == "eos"
    assert heard.usage.input_units == PROMPT_TOKENS


async def test_a_window_that_is_full_ends_the_text():
    async with talking_to("anthropic") as asked:
        heard = await asked.ask("window")
        assert heard.completion.finish_reason == pb.FINISH_REASON_LENGTH
        assert heard.completion.vendor_finish_reason == "model_context_window_exceeded"
        heard = await asked.ask("api-error-in-stream")
        assert type(heard.error) is BackendFailed
        assert heard.error.metadata["upstream_code"] == "500"


def test_what_is_sent_with_anthropic_is_pinned():
    from provider_servers.anthropic.provider import AnthropicProvider, AnthropicSettings

    old = AnthropicProvider(AnthropicSettings(api_key="sk-0123456789"))
    new = AnthropicProvider(AnthropicSettings(api_key="sk-0123456789", api_version="2026-10-21"))
    token = AnthropicProvider(AnthropicSettings(api_key="", auth_token="tok-0123456789"))
    assert old.upstream().headers == {"x-api-key": "sk-0123456789", "anthropic-version": "2023-06-01"}
    assert new.upstream().headers == {"authorization": "Bearer sk-0123456789", "anthropic-version": "2026-10-21"}
    assert token.upstream().headers["authorization"] == "Bearer tok-0123456789"
    assert "temperature" in old.models()[0].options
    assert {"temperature", "top_p", "top_k"}.isdisjoint(new.models()[0].options)


async def test_a_server_of_ones_own_whose_stream_ends_without_a_word_is_asked_why():
    async with talking_to("openai-compatible") as asked:
        error = (await asked.ask("silent-context")).error
        assert type(error) is ContextTooLong
        assert error.metadata["context_tokens"] == "8192"
        heard = await asked.ask("silent-stream")
        assert (heard.text, heard.error) == (TEXT, None)
        assert [one.json.get("stream") for one in asked.fake.posts] == [True, None, True, None]
    async with talking_to("openai") as asked:  # a vendor bills every call
        assert type((await asked.ask("silent-context")).error) is BackendFailed
        assert len(asked.fake.posts) == 1


async def test_who_is_billed_is_said():
    async with talking_to("openai", organization="org-1", project="proj-2") as asked:
        await asked.ask("ok")
        sent = asked.fake.posts[-1].headers
    assert (sent["openai-organization"], sent["openai-project"]) == ("org-1", "proj-2")
    async with talking_to("openai") as asked:
        await asked.ask("ok")
        assert "openai-organization" not in asked.fake.posts[-1].headers


@pytest.mark.parametrize("path", ["", "/v1"])
async def test_togethers_address_may_lack_its_version(path):
    async with talking_to("together") as asked:
        asked.provider._settings.base_url = asked.fake.url + path
        assert (await asked.ask("ok")).text == TEXT
        assert asked.fake.posts[-1].path == "/v1/chat/completions"


def calls_of(*deltas):
    """Give the tool calls of a stream, by number: id, name, arguments."""
    stream, found = CompletionStream(VENDOR, "m", {}), {}
    for delta in deltas:
        chunk = {"choices": [{"index": 0, "delta": {"tool_calls": delta}}]}
        for piece in stream.take([SseEvent(json.dumps(chunk).encode())]):
            call = found.setdefault(piece.index, ["", "", ""])
            for place, text in enumerate((piece.id, piece.name, piece.arguments)):
                call[place] += text
    return list(found.values()), stream.ending


def test_tool_calls_as_servers_number_them():
    first, second = {"name": "a", "arguments": "{}"}, {"name": "b", "arguments": "{}"}
    expected = [["1", "a", "{}"], ["2", "b", "{}"]]
    one = {"id": "1", "function": first}
    two = {"id": "2", "function": second}
    assert calls_of([one], [two])[0] == expected  # no index
    assert calls_of([{**one, "index": 0}, {**two, "index": 0}])[0] == expected  # always the same index
    assert calls_of([{**one, "index": 3}], [{**two, "index": 7}])[0] == expected
    more = {"index": 0, "function": {"arguments": "!"}}
    assert calls_of([{**one, "index": 0}], [more])[0] == [["1", "a", "{}!"]]
    repeated = {"index": 0, "id": "1", "function": {"name": "a", "arguments": "!"}}
    assert calls_of([{**one, "index": 0}], [repeated])[0] == [["1", "a", "{}!"]]
    nameless = calls_of([{"index": 0, "function": first}], [more])[0]
    assert nameless == [["call_0", "a", "{}!"]]
    _, ending = calls_of([{"index": 0, "id": "1", "function": {"arguments": "{}"}}])
    assert "names no tool" in ending.fault.message
