"""What the upstream of the measurements says: chat completions in OpenAI's form, each token a chunk of its own.

A question tells how it is to be answered: "tokens=1000 rate=20" is a thousand tokens, twenty a second; a rate of 0 is
as fast as they are taken.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from typing import Any

MODEL = "gpt-bench"
WORD = "quay"  # every token begins with it
STAMP = re.compile(rb"quay([0-9a-f]{16})([0-9a-f]{8})")
STAMP_BYTES = len(WORD) + 24
TOGETHER = 64  # tokens that are written at once when they go as fast as they are taken
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: req_bench\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
MODELS = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "bench"}]}).encode()
_ASKED = re.compile(rb"tokens=(\d+) rate=(\d+)")
_FACTS: dict[str, Any] = {
    "id": "chatcmpl-CkP5Vn1xJcT0x2oQbGm4dS7uYwZaE",
    "object": "chat.completion.chunk",
    "created": 1_790_000_000,
    "model": MODEL,
    "service_tier": "default",
    "system_fingerprint": "fp_a7d06e42a7",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a question is to be answered.

    Attributes:
        tokens: so many.
        rate: of them a second; 0 is as fast as they are taken.
    """

    tokens: int
    rate: int = 0

    def __str__(self) -> str:
        """Give the question."""
        return f"tokens={self.tokens} rate={self.rate}"

    @classmethod
    def of(cls, request: bytes) -> Wanted:
        """Find it in a request, in whatever form that is."""
        found = _ASKED.search(request)
        return cls(int(found[1]), int(found[2])) if found else cls(1)


def question(wanted: Wanted) -> dict[str, Any]:
    """Give a request for a chat completion."""
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": str(wanted)}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _event(text: str) -> bytes:
    body = f"data: {text}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(body), body)


def _chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    value = {**_FACTS, "choices": [choice], "usage": None, "obfuscation": "rZ8kQ1"}
    return _event(json.dumps(value, separators=(",", ":")))


def _ending() -> bytes:
    usage = {
        "prompt_tokens": 12,
        "completion_tokens": 1,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
    last = _event(json.dumps({**_FACTS, "choices": [], "usage": usage, "obfuscation": ""}, separators=(",", ":")))
    return b"".join([_chunk({}, "stop"), last, _event("[DONE]"), b"0\r\n\r\n"])


BEGINNING = _chunk({"role": "assistant", "content": "", "refusal": None})
# One differs from the next: LiteLLM takes a hundred equal ones for an endless loop.
PLAIN = [_chunk({"content": f"{WORD}{number:04}"}) for number in range(TOGETHER)]
ENDING = _ending()
_BEFORE, _, _AFTER = _chunk({"content": f"{WORD}{'x' * 24} "}).partition(b"x" * 24)


def stamped(number: int) -> bytes:
    """Give a token that holds the time of now, in nanoseconds, and its number."""
    return b"%b%016x%08x%b" % (_BEFORE, time.monotonic_ns(), number, _AFTER)
