"""Each stand-in satisfies its vendor's own SDK: whole answers, streams, tool calls, and every error.

The SDKs have environments of their own, see tools/vendor_sdks.sh.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tests.support.require import missing
from tests.vendors.anthropic import SERVED, SIGNATURE, Anthropic
from tests.vendors.http import FakeServer
from tests.vendors.openai import OpenAI
from tests.vendors.openrouter import OpenRouter
from tests.vendors.said import (
    ARGUMENTS,
    CALL_ID,
    COMPLETION_TOKENS,
    KEY,
    PROMPT_TOKENS,
    TEXT,
    THOUGHTS,
    TOKENS,
    TOOL,
)
from tests.vendors.together import Together

ROOT = Path(__file__).resolve().parent.parent.parent
SIZES = pytest.mark.parametrize("size", [1, 3, 65536])
USAGE = [PROMPT_TOKENS, COMPLETION_TOKENS]
BAD, KEY_BAD, DENIED, GONE, MANY = (
    "BadRequestError",
    "AuthenticationError",
    "PermissionDeniedError",
    "NotFoundError",
    "RateLimitError",
)
FAILED, STATUS = "InternalServerError", "APIStatusError"

# Scenario, error, status: of calls that are refused before anything is said.
REFUSED = {
    "openai": [
        *[(name, BAD, 400) for name in ("unsupported", "unsupported-value", "unknown-parameter")],
        *[(name, BAD, 400) for name in ("context", "policy", "bad-id", "hard-limit")],
        ("no-such-model", GONE, 404),
        *[("forbidden", DENIED, 403), ("country", DENIED, 403), ("conflict", "ConflictError", 409)],
        *[(name, MANY, 429) for name in ("rate-limit", "rate-limit-ms", "slow-down")],
        *[(name, MANY, 429) for name in ("no-quota", "no-credit", "spend-limit")],
        ("timeout", STATUS, 408),
        *[("never", FAILED, 500), ("failed", FAILED, 500), ("overloaded", FAILED, 503), ("html-502", FAILED, 502)],
        ("too-large", STATUS, 413),
    ],
    "openrouter": [
        *[(name, BAD, 400) for name in ("no-such-model", "bad-id", "context", "too-much")],
        *[("no-credit", STATUS, 402), ("moderated", DENIED, 403), ("denied", DENIED, 403), ("no-provider", GONE, 404)],
        *[("timeout", STATUS, 408), ("too-large", STATUS, 413), ("rate-limit", MANY, 429)],
        *[("failed", FAILED, 500), ("provider-down", FAILED, 502), ("html-502", FAILED, 502)],
        *[("overloaded", FAILED, 503), ("cloudflare", FAILED, 524), ("provider-full", FAILED, 529)],
    ],
    "together": [
        *[("bad-request", BAD, 400), ("said", BAD, 400), ("plain-401", KEY_BAD, 401), ("short-401", KEY_BAD, 401)],
        *[("no-credit", STATUS, 402), ("context", DENIED, 403), ("no-such-model", GONE, 404)],
        *[("too-large", STATUS, 413), ("rate-limit", MANY, 429), ("overloaded", FAILED, 503)],
        *[("failed", FAILED, 500), ("cloudflare", FAILED, 522), ("html-502", FAILED, 502)],
        *[("timeout", FAILED, 504), ("html-520", FAILED, 520)],
    ],
    "anthropic": [
        *[(name, BAD, 400) for name in ("no-temperature", "context", "no-credit")],
        *[("no-such-model", GONE, 404), ("forbidden", DENIED, 403), ("conflict", "ConflictError", 409)],
        *[("rate-limit", MANY, 429), ("failed", FAILED, 500), ("never", FAILED, 500), ("html-502", FAILED, 502)],
        ("html-524", FAILED, 524),
    ],
}
# Statuses for which the SDK has classes of its own, which differ from version to version.
ONLY_STATUS = {
    "anthropic": [("billing", 402), ("too-large", 413), ("spend-limit", 429), ("timeout", 504), ("overloaded", 529)]
}
JUDGES = {
    "openai": (OpenAI, "/v1", "openai"),
    "openrouter": (OpenRouter, "/api/v1", "openai"),
    "together": (Together, "", "together"),
    "anthropic": (Anthropic, "", "anthropic"),
}


async def judged(vendor, *, whole=(), stream=(), size=0, key=KEY):
    """Give what a vendor's SDK makes of scenarios."""
    make, path, package = JUDGES[vendor]
    python = ROOT / ".cache" / f"sdk-{package}" / "bin" / "python"
    if not python.exists():
        missing(f"sdk-{package}", f"the SDK of {package} is not installed: tools/vendor_sdks.sh")
    program = Path(__file__).parent / "judges" / ("anthropic.py" if package == "anthropic" else "chat.py")
    fake = FakeServer(make().handle)
    fake.piece_bytes = size
    async with fake.serving():
        process = await asyncio.create_subprocess_exec(
            *(str(python), str(program), package, fake.url + path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"JUDGE_KEY": key, "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
        )
        asked = json.dumps({"whole": list(whole), "stream": list(stream)}).encode()
        told, _ = await asyncio.wait_for(process.communicate(asked), 100)
    assert process.returncode == 0
    return json.loads(told)


@pytest.mark.parametrize("vendor", ["openai", "openrouter", "together"])
@SIZES
async def test_answers_of_chat_completions(vendor, size):
    names = ("ok", "tools", "two-tools", "length")
    found = await judged(vendor, whole=names, stream=(*names, "reasoning", "empty", "crlf"), size=size)
    for kind in ("whole", "stream"):
        ok, tools, length = (found[f"{kind} {name}"] for name in ("ok", "tools", "length"))
        assert (ok["text"], ok["finish"], ok["usage"]) == (TEXT, "stop", USAGE), ok
        calls = tools["calls"] if kind == "whole" else list(tools["calls"].values())
        assert calls == [[CALL_ID, TOOL, ARGUMENTS]]
        assert tools["finish"] == "tool_calls"
        assert (length["text"], length["finish"]) == ("Once", "length")
    assert found["stream reasoning"]["thoughts"] == "".join(THOUGHTS)
    assert found["stream reasoning"]["text"] == found["stream crlf"]["text"] == TEXT
    assert found["stream empty"]["text"] == ""
    assert [call[1] for call in found["stream two-tools"]["calls"].values()] == [TOOL, "get_time"]
    assert found["models"]["ids"], found["models"]


async def test_forms_that_only_openrouter_has():
    found = await judged("openrouter", whole=["padded", "error-body"], stream=["comments", "error-in-stream"])
    assert found["whole padded"]["text"] == found["stream comments"]["text"] == TEXT
    assert found["stream error-in-stream"]["text"] == "".join(TOKENS[:3])
    assert found["stream error-in-stream"]["error"] == "APIError"
    assert "error" in found["whole error-body"]


@pytest.mark.parametrize("vendor", ["openai", "together"])
async def test_errors_in_streams_of_chat_completions(vendor):
    found = await judged(vendor, stream=["error-in-stream", "cut"])
    assert found["stream error-in-stream"]["error"] == "APIError"
    assert "error" in found["stream cut"]
    assert found["stream cut"]["text"] == "".join(TOKENS[:3])


@SIZES
async def test_answers_of_messages(size):
    names = ("ok", "tools", "two-tools", "length", "reasoning", "empty", "window", "filtered")
    found = await judged("anthropic", whole=names, stream=(*names, "crlf"), size=size)
    for kind in ("whole", "stream"):
        ok, tools, length, reasoning = (found[f"{kind} {name}"] for name in ("ok", "tools", "length", "reasoning"))
        assert (ok["text"], ok["finish"], ok["model"]) == (TEXT, "end_turn", SERVED), ok
        assert ok["usage"][1] == COMPLETION_TOKENS
        assert [call[1:] for call in tools["calls"]] == [[TOOL, json.loads(ARGUMENTS)]]
        assert tools["finish"] == "tool_use"
        assert (length["text"], length["finish"]) == ("Once", "max_tokens")
        assert (reasoning["thoughts"], reasoning["signatures"]) == ("".join(THOUGHTS), [SIGNATURE])
        assert found[f"{kind} empty"]["text"] == ""
    assert found["stream ok"]["pieces"] == found["stream crlf"]["text"] == TEXT
    assert found["models"]["ids"] == ["claude-opus-5", "claude-haiku-4-5", "claude-plain"]


async def test_errors_in_streams_of_messages():
    found = await judged("anthropic", stream=["error-in-stream", "error-first", "cut"])
    for name in ("error-in-stream", "error-first"):
        assert found[f"stream {name}"]["status"] == 200, found
    assert found["stream error-in-stream"]["pieces"] == "".join(TOKENS[:3])
    assert "error" in found["stream cut"]


@pytest.mark.parametrize("vendor", JUDGES)
async def test_every_refusal(vendor):
    rows = REFUSED[vendor]
    only = ONLY_STATUS.get(vendor, [])
    names = [name for name, *_ in rows] + [name for name, _ in only]
    found = await judged(vendor, whole=names, stream=names)
    for kind in ("whole", "stream"):
        for name, error, status in rows:
            said = found[f"{kind} {name}"]
            assert (said["error"], said["status"]) == (error, status), (name, said)
        for name, status in only:
            assert found[f"{kind} {name}"]["status"] == status


@pytest.mark.parametrize("vendor", JUDGES)
async def test_a_key_that_is_refused(vendor):
    found = await judged(vendor, whole=["ok"], stream=["ok"], key="sk-wrong-key-0123456789")
    for kind in ("whole ok", "stream ok"):
        assert (found[kind]["error"], found[kind]["status"]) == (KEY_BAD, 401)
