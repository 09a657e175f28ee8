"""The API client against the stand-in, and against whatever else may answer."""

from __future__ import annotations

import asyncio
import json
import socket
import tracemalloc
from urllib.parse import parse_qs

import httpx
import pytest

from automarket.errors import BackendFailed, InputIncomplete, OptionInvalid
from provider_servers.runtime.http.backend import make_http
from provider_servers.whisper.client import Asking, WhisperClient, is_ready
from tests.support.media import SENTENCE
from tests.support.mesh import free_port
from tests.support.words import word_error_rate

SECOND = 32_000
ANSWER = {"language": "en", "segments": [], "text": ""}


@pytest.fixture
async def http():
    async with make_http() as http:
        yield http


@pytest.fixture
def client(backend, http):
    return WhisperClient(backend.url, http)


@pytest.fixture
def sound(media):
    return media.speech_wav().read_bytes()[44:]


class Fake:
    """Answers every request alike, and keeps what it was asked."""

    def __init__(self, status=200, body=None, headers=None, error=None):
        self.status, self.headers, self.error = status, headers, error
        self.body = json.dumps(ANSWER) if body is None else body
        self.requests = []

    async def handle(self, request):
        await request.aread()
        self.requests.append(request)
        if self.error:
            raise self.error
        return httpx.Response(self.status, text=self.body, headers=self.headers)

    def client(self):
        return WhisperClient("http://whisper:9000/", make_http(httpx.MockTransport(self.handle)))

    def query(self):
        return {name: value for name, [value] in parse_qs(self.requests[-1].url.query.decode()).items()}


async def test_speech_becomes_segments_with_words(client, sound):
    out = []
    heard = await client.transcribe(sound, Asking(word_timestamps=True), sent=lambda: out.append(True))
    assert out == [True]
    assert heard.language == "en"
    assert word_error_rate(SENTENCE, "".join(one.text for one in heard.segments)) < 0.25
    first = heard.segments[0]
    assert [word.text for word in first.words] == first.text.split()
    assert 0 <= first.words[0].start < first.words[0].end <= first.end
    assert 0 < first.confidence <= 1


async def test_sound_in_a_file_is_heard_as_sound_in_memory(client, sound, tmp_path):
    short = sound[: 2 * SECOND]
    path = tmp_path / "sound"
    path.write_bytes(short)
    assert await client.transcribe(path, Asking()) == await client.transcribe(short, Asking())


@pytest.mark.parametrize("shape", ["arrays", "older"])
async def test_builds_that_write_arrays_are_understood(client, backend, http, sound, shape):
    short, asking = sound[: 2 * SECOND], Asking(word_timestamps=True)
    wanted = await client.transcribe(short, asking)
    await http.post(f"{backend.url}/test/segments", params={"shape": shape})
    try:
        assert await client.transcribe(short, asking) == wanted
    finally:
        await http.post(f"{backend.url}/test/segments", params={"shape": "objects"})


async def test_the_backend_writes_transcripts_too(client, sound):
    assert (await client.write(sound[: 2 * SECOND], Asking(), "srt")).startswith("1\n00:00:00,")


async def test_the_language_is_told(client, sound):
    found = await client.detect_language(sound[: 2 * SECOND])
    assert (found.code, found.name) == ("en", "english")
    assert 0 < found.confidence <= 1


async def test_a_failure_says_where_its_reason_is(client):
    with pytest.raises(BackendFailed, match="500: Internal Server Error") as caught:
        await client.transcribe(bytes(SECOND), Asking(language="xx"))
    assert "log" in caught.value.hint
    assert caught.value.metadata["upstream_code"] == "500"


async def test_what_is_refused_is_named(client):
    class Odd(Asking):
        def query(self, output):
            return super().query(output) | {"word_timestamps": "perhaps"}

    with pytest.raises(OptionInvalid, match="word_timestamps") as caught:
        await client.transcribe(bytes(100), Odd())
    assert list(caught.value.fields) == ["header.model_options.word_timestamps"]
    missing = json.dumps({"detail": [{"loc": ["body", "audio_file"], "msg": "Field required", "type": "missing"}]})
    with pytest.raises(InputIncomplete):
        await Fake(422, missing).client().transcribe(b"", Asking())


async def test_readiness_is_an_answer_in_time(backend, http):
    assert await is_ready(backend.url, http)
    assert await is_ready(backend.url)
    backend.misbehave(never_healthy=True)
    assert not await is_ready(backend.url, http)
    assert not await is_ready(f"http://127.0.0.1:{free_port()}", http)


