"""curl, nghttp, h2load and buf call the gateway as they call any gRPC server."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from base64 import b64decode
from pathlib import Path
from urllib.parse import unquote

import pytest
import pytest_asyncio
from google.rpc import error_details_pb2

from automarket.v1 import discovery_service_pb2
from automarket.v1 import model_service_pb2 as pb
from tests.support.foreign import (
    DISCOVERY,
    GENERATE,
    GET_MODEL,
    GRPC_HEADERS,
    TRANSFORM,
    WORDS,
    body,
    framed,
    one_peer,
    run,
)
from tests.support.gateway import chunk, facts, header
from tests.support.require import require

pytestmark = pytest.mark.slow

BUF = Path(sys.executable).with_name("buf")
ROOT = Path(__file__).resolve().parent.parent.parent.parent
ROUTED = ("automarket-model: words",)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(module_dir):
    async with one_peer(module_dir) as running:
        yield running


def with_headers(flag, *headers):
    return [part for one in (*GRPC_HEADERS, *headers) for part in (flag, one)]


# curl


async def curl(mesh, method, *messages, headers=()):
    """Make one call; give curl's output, what it wrote of headers and trailers, and the body."""
    require("curl")
    body_file, answer = body(mesh.folder, *messages), mesh.folder / "answer"
    options = ("--http2-prior-knowledge", "-sS", "-v", "-o", answer, "--data-binary", f"@{body_file}", "-m", "20")
    done = await run("curl", *options, *with_headers("-H", *headers), f"http://{mesh.public}{method}")
    assert done.code == 0, done.err
    fields = [line[2:].strip() for line in done.err.splitlines() if line.startswith("< ")]
    return fields, answer.read_bytes()


async def test_curl_sees_headers_body_and_trailers(mesh):
    for _ in range(25):
        fields, answer = await curl(mesh, DISCOVERY, b"")
        assert fields[0] == "HTTP/2 200"
        assert "content-type: application/grpc" in fields
        assert fields[-1].startswith("grpc-") or "grpc-status: 0" in fields
        assert "grpc-status: 0" in fields
        listed = discovery_service_pb2.ListProvidersResponse.FromString(answer[5:])
        assert [provider.id for provider in listed.providers] == ["one"]


async def test_curl_reaches_a_provider_by_metadata_and_by_the_first_message(mesh):
    for headers in ((), ROUTED):
        fields, answer = await curl(mesh, GET_MODEL, WORDS.SerializeToString(), headers=headers)
        assert "grpc-status: 0" in fields
        assert pb.GetModelResponse.FromString(answer[5:]).model.id == "one-1"


async def test_curl_uploads_and_gets_it_back(mesh):
    pieces = [header(model="words"), *(chunk(bytes([number]) * 400_000) for number in range(8))]
    fields, answer = await curl(mesh, TRANSFORM, *(one.SerializeToString() for one in pieces))
    assert "grpc-status: 0" in fields
    assert len(answer) > 8 * 400_000
    for number in range(8):
        assert answer.count(bytes([number]) * 1000) >= 1


async def test_curl_is_told_what_is_wrong_in_trailers(mesh):
    fields, answer = await curl(mesh, GET_MODEL, WORDS.SerializeToString(), headers=("automarket-model: none",))
    assert answer == b""
    assert "grpc-status: 5" in fields
    [words] = [unquote(one.partition(": ")[2]) for one in fields if one.startswith("grpc-message:")]
    assert "none" in words
    assert any(one.startswith("grpc-status-details-bin: ") for one in fields)


@pytest.mark.parametrize(
    ("given", "seconds"), [("100S", 100), ("59900m", 59.9), ("2M", 120), ("1H", 3600), ("9000000u", 9)]
)
async def test_a_deadline_that_curl_sends_is_shorter_for_the_provider(mesh, given, seconds):
    request = pb.GenerateRequest(target=WORDS.target).SerializeToString()
    _, answer = await curl(mesh, GENERATE, request, headers=(f"grpc-timeout: {given}",))
    assert seconds * 0.95 < facts(pb.GenerateResponse.FromString(answer[5:]))["left"] < seconds


