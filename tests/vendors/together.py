"""A stand-in for Together AI: a bare array of models, usage unasked, errors in several forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tests.vendors.chat import ChatVendor, sse
from tests.vendors.http import Reply, answer, page
from tests.vendors.said import COMPLETION_TOKENS, PROMPT_TOKENS, REASONING_TOKENS, TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.vendors.http import Request


class Together(ChatVendor):
    served = "openai/gpt-oss-20b"
    real = ("moonshotai/Kimi-K3", "openai/gpt-oss-20b", "openai/gpt-oss-120b")
    headers: ClassVar[dict[str, str]] = {
        "content-type": "text/event-stream;charset=utf-8",
        "x-api-received": "2026-08-01T00:00:00Z",
    }

    def __init__(self) -> None:
        super().__init__()
        self.scenarios |= {
            "usage-in-finish": lambda request: self.stream(
                [*self.texts(TOKENS), self.chunk({"content": ""}, "eos", usage=self.usage()), b"data: [DONE]\n\n"]
            ),
            "error-in-stream": lambda _: self.stream(
                [*self.texts(TOKENS[:3]), sse({"error": {"message": "Broken", "type": "server_error", "code": None}})]
            ),
            "bad-request": lambda _: self.error(400, "Invalid value for temperature", "invalid_value"),
            "plain-401": lambda _: Reply(401, b"Missing API key", headers={"content-type": "text/plain"}),
            "short-401": lambda _: answer({"error": {"message": "Unauthorized"}}, 401),
            "no-credit": lambda _: self.error(402, "Credit limit exceeded", None, "credit_limit"),
            "context": lambda _: self.error(
                403, "`inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens", None
            ),
            "too-large": lambda _: self.error(413, "Request entity too large", None),
            "rate-limit": lambda _: self.error(
                429, "You have reached the rate limit", "rate_limit_exceeded", x_ratelimit_reset="3"
            ),
            "overloaded": lambda _: self.error(503, "The server is overloaded", None, "service_unavailable"),
            "failed": lambda _: self.error(500, "Internal error", None, "server_error"),
            "timeout": lambda _: self.error(504, "Timed out", None, "timeout"),
            "html-520": lambda _: page(520),
            "said": lambda _: answer({"error": "a plain sentence"}, 400),
            "cloudflare": lambda _: Reply(522, b"error code: 522", headers={"content-type": "text/plain"}),
        }

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        full = {"token_id": None, "role": "assistant", "content": "", "reasoning": None, **delta}
        choice = {"index": 0, "text": full["content"] or "", "logprobs": None, "finish_reason": finish, "delta": full}
        return sse({**self._head(), "choices": [choice], "usage": None, **more})

    def thoughts(self, tokens: Sequence[str]) -> list[bytes]:
        return [self.chunk({"reasoning": one}) for one in tokens]

    def usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": PROMPT_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
            "completion_tokens": COMPLETION_TOKENS,
            "reasoning_tokens": REASONING_TOKENS,
        }

    def end(self, request: Request, finish: str) -> list[bytes]:
        return [self.chunk({}, finish), sse({**self._head(), "choices": [], "usage": self.usage()})]

    def whole(self, tokens, finish, calls) -> dict[str, Any]:
        whole = super().whole(tokens, finish, calls)
        message = {**whole["choices"][0]["message"], "tool_calls": whole["choices"][0]["message"].get("tool_calls", [])}
        choice = {**whole["choices"][0], "message": message, "seed": 2**63 - 1}
        return {**whole, "choices": [choice], "metadata": {"weight_version": "default"}, "prompt": []}

    def unknown(self, model: str) -> Reply:
        said = f"Unable to access model {model}. Please visit https://api.together.ai/models"
        return self.error(404, said, "model_not_available")

    def other(self, request: Request) -> Reply:
        if request.path == "/v2/supported-models":
            return _second_list(request)
        return self.models(request)

    def models(self, request: Request) -> Reply:
        entry = {
            "uuid": "endpoint-1",
            "object": "model",
            "created": 0,
            "running": False,
            "organization": "Moonshot AI",
            "context_length": 1000000,
            "config": {"chat_template": None, "stop": []},
        }
        price = {"hourly": 0, "input": 3, "output": 15, "base": 0, "cached_input": 0.3}
        kinds = {"moonshotai/Kimi-K3": "chat", "acme/embed": "embedding", "acme/dream": "hologram"}
        listed = [
            {"id": one, "type": kind, "display_name": one, "pricing": price, **entry} for one, kind in kinds.items()
        ]
        return answer(listed)


def _second_list(request: Request) -> Reply:
    entry = {
        "id": "m1",
        "displayName": "GPT OSS",
        "displayType": "chat",
        "capabilities": ["CAPABILITY_CHAT"],
        "inputModalities": ["MODALITY_TEXT", "MODALITY_IMAGE"],
        "outputModalities": ["MODALITY_TEXT"],
        "contextLength": "131072",
        "pricing": {"input": 0.05, "output": 0.2, "cachedInput": 0.01},
    }
    if request.query.get("after") == "next":
        return answer({"data": [{**entry, "name": "openai/gpt-oss-120b"}], "next_cursor": None})
    painter = {**entry, "name": "acme/paint", "capabilities": ["CAPABILITY_IMAGE"]}
    return answer({"data": [{**entry, "name": "openai/gpt-oss-20b"}, painter], "next_cursor": "next"})