@pytest.mark.parametrize("body", ["", "<html>", "[]", "null", "{}", '{"paths": {"/v1": {}}}'])
async def test_another_server_is_not_ready(body):
    assert not await is_ready("http://whisper:9000", make_http(httpx.MockTransport(Fake(body=body).handle)))


async def test_one_that_does_not_answer_is_not_ready(http):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with asyncio.timeout(4):
            assert not await is_ready(f"http://127.0.0.1:{silent.getsockname()[1]}", http)


async def test_options_go_into_the_query_and_what_is_not_said_does_not():
    fake = Fake()
    await fake.client().transcribe(b"12", Asking())
    assert fake.query() == {"task": "transcribe", "output": "json", "encode": "false"}
    asked = Asking("de", True, True, "Ada Lovelace & co", True, True, 1, 3)
    await fake.client().transcribe(b"12", asked)
    assert fake.query() == {
        "task": "translate",
        "language": "de",
        "initial_prompt": "Ada Lovelace & co",
        "word_timestamps": "true",
        "vad_filter": "true",
        "diarize": "true",
        "min_speakers": "1",
        "max_speakers": "3",
        "output": "json",
        "encode": "false",
    }
    assert fake.requests[0].url.path == "/asr"
    body = fake.requests[0].content
    assert b'name="audio_file"' in body
    assert body.count(b"12") >= 1
    assert int(fake.requests[0].headers["content-length"]) == len(body)


@pytest.mark.parametrize(
    "body",
    ["", "hello there", "[]", "{}", '{"segments": 3}', '{"segments": [[1, 2]]}', '{"segments": [{"start": 1}]}'],
)
async def test_an_answer_that_is_no_transcript_is_an_error(body):
    with pytest.raises(BackendFailed):
        await Fake(body=body).client().transcribe(b"12", Asking())
    with pytest.raises(BackendFailed):
        await Fake(body=body).client().detect_language(b"12")


@pytest.mark.parametrize("status", [302, 404, 405, 413, 422, 500, 502, 503])
async def test_every_other_status_is_an_error(status):
    with pytest.raises(BackendFailed) as caught:
        await Fake(status, "no", {"retry-after": "3"}).client().transcribe(b"12", Asking())
    assert caught.value.metadata["upstream_code"] == str(status)
    assert caught.value.retry_after in (3, None)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout(""),
        httpx.ReadError(""),
        httpx.WriteError("broken pipe"),
        httpx.RemoteProtocolError("peer closed connection"),
        httpx.ReadTimeout(""),
        httpx.DecodingError("bad gzip"),
    ],
)
async def test_every_fault_of_the_connection_is_an_error_of_ours(error):
    with pytest.raises(BackendFailed) as caught:
        await Fake(error=error).client().transcribe(b"12", Asking())
    assert caught.value.__cause__ is error
    assert caught.value.message.strip().endswith(tuple("abcdefghijklmnopqrstuvwxyzT0123456789"))


async def test_half_an_answer_is_an_error(client, backend, sound):
    backend.misbehave(half=True)
    with pytest.raises(BackendFailed, match="broke"):
        await client.transcribe(sound[: 2 * SECOND], Asking())


async def test_garbage_is_an_error(client, backend):
    backend.misbehave(garbage=True)
    with pytest.raises(BackendFailed, match="no transcript"):
        await client.transcribe(bytes(SECOND), Asking())


async def test_a_backend_that_is_not_there_is_an_error(http):
    with pytest.raises(BackendFailed, match="nothing answers"):
        await WhisperClient(f"http://127.0.0.1:{free_port()}", http).transcribe(b"12", Asking())


async def test_a_proxy_of_the_environment_is_not_used(client, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert (await client.transcribe(bytes(SECOND), Asking())).segments == ()


async def test_a_large_file_goes_out_in_pieces(tmp_path, http):
    path, size = tmp_path / "large", 64 * 1024 * 1024
    with path.open("wb") as file:
        file.truncate(size)
    received = 0

    async def take(reader, writer):
        nonlocal received
        while b"\r\n\r\n" not in (head := await reader.readuntil(b"\r\n\r\n")):
            pass
        [length] = [int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while received < length:
            received += len(await reader.read(256 * 1024))
        body = json.dumps(ANSWER).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        client = WhisperClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", http)
        tracemalloc.start()
        try:
            await client.transcribe(path, Asking())
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert received > size
    assert most < 8 * 1024 * 1024
