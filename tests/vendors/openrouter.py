"""A stand-in for OpenRouter: comments between events, the finish reason twice, errors in many places."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from tests.vendors.chat import DONE, LIMIT_SAID, ChatVendor, sse
from tests.vendors.http import Cut, Reply, answer
from tests.vendors.said import TEXT, TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.vendors.http import Request, Step

COMMENT = b": OPENROUTER PROCESSING\n\n"
COST = 0.00044952
WHITE_SPACE = b"\n         \n" * 40


class OpenRouter(ChatVendor):
    extra: ClassVar[dict[str, Any]] = {"provider": "Acme"}
    served = "acme/model-20260801"
    real = ("acme/model", "openrouter/auto")
    headers: ClassVar[dict[str, str]] = {"content-type": "text/event-stream", "x-generation-id": "gen-1"}

    def __init__(self) -> None:
        super().__init__()
        provider = {"raw": json.dumps({"error": {"message": LIMIT_SAID}}), "provider_name": "AtlasCloud"}
        self.scenarios |= {
            "comments": self.comments,
            "padded": lambda _: Reply(200, steps=self._padded(), headers={"content-type": "application/json"}),
            "error-body": lambda _: Reply(
                200,
                steps=[
                    WHITE_SPACE,
                    json.dumps(_error(502, "Provider down", error_type="provider_unavailable")).encode(),
                ],
                headers={"content-type": "application/json"},
            ),
            "error-in-stream": lambda _: self.stream(
                [*self.texts(TOKENS[:3]), self._fault(400, "invalid_request"), Cut]
            ),
            "error-first": lambda _: self.stream([self._fault(429, "rate_limit_exceeded")]),
            "error-finish": lambda _: self.stream(
                [
                    *self.texts(TOKENS[:3]),
                    self.chunk({"content": ""}, "error", error={"code": "server", "message": "Upstream broke"}),
                ]
            ),
            "bad-id": lambda _: answer(_error(400, "bad/model is not a valid model ID"), 400),
            "no-credit": lambda _: answer(_error(402, "Insufficient credits"), 402),
            "moderated": lambda _: answer(
                _error(403, "Input was flagged", reasons=["violence"], flagged_input="..."), 403
            ),
            "denied": lambda _: answer(_error(403, "Your key may not", error_type="permission_denied"), 403),
            "too-much": lambda _: answer(_error(400, "Too many", error_type="max_tokens_exceeded"), 400),
            "provider-full": lambda _: answer(_error(529, "Provider full"), 529),
            "no-provider": lambda _: answer(_error(404, "No endpoints found matching your data policy"), 404),
            "timeout": lambda _: answer(_error(408, "Timed out", error_type="timeout"), 408),
            "too-large": lambda _: answer(_error(413, "Too large", error_type="payload_too_large"), 413),
            "rate-limit": lambda _: answer(_error(429, "Rate limited"), 429, retry_after="12"),
            "context": lambda _: answer(_error(400, "Provider returned error", **provider), 400),
            "failed": lambda _: answer(_error(500, "Internal Server Error"), 500),
            "provider-down": lambda _: answer(_error(502, "Down", error_type="provider_unavailable"), 502),
            "overloaded": lambda _: answer(_error(503, "Full", error_type="provider_overloaded"), 503, retry_after="4"),
            "cloudflare": lambda _: answer(_error(524, "A timeout occurred"), 524),
            "never": lambda _: answer(
                {"error": {"code": 503, "message": "Gone", "availability": {"code": "gone", "retryable": False}}}, 503
            ),
            "later": lambda _: answer(
                {"error": {"code": 503, "message": "Soon", "availability": {"retryable": True, "retry_after": 2.5}}},
                503,
            ),
        }

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        return super().chunk({"role": "assistant", "content": "", **delta}, finish, **more)

    def thoughts(self, tokens: Sequence[str]) -> list[bytes]:
        return [
            self.chunk({"reasoning": one, "reasoning_details": [{"type": "reasoning.text", "text": one}]})
            for one in tokens
        ]

    def stream(self, steps: Sequence[Step]) -> Reply:
        return Reply(200, steps=[COMMENT, *steps], headers=self.headers)

    def usage(self) -> dict[str, Any]:
        return {**super().usage(), "cost": COST, "is_byok": False}

    def end(self, request: Request, finish: str) -> list[bytes]:
        return [self.chunk({}, finish), self.chunk({}, finish, usage=self.usage())]

    def comments(self, request: Request) -> Reply:
        steps: list[Step] = []
        for token in self.texts(TOKENS):
            steps += [COMMENT, COMMENT, b":\n\n", token]
        return self.stream([COMMENT] * 6 + steps + [*self.end(request, "stop"), DONE])

    def _padded(self) -> list[bytes]:
        whole = json.dumps(self.whole(TOKENS, "stop", ())).encode()
        assert json.loads(whole)["choices"][0]["message"]["content"] == TEXT
        return [WHITE_SPACE, whole]

    def _fault(self, code: int, kind: str) -> bytes:
        error = {"code": code, "message": "Provider returned error", "metadata": {"error_type": kind}}
        return sse({**self._head(), "choices": [], "error": error})

    def no_key(self, request: Request) -> Reply:
        return answer({"error": {"message": "No auth credentials found", "code": 401}}, 401)

    def unknown(self, model: str) -> Reply:
        return answer(_error(400, f"{model} is not a valid model ID"), 400)

    def other(self, request: Request) -> Reply:
        if request.path.endswith("/key"):
            return answer({"data": {"label": "a key", "limit": None, "usage": 0.1, "is_free_tier": False}})
        return self.models(request)

    def models(self, request: Request) -> Reply:
        entry = {
            "id": "acme/model",
            "canonical_slug": "acme/model-20260801",
            "name": "Acme: Model",
            "created": 1685232000,
            "description": "A model. " * 100,
            "context_length": 131072,
            "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
            "pricing": {"prompt": "0.00003", "completion": "0.00006", "input_cache_read": "0.000003"},
            "top_provider": {"context_length": 131072, "max_completion_tokens": 4096, "is_moderated": False},
            "supported_parameters": ["max_tokens", "seed", "temperature", "tools", "tool_choice"],
            "expiration_date": None,
        }
        router = {**entry, "id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}}
        painter = {**entry, "id": "acme/paint", "architecture": {"output_modalities": ["image"]}}
        return answer({"data": [entry, router, painter], "total_count": 3, "links": {"next": None}})


def _error(code: int, said: str, **metadata: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": said, "metadata": metadata}, "user_id": "user_1"}
