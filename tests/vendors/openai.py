"""A stand-in for OpenAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tests.vendors.chat import LIMIT_SAID, ChatVendor, sse
from tests.vendors.http import Cut, Reply, answer
from tests.vendors.openai_media import OpenAIMedia
from tests.vendors.said import TOKENS

if TYPE_CHECKING:
    from tests.vendors.http import Request


class OpenAI(ChatVendor):
    extra: ClassVar[dict[str, Any]] = {"service_tier": "default", "system_fingerprint": None}
    real = ("gpt-6-luna", "gpt-4o-mini", "gpt-audio-2")
    headers: ClassVar[dict[str, str]] = {
        **ChatVendor.headers,
        "x-request-id": "req_openai_1",
        "openai-version": "2020-10-01",
    }

    def __init__(self) -> None:
        super().__init__()
        self.media = OpenAIMedia()
        server = "server_error"
        fault = {"error": {"message": "The server had an error", "type": server, "param": None, "code": None}}
        self.scenarios |= {
            "refusal": lambda _: self.stream([self.chunk({"refusal": "I will not."}), *self.end(_, "stop"), _done()]),
            "all-reasoning": lambda request: self.chat(request, [], "length"),
            "error-in-stream": lambda _: self.stream([*self.texts(TOKENS[:3]), sse(fault)]),
            "unsupported": lambda _: _param(
                "stop", "Unsupported parameter: 'stop' is not supported with this model.", "unsupported_parameter"
            ),
            "unsupported-value": lambda _: _param(
                "temperature", "Unsupported value: 'temperature' does not support 0.2.", "unsupported_value"
            ),
            "unknown-parameter": lambda _: _param("colour", "Unknown parameter: 'colour'.", "unknown_parameter"),
            "context": lambda _: self.error(400, LIMIT_SAID, "context_length_exceeded"),
            "silent-context": lambda request: (
                Reply(200, steps=[Cut], headers=self.headers)
                if request.json.get("stream")
                else self.error(400, LIMIT_SAID, "context_length_exceeded")
            ),
            "silent-stream": lambda request: (
                Reply(200, steps=[], headers=self.headers) if request.json.get("stream") else self.ok(request)
            ),
            "policy": lambda _: self.error(400, "Invalid prompt: it breaks our policy.", "content_policy_violation"),
            "bad-id": lambda _: self.error(400, "invalid model ID", None),
            "forbidden": lambda _: self.error(403, "Your organization must be verified to use the model.", None),
            "country": lambda _: self.error(403, "Country not supported", "unsupported_country_region_territory"),
            "timeout": lambda _: self.error(408, "Timed out", None, server),
            "conflict": lambda _: self.error(409, "Again", None, server),
            "slow-down": lambda _: self.error(429, "Ramp up slowly.", "slow_down", "rate_limit_error"),
            "spend-limit": lambda _: self.error(429, "Limit.", "project_spend_limit_exceeded", "insufficient_quota"),
            "hard-limit": lambda _: self.error(400, "Hard limit.", "billing_hard_limit_reached"),
            "rate-limit": lambda _: self.error(
                429, "Rate limit reached for requests", "rate_limit_exceeded", "requests", retry_after="7"
            ),
            "rate-limit-ms": lambda _: self.error(
                429, "Slow down.", "slow_down", "rate_limit_error", retry_after_ms="1500", retry_after="9"
            ),
            "no-quota": lambda _: self.error(
                429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"
            ),
            "no-credit": lambda _: self.error(429, "No credit.", "credit_balance_exhausted", "insufficient_quota"),
            "never": lambda _: self.error(500, "No use.", None, server, x_should_retry="false", retry_after="3"),
            "failed": lambda _: self.error(500, "The server had an error", None, server),
            "overloaded": lambda _: self.error(
                503, "The engine is overloaded", "server_is_overloaded", "service_unavailable_error"
            ),
            "too-large": lambda _: self.error(413, "413: Maximum content size limit exceeded", None, server),
        }

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        return super().chunk(delta, finish, usage=None, obfuscation="gXy", **more)

    def end(self, request: Request, finish: str) -> list[bytes]:
        steps = [self.chunk({}, finish)]
        if request.json.get("stream_options", {}).get("include_usage"):
            steps.append(sse({**self._head(), "choices": [], "usage": self.usage(), "obfuscation": ""}))
        return steps

    def other(self, request: Request) -> Reply:
        return self.media.handle(request) or self.models(request)

    def models(self, request: Request) -> Reply:
        entry = {"object": "model", "created": 1677532384, "owned_by": "openai"}
        ends = {"gpt-4o-mini": "2027-01-14"}
        names = ("gpt-6-luna", "gpt-4o-mini", "gpt-audio-2", "whisper-1", "gpt-image-2", "gpt-6-pro", "tts-1")
        return answer(
            {"object": "list", "data": [{"id": one, **entry, "shutdown_date": ends.get(one)} for one in names]}
        )


def _param(name: str, said: str, code: str) -> Reply:
    error = {"message": said, "type": "invalid_request_error", "param": name, "code": code}
    return answer({"error": error}, 400, x_request_id="req_refused")


def _done() -> bytes:
    return b"data: [DONE]\n\n"