@pytest.mark.parametrize("is_stopped", [False, True], ids=["silent", "stopped"])
async def test_a_deadline_ends_the_call_of_a_caller_that_does_not_watch_its_own_clock(mesh, is_stopped):
    first = header("wait", model="words").SerializeToString()
    for _ in range(3):
        if is_stopped:
            mesh.signal("one-1", signal.SIGSTOP)
        begin = time.monotonic()
        fields, _ = await curl(mesh, TRANSFORM, first, headers=("grpc-timeout: 300m",))
        assert "grpc-status: 4" in fields
        # A provider that sees to the deadline itself is given a moment to; one that is stopped does not.
        assert 0.25 < time.monotonic() - begin < 2.5
        mesh.signal("one-1", signal.SIGCONT)
        # One that is stopped for longer is taken for lost, and registers again.
        async with asyncio.timeout(15):
            while "grpc-status: 0" not in (await curl(mesh, GET_MODEL, WORDS.SerializeToString()))[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


async def test_what_is_no_grpc_is_answered_and_not_dropped(mesh):
    require("curl")
    url = f"http://{mesh.public}/"
    over_http2 = await run("curl", "--http2-prior-knowledge", "-sS", "-m", "10", "-D", "-", "-o", "/dev/null", url)
    assert over_http2.code == 0, over_http2.err
    assert over_http2.out.startswith("HTTP/2 ")


# nghttp and h2load


async def test_nghttp_sees_trailers(mesh):
    require("nghttp")
    path = body(mesh.folder, WORDS.SerializeToString())
    for extra in ((), ("-b", "64"), ("-w", "8"), ("-W", "10"), ("--no-dep",), ("-m", "20"), ("--hexdump",)):
        options = ("-v", "-d", path, "-H", ":method: POST", *with_headers("-H"), *extra)
        done = await run("nghttp", *options, f"http://{mesh.public}{GET_MODEL}")
        assert done.code == 0, done.err
        assert re.search(r"recv \(stream_id=\d+\) grpc-status: 0", done.out), done.out
        assert "error_code" not in done.out.replace("error_code=NO_ERROR", ""), done.out


@pytest.mark.parametrize("size", [0, 2_000_000])
async def test_nghttp_sends_a_large_body(mesh, size):
    require("nghttp")
    pieces = [header(model="words"), *([chunk(bytes(1_000_000))] * (size // 1_000_000))]
    path = body(mesh.folder, *(one.SerializeToString() for one in pieces))
    options = ("-v", "-n", "-d", path, "-H", ":method: POST", *with_headers("-H"))
    done = await run("nghttp", *options, f"http://{mesh.public}{TRANSFORM}")
    assert done.code == 0, done.err
    assert "grpc-status: 0" in done.out


@pytest.mark.parametrize(
    ("method", "message", "headers"),
    [(DISCOVERY, b"", ()), (GET_MODEL, WORDS.SerializeToString(), ()), (GET_MODEL, WORDS.SerializeToString(), ROUTED)],
    ids=["discovery", "target in the message", "target in metadata"],
)
@pytest.mark.parametrize(("connections", "streams"), [(1, 1), (4, 32), (32, 4)])
async def test_h2load_has_no_failed_request(mesh, method, message, headers, connections, streams):
    require("h2load")
    count = 1000
    options = ("-n", count, "-c", connections, "-m", streams, "-d", body(mesh.folder, message))
    done = await run("h2load", *options, *with_headers("-H", *headers), f"http://{mesh.public}{method}")
    assert done.code == 0, done.err
    summary = (
        f"requests: {count} total, {count} started, {count} done, {count} succeeded, 0 failed, 0 errored, 0 timeout"
    )
    assert summary in done.out, done.out
    assert f"status codes: {count} 2xx" in done.out, done.out


# buf


async def buf(mesh, method, *messages, options=()):
    arguments = ("--protocol", "grpc", "--http2-prior-knowledge", "-d", "\n".join(map(json.dumps, messages)))
    return await run(BUF, "curl", *arguments, *options, f"http://{mesh.public}{method}")


def documents(text):
    """Read one JSON document after another."""
    decoder, found = json.JSONDecoder(), []
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


@pytest.mark.parametrize("options", [(), ("--schema", ROOT / "proto")], ids=["by reflection", "by the protos"])
async def test_buf_makes_calls_of_all_kinds(mesh, options):
    target, asked = {"model": "words"}, {"request_id": "r1", "model_options": {"do": "echo"}}
    one = await buf(mesh, GET_MODEL, {"target": target}, options=options)
    assert json.loads(one.out)["model"]["id"] == "one-1", one.err
    many = await buf(mesh, GENERATE, {"target": target, "header": asked}, options=options)
    [event] = documents(many.out)
    assert json.loads(event["event"]["progress"]["message"])["request_id"] == "r1"
    chunks = [{"chunk": {"data": "eHl6"}}] * 3
    both = await buf(mesh, TRANSFORM, {"target": target, "header": asked}, *chunks, options=options)
    events = [one["event"] for one in documents(both.out)]
    assert [event["outputChunk"]["data"] for event in events if "outputChunk" in event] == ["eHl6"] * 3, both.err
    assert "finished" in events[-1]


async def test_buf_shows_code_words_and_details(mesh):
    done = await buf(mesh, GET_MODEL, {"target": {"model": "none"}}, options=("--schema", ROOT / "proto"))
    assert done.code != 0
    error = json.loads(done.err)
    assert error["code"] == "not_found"
    assert "none" in error["message"]
    [info] = [one["value"] for one in error["details"] if one["type"] == "google.rpc.ErrorInfo"]
    assert error_details_pb2.ErrorInfo.FromString(b64decode(info + "==")).reason == "MODEL_UNKNOWN"


async def test_all_of_them_at_once_disturb_nobody(mesh):
    require("curl", "h2load")
    path = body(mesh.folder, WORDS.SerializeToString())
    load = run(
        "h2load", "-n", 2000, "-c", 8, "-m", 16, "-d", path, *with_headers("-H"), f"http://{mesh.public}{GET_MODEL}"
    )
    loading = asyncio.create_task(load)
    for _ in range(10):
        done = await buf(mesh, GET_MODEL, {"target": {"model": "words"}}, options=("--schema", ROOT / "proto"))
        assert json.loads(done.out)["model"]["id"] == "one-1", done.err
    assert "2000 succeeded, 0 failed" in (await loading).out


def test_a_framed_body_is_what_grpc_sends():
    assert framed(b"ab", b"") == b"\0\0\0\0\2ab\0\0\0\0\0"
