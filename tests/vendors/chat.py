"""What servers of OpenAI's chat completions have in common: chunks, scenarios by the name of the model, and errors.

The model that is asked for says what happens: "ok" and those of the list answer, "cut" breaks off, "rate-limit"
refuses. "cut+anything" is another model that does the same. A model that is not a scenario is unknown.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from tests.vendors.http import Cut, Pause, Reply, Request, answer, page
from tests.vendors.said import (
    ARGUMENTS,
    CACHED_TOKENS,
    CALL_ID,
    COMPLETION_TOKENS,
    JSON_TOKENS,
    KEY,
    PROMPT_TOKENS,
    REASONING_TOKENS,
    STORY,
    THOUGHTS,
    TOKENS,
    TOOL,
    heeding,
    pieces,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vendors.http import Step

PACE_SECONDS = 0.1
DONE = b"data: [DONE]\n\n"
LIMIT_SAID = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens. "
    "Please reduce the length of the messages."
)


def sse(value: Any) -> bytes:
    return b"data: " + json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


class ChatVendor(ABC):
    """A server of this API. A vendor's class says how its chunks look and adds its own scenarios."""

    extra: ClassVar[dict[str, Any]] = {}
    real: ClassVar[tuple[str, ...]] = ()
    served = "served-model-2026-08-01"
    headers: ClassVar[dict[str, str]] = {"content-type": "text/event-stream; charset=utf-8"}

    def __init__(self) -> None:
        self.scenarios: dict[str, Callable[[Request], Reply]] = {
            "ok": self.ok,
            "reasoning": self.reasoning,
            "tools": self.tools,
            "two-tools": self.two_tools,
            "empty": lambda request: self.chat(request, [], "stop"),
            "length": lambda request: self.chat(request, ["Once"], "length"),
            "filtered": lambda request: self.chat(request, ["I"], "content_filter"),
            "slow": lambda _: self.stream([*self.texts(["a"]), Pause(30), *self.texts(["b"]), DONE]),
            "paced": self.paced,
            "story": lambda request: self.paced(request, STORY),
            "stalled-before": lambda _: self.stream([Pause(30)]),
            "cut": lambda _: self.stream([*self.texts(TOKENS[:3]), Cut]),
            "ends-early": lambda _: self.stream(self.texts(TOKENS[:3])),
            "half-event": lambda _: self.stream([*self.texts(TOKENS[:3]), b'data: {"choices":[{"ind']),
            "garbage": lambda _: self.stream([*self.texts(TOKENS[:3]), b"data: {not json}\n\n", DONE]),
            "nothing": lambda _: self.stream([DONE]),
            "page": lambda _: page(200),
            "html-502": lambda _: page(502),
            "redirect": lambda _: Reply(307, headers={"location": "http://127.0.0.1:1/elsewhere"}),
            "halves": self.halves,
            "crlf": self.crlf,
            "flood": lambda _: self.stream([b"".join(self.texts(["word " * 200] * 1000))] * 400),
        }

    # --- what differs ---

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return sse({**self._head(), "choices": [choice], **more})

    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": PROMPT_TOKENS,
            "completion_tokens": COMPLETION_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
            "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
            "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
        }

    @abstractmethod
    def end(self, request: Request, finish: str) -> list[bytes]: ...

    @abstractmethod
    def models(self, request: Request) -> Reply: ...

    def error(self, status: int, said: str, code: str | None, kind: str = "invalid_request_error", **headers: str):
        body = {"error": {"message": said, "type": kind, "param": None, "code": code}}
        return answer(body, status, **headers)

    # --- what is the same ---

    def handle(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return self.no_key(request)
        if request.path.endswith("/chat/completions"):
            body = request.json
            scenario = self.scenarios.get("ok" if body["model"] in self.real else body["model"].partition("+")[0])
            return self.unknown(body["model"]) if scenario is None else scenario(request)
        return self.other(request)

    def other(self, request: Request) -> Reply:
        return self.models(request)

    def no_key(self, request: Request) -> Reply:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        said = f"Incorrect API key provided: {given[:8]}***{given[-4:]}. You can find your API key elsewhere."
        return self.error(401, said, "invalid_api_key")

    def unknown(self, model: str) -> Reply:
        return self.error(
            404, f"The model `{model}` does not exist or you do not have access to it.", "model_not_found"
        )

    def ok(self, request: Request) -> Reply:
        """Say what is always said, as JSON where that is wanted, up to a stop or to so many tokens."""
        body = request.json
        wanted = body.get("response_format", {}).get("type", "text")
        most = body.get("max_completion_tokens", body.get("max_tokens"))
        said = heeding(TOKENS if wanted == "text" else JSON_TOKENS, body.get("stop", ()), most)
        return self.chat(request, *said)

    def paced(self, request: Request, tokens: Sequence[str] = TOKENS) -> Reply:
        """Say a token every now and then."""
        steps = [step for text in self.texts(tokens) for step in (text, Pause(PACE_SECONDS))]
        return self.stream([*steps, *self.end(request, "stop"), DONE])

    def reasoning(self, request: Request) -> Reply:
        return self.chat(request, TOKENS, "stop", thoughts=THOUGHTS)

    def tools(self, request: Request) -> Reply:
        return self.chat(request, [], "tool_calls", calls=[(CALL_ID, TOOL, pieces(ARGUMENTS, 50))])

    def two_tools(self, request: Request) -> Reply:
        calls = [(CALL_ID, TOOL, ['{"city":', '"Kiel"}']), ("call_2", "get_time", [])]
        return self.chat(request, ["Let me see."], "tool_calls", calls=calls)

    def texts(self, tokens: Sequence[str]) -> list[bytes]:
        return [self.chunk({"content": token}) for token in tokens]

    def thoughts(self, tokens: Sequence[str]) -> list[bytes]:
        return [self.chunk({"reasoning_content": token}) for token in tokens]

    def stream(self, steps: Sequence[Step]) -> Reply:
        return Reply(200, steps=[self.chunk({"role": "assistant", "content": ""}), *steps], headers=self.headers)

    def chat(
        self,
        request: Request,
        tokens: Sequence[str],
        finish: str,
        thoughts: Sequence[str] = (),
        calls: Sequence[tuple[str, str, Sequence[str]]] = (),
    ) -> Reply:
        if not request.json.get("stream"):
            return answer(self.whole(tokens, finish, calls))
        steps = [*self.thoughts(thoughts), *self.texts(tokens)]
        for number, (call_id, name, arguments) in enumerate(calls):
            first = {"index": number, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
            steps.append(self.chunk({"content": None, "tool_calls": [first]}))
            for piece in arguments:
                more = {"index": number, "function": {"arguments": piece}}
                steps.append(self.chunk({"tool_calls": [more]}))
        return self.stream([*steps, *self.end(request, finish), DONE])

    def whole(self, tokens, finish, calls) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(tokens) or None, "refusal": None}
        if calls:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": "".join(arguments) or "{}"}}
                for call_id, name, arguments in calls
            ]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        head = {**self._head(), "object": "chat.completion"}
        return {**head, "choices": [choice], "usage": self.usage()}

    def halves(self, request: Request) -> Reply:
        first, second = (
            b'data: {"choices":[{"index":0,"delta":{"content":"' + half + b'"},"finish_reason":null}]}\n\n'
            for half in (rb"a \ud83d", rb"\udea2 b")
        )
        return self.stream([first, second, *self.end(request, "stop"), DONE])

    def crlf(self, request: Request) -> Reply:
        steps = [*self.texts(TOKENS), *self.end(request, "stop"), DONE]
        return self.stream([b": a comment\r\n\r\n", *(step.replace(b"\n", b"\r\n") for step in steps)])

    def _head(self) -> dict[str, Any]:
        return {
            "id": "chatcmpl-A1",
            "object": "chat.completion.chunk",
            "created": 1783960614,
            "model": self.served,
            **self.extra,
        }
