"""Logs and the secrets that are not in them."""

from __future__ import annotations

import json
import logging

import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from automarket import secrets
from automarket.logs import JsonFormatter, PlainFormatter
from automarket.rpc.telemetry import current_ids
from tests.rpc.serving import asking, serving


def record(message="done", **extra):
    made = logging.makeLogRecord({"name": "automarket.test", "levelname": "INFO", "msg": message})
    vars(made).update(extra)
    return made


def line(made):
    return json.loads(JsonFormatter("toy", current_ids).format(made))


def test_a_line_has_time_level_service_logger_message_and_fields():
    got = line(record("cast", ms=12.5, path=object))
    assert got.pop("time").endswith("Z")
    assert got.pop("path")
    assert got == {"level": "info", "service": "toy", "logger": "automarket.test", "message": "cast", "ms": 12.5}


def test_a_line_names_its_trace_and_span():
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))
    with trace.use_span(span):
        got = line(record())
        assert f"{0xABC:032x}" in PlainFormatter(current_ids).format(record())
    assert (got["trace_id"], got["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


@pytest.mark.parametrize(
    "name",
    ["api_key", "API_KEY", "apikey", "x-api-key", "hf_token", "token", "client_secret", "Authorization", "password"],
)
def test_a_field_with_the_name_of_a_secret_is_hidden(name):
    assert line(record(**{name: "hunter2"}))[name] == "[hidden]"
    assert "hunter2" not in PlainFormatter().format(record(**{name: "hunter2"}))


@pytest.mark.parametrize("name", ["tokens", "output_tokens", "key_frames", "monkey", "keyboard", "path", "reason"])
def test_a_field_that_only_sounds_like_one_is_shown(name):
    assert line(record(**{name: "shown"}))[name] == "shown"


def test_secrets_below_a_field_are_hidden_too():
    got = line(record(settings={"api_key": "hunter2", "voices": ["rms"], "deep": [{"password": "hunter2"}]}))
    assert got["settings"] == {"api_key": "[hidden]", "voices": ["rms"], "deep": [{"password": "[hidden]"}]}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hunter2.hunter2",
        "GET https://example.org/v1?model=x&api_key=hunter2hunter2&b=1",
        "https://me:hunter2hunter2@example.org/",
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_messages(text):
    assert "hunter2" not in line(record(text))["message"]
    assert "example.org" in secrets.scrub(text) or "Bearer" in text


def test_a_known_secret_is_hidden_wherever_it_turns_up(monkeypatch):
    monkeypatch.setattr(secrets, "_known", set())
    monkeypatch.setenv("TOY_API_KEY", "a-real-secret")
    secrets.hide_environment()
    secrets.hide("short")  # too common a text to be hidden
    made = record("it failed: a-real-secret", seen=["a-real-secret"], why="short")
    error = ValueError("the vendor said: a-real-secret is wrong")
    made.exc_info = (type(error), error, None)
    for text in (json.dumps(line(made)), PlainFormatter().format(made)):
        assert "a-real-secret" not in text
        assert "short" in text
        assert "ValueError" in text


async def test_each_call_leaves_one_line_that_says_how_it_went(short_dir, caplog):
    caplog.set_level(logging.INFO, "automarket.rpc")
    async with serving(short_dir) as (_, channel, _):
        method = channel.unary_unary("/automarket.v1.ModelService/GetModel")
        request = asking("x").SerializeToString()
        await method(request).code()
        await channel.unary_unary("/grpc.health.v1.Health/Check")(b"")  # too frequent to be worth a line
    [got] = [vars(made) for made in caplog.records if made.name == "automarket.rpc"]
    assert (got["method"], got["code"], got["reason"]) == (method_name(), "NOT_FOUND", "MODEL_UNKNOWN")
    assert (got["provider"], got["bytes_in"]) == ("toy", len(request))
    assert got["ms"] > 0


def method_name():
    return "/automarket.v1.ModelService/GetModel"
