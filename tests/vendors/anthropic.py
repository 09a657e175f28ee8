"""A stand-in for Anthropic: padded events with names, pings, errors under 200. The model says what happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.vendors.http import Cut, Pause, Reply, Request, answer, page
from tests.vendors.said import (
    ARGUMENTS,
    CACHED_TOKENS,
    COMPLETION_TOKENS,
    JSON_TOKENS,
    KEY,
    PROMPT_TOKENS,
    TEXT,
    THOUGHTS,
    TOKENS,
    TOOL,
    heeding,
    pieces,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vendors.http import Step

SERVED = "claude-served-20260801"
SIGNATURE = "c2lnbmF0dXJl"
_WRITTEN_TO_CACHE = 3
_PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def event(name: str, **values: Any) -> bytes:
    """Give an event with spaces before its last brace, as the vendor sends it."""
    written = json.dumps({"type": name, **values}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\ndata: {written[:-1]}{' ' * (len(written) % 11)}}}\n\n".encode()


class Anthropic:
    def __init__(self) -> None:
        self.scenarios: dict[str, Callable[[Request], Reply]] = {
            "ok": self.ok,
            "reasoning": lambda request: self.message(request, [_thinking(), _text(TOKENS)], "end_turn"),
            "redacted": lambda request: self.message(request, [_redacted(), _text(TOKENS)], "end_turn"),
            "tools": lambda request: self.message(request, [_tool(0, TOOL, pieces(ARGUMENTS, 50))], "tool_use"),
            "two-tools": lambda request: self.message(
                request,
                [_text(["Let me see."]), _tool(1, TOOL, ["", '{"city":', '"Kiel"}']), _tool(2, "get_time", [""])],
                "tool_use",
            ),
            "empty": lambda request: self.message(request, [], "stop_sequence"),
            "length": lambda request: self.message(request, [_text(["Once"])], "max_tokens"),
            "filtered": lambda request: self.message(request, [_text(["I"])], "refusal"),
            "window": lambda request: self.message(request, [_text(["Once"])], "model_context_window_exceeded"),
            "slow": lambda _: self.stream([*self.texts(["a"]), Pause(30), *self.texts(["b"])]),
            "stalled-before": lambda _: self.stream([Pause(30)]),
            "cut": lambda _: self.stream([*self.texts(TOKENS[:3]), Cut]),
            "ends-early": lambda _: self.stream(self.texts(TOKENS[:3])),
            "half-event": lambda _: self.stream([*self.texts(TOKENS[:3]), b'event: content\ndata: {"type":"cont']),
            "garbage": lambda _: self.stream([*self.texts(TOKENS[:3]), b"data: {not json}\n\n"]),
            "nothing": lambda _: Reply(200, steps=[], headers=_HEADERS),
            "page": lambda _: page(200),
            "html-502": lambda _: page(502),
            "too-large": lambda _: page(413),
            "redirect": lambda _: Reply(307, headers={"location": "http://127.0.0.1:1/elsewhere"}),
            "crlf": lambda request: self.message(request, [_text(TOKENS)], "end_turn", newline=b"\r\n"),
            "flood": lambda _: self.stream([b"".join(self.texts(["word " * 200] * 1000))] * 400),
            "error-in-stream": lambda _: self.stream(
                [*self.texts(TOKENS[:3]), _fault("overloaded_error", "Overloaded")]
            ),
            "error-first": lambda _: self.stream([_fault("overloaded_error", "Overloaded")]),
            "api-error-in-stream": lambda _: self.stream([*self.texts(["a"]), _fault("api_error", "Internal")]),
            "no-temperature": lambda _: refused(
                400, "invalid_request_error", "temperature: Extra inputs are not permitted"
            ),
            "context": lambda _: refused(
                400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"
            ),
            "no-credit": lambda _: refused(
                400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API."
            ),
            "billing": lambda _: refused(402, "billing_error", "Payment is due"),
            "forbidden": lambda _: refused(403, "permission_error", "Your key may not use this"),
            "conflict": lambda _: refused(409, "conflict_error", "Again"),
            "rate-limit": lambda _: refused(429, "rate_limit_error", "Too many tokens", retry_after="21"),
            "spend-limit": lambda _: refused(
                429, "rate_limit_error", "Spend", details={"error_code": "enforced_spend_limit_reached"}
            ),
            "failed": lambda _: refused(500, "api_error", "Internal server error"),
            "timeout": lambda _: refused(504, "timeout_error", "Timed out"),
            "html-524": lambda _: page(524),
            "overloaded": lambda _: refused(529, "overloaded_error", "Overloaded", retry_after="8"),
            "never": lambda _: refused(500, "api_error", "No use", x_should_retry="false"),
        }

    def handle(self, request: Request) -> Reply:
        headers = request.headers
        if KEY not in (headers.get("x-api-key"), headers.get("authorization", "").removeprefix("Bearer ")):
            return refused(401, "authentication_error", "invalid x-api-key", x_should_retry="false")
        if "anthropic-version" not in headers:
            return refused(400, "invalid_request_error", "anthropic-version: header is required")
        if request.path == "/v1/models":
            return _models(request)
        body = request.json
        if "max_tokens" not in body:
            return refused(400, "invalid_request_error", "max_tokens: Field required")
        if any(message["role"] == "system" for message in body["messages"]):
            return refused(400, "invalid_request_error", 'messages: Unexpected role "system"')
        name = "ok" if body["model"].startswith("claude-") else body["model"].partition("+")[0]
        scenario = self.scenarios.get(name)
        return refused(404, "not_found_error", f"model: {body['model']}") if scenario is None else scenario(request)

    def ok(self, request: Request) -> Reply:
        """Say what is always said, as JSON where that is wanted, up to a stop or to so many tokens."""
        body = request.json
        tokens = JSON_TOKENS if body.get("output_config", {}).get("format") else TOKENS
        stops = body.get("stop_sequences", ())
        said, finish = heeding(tokens, stops, body["max_tokens"])
        stopped = any(one in "".join(tokens) for one in stops)
        reason = {"length": "max_tokens", "stop": "stop_sequence" if stopped else "end_turn"}[finish]
        return self.message(request, [_text(said)], reason)

    def texts(self, tokens: Sequence[str]) -> list[bytes]:
        start = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        return [start, *(_delta(0, type="text_delta", text=token) for token in tokens)]

    def stream(self, steps: Sequence[Step]) -> Reply:
        message = {**_message([]), "stop_reason": None, "usage": {**_usage(), "output_tokens": 2}}
        return Reply(200, steps=[event("message_start", message=message), _PING, *steps], headers=_HEADERS)

    def message(self, request: Request, blocks: list[Any], reason: str, newline: bytes = b"\n") -> Reply:
        if not request.json.get("stream"):
            return answer({**_message([whole for whole, _, _ in blocks]), "stop_reason": reason}, request_id="req_011")
        steps: list[bytes] = []
        for index, (_, start, deltas) in enumerate(blocks):
            steps.append(event("content_block_start", index=index, content_block=start))
            steps += [_PING, *(_delta(index, **delta) for delta in deltas)]
            steps += [event("content_block_stop", index=index), event("novelty", anything=[1])]
        end = {"stop_reason": reason, "stop_sequence": None}
        steps += [event("message_delta", delta=end, usage=_usage()), event("message_stop")]
        reply = self.stream(steps)
        assert reply.steps is not None
        return Reply(
            200, steps=[one.replace(b"\n", newline) for one in reply.steps if isinstance(one, bytes)], headers=_HEADERS
        )


_HEADERS = {"content-type": "text/event-stream; charset=utf-8", "request-id": "req_011"}


def refused(status: int, kind: str, said: str, details: Any = None, **headers: str) -> Reply:
    error = {"type": kind, "message": said} | ({"details": details} if details else {})
    body = {"type": "error", "error": error, "request_id": "req_012"}
    return answer(body, status, request_id="req_012", **headers)


def _fault(kind: str, said: str) -> bytes:
    return event("error", error={"details": None, "type": kind, "message": said})


def _delta(index: int, **delta: Any) -> bytes:
    return event("content_block_delta", index=index, delta=delta)


def _message(content: list[Any]) -> dict[str, Any]:
    head = {"model": SERVED, "id": "msg_01", "type": "message", "role": "assistant"}
    return {**head, "content": content, "stop_sequence": None, "usage": _usage()}


def _usage() -> dict[str, Any]:
    return {
        "input_tokens": PROMPT_TOKENS - CACHED_TOKENS - _WRITTEN_TO_CACHE,
        "cache_creation_input_tokens": _WRITTEN_TO_CACHE,
        "cache_read_input_tokens": CACHED_TOKENS,
        "output_tokens": COMPLETION_TOKENS,
    }


def _text(tokens: Sequence[str]) -> tuple[Any, Any, list[Any]]:
    whole = {"type": "text", "text": "".join(tokens)}
    return whole, {"type": "text", "text": ""}, [{"type": "text_delta", "text": token} for token in tokens]


def _thinking() -> tuple[Any, Any, list[Any]]:
    whole = {"type": "thinking", "thinking": "".join(THOUGHTS), "signature": SIGNATURE}
    deltas = [{"type": "thinking_delta", "thinking": one} for one in THOUGHTS]
    seal = {"type": "signature_delta", "signature": SIGNATURE}
    return whole, {"type": "thinking", "thinking": "", "signature": ""}, [*deltas, seal]


def _redacted() -> tuple[Any, Any, list[Any]]:
    block = {"type": "redacted_thinking", "data": "b3BhcXVl"}
    return block, block, []


def _tool(number: int, name: str, arguments: Sequence[str]) -> tuple[Any, Any, list[Any]]:
    start = {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": {}}
    whole = {**start, "input": json.loads("".join(arguments) or "{}")}
    return whole, start, [{"type": "input_json_delta", "partial_json": one} for one in arguments]


def _models(request: Request) -> Reply:
    yes, no = {"supported": True}, {"supported": False}
    able = {"image_input": yes, "pdf_input": yes, "structured_outputs": yes, "effort": yes}
    thinks = {"supported": True, "types": {"enabled": no, "adaptive": yes}}
    counted = {"supported": True, "types": {"enabled": yes, "adaptive": no}}
    unable = {"image_input": no, "pdf_input": no, "structured_outputs": no, "effort": no, "thinking": no}
    pages = {
        "": [("claude-opus-5", {**able, "thinking": thinks}), ("claude-haiku-4-5", {**able, "thinking": counted})],
        "claude-haiku-4-5": [("claude-plain", unable)],
    }
    after = request.query.get("after_id", "")
    data = [
        {
            "type": "model",
            "id": one,
            "display_name": one.title(),
            "created_at": "2026-07-24T00:00:00Z",
            "max_input_tokens": 1000000,
            "max_tokens": 128000,
            "capabilities": capabilities,
        }
        for one, capabilities in pages[after]
    ]
    return answer({"data": data, "has_more": not after, "first_id": data[0]["id"], "last_id": data[-1]["id"]})


__all__ = ["SERVED", "SIGNATURE", "TEXT", "Anthropic", "event", "refused"]
