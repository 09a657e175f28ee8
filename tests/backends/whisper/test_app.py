"""The stand-in answers as whisper-asr-webservice does."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from tests.backends.whisper.running import running_whisper
from tests.backends.whisper.written import clock, written
from tests.support.media import SENTENCE
from tests.support.require import require
from tests.support.words import word_error_rate

SECOND = 32_000

# As the real one describes itself, with ASR_ENGINE=faster_whisper: default by parameter, and whether it is a choice.
PARAMETERS = {
    "encode": (True, 0),
    "task": ("transcribe", 2),
    "language": (None, 100),
    "initial_prompt": (None, 0),
    "vad_filter": (False, 0),
    "word_timestamps": (False, 0),
    "output": ("txt", 5),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    require("pocketsphinx")
    with running_whisper(tmp_path_factory.mktemp("whisper")) as backend:
        yield backend.url


@pytest.fixture
async def http(url):
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
def sound(media):
    return media.speech_wav().read_bytes()[44 : 44 + 3 * SECOND] + bytes(SECOND)


async def ask(http, sound, path="/asr", name="my clip.s16le", **query):
    return await http.post(path, params={"encode": "false"} | query, files={"audio_file": (name, sound)})


async def test_it_describes_itself_as_the_real_one(http):
    schema = (await http.get("/openapi.json")).json()
    assert set(schema["paths"]) == {"/asr", "/detect-language"}
    given = {one["name"]: one["schema"] for one in schema["paths"]["/asr"]["post"]["parameters"]}
    assert {name: (one.get("default"), len(one.get("enum", ()))) for name, one in given.items()} == PARAMETERS
    assert given["output"]["enum"] == ["txt", "vtt", "srt", "tsv", "json"]
    assert "multipart/form-data" in schema["paths"]["/asr"]["post"]["requestBody"]["content"]
    assert (await http.get("/health")).status_code == 404
    assert (await http.get("/")).status_code == 307


async def test_every_output_is_plain_text(http, sound):
    answers = {output: await ask(http, sound, output=output) for output in ("txt", "vtt", "srt", "tsv", "json")}
    for output, answer in answers.items():
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["asr-engine"] == "faster_whisper"
        assert answer.headers["content-disposition"] == f'attachment; filename="my%20clip.s16le.{output}"'
    said = json.loads(answers["json"].text)
    assert set(said) == {"language", "segments", "text"}
    assert set(said["segments"][0]) == {
        *("id", "seek", "start", "end", "text", "tokens", "avg_logprob"),
        *("compression_ratio", "no_speech_prob", "words", "temperature"),
    }
    assert said["segments"][0]["words"] is None
    assert said["segments"][0]["text"].startswith(" ")
    for output in ("txt", "vtt", "srt", "tsv"):
        assert answers[output].text == written(output, "en", said["segments"])


async def test_words_come_when_asked_for(http, sound):
    said = json.loads((await ask(http, sound, output="json", word_timestamps="true")).text)
    [first, *_] = said["segments"][0]["words"]
    assert set(first) == {"start", "end", "word", "probability"}


@pytest.mark.parametrize("shape", ["arrays", "older"])
async def test_segments_can_be_arrays(http, sound, shape):
    await http.post("/test/segments", params={"shape": shape})
    try:
        said = json.loads((await ask(http, sound, output="json", word_timestamps="true")).text)
    finally:
        await http.post("/test/segments", params={"shape": "objects"})
    row = said["segments"][0]
    assert len(row) == 11
    assert isinstance(row[9], list) is (shape == "arrays")


async def test_it_tells_the_language(http, sound):
    answer = await ask(http, sound, "/detect-language")
    said = answer.json()
    assert (said["detected_language"], said["language_code"]) == ("english", "en")
    assert 0 < said["confidence"] <= 1


async def test_what_is_missing_or_no_boolean_is_422(http, sound):
    missing = await http.post("/asr")
    fault = {"type": "missing", "loc": ["body", "audio_file"], "msg": "Field required", "input": None}
    assert (missing.status_code, missing.json()) == (422, {"detail": [fault]})
    wrong = await ask(http, sound, word_timestamps="perhaps")
    assert (wrong.status_code, wrong.json()["detail"][0]["type"]) == (422, "bool_parsing")


@pytest.mark.parametrize("query", [{"language": "xx"}, {"encode": "true"}])
async def test_a_failure_is_500_without_a_reason(http, query):
    if "encode" in query:
        require("ffmpeg")
    answer = await ask(http, b"no sound", **query)
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_whatever_ffmpeg_reads_is_heard(http, media):
    require("ffmpeg")
    answer = await ask(http, media.talk_faststart_mp4().read_bytes(), encode="true")
    assert word_error_rate(SENTENCE, answer.text) < 0.25


async def test_nothing_else_is_answered_while_it_works(http, sound):
    working = asyncio.create_task(ask(http, sound))
    waits = []
    while not working.done():
        begin = time.monotonic()
        assert (await http.get("/openapi.json")).status_code == 200
        waits.append(time.monotonic() - begin)
    assert max(waits) > 0.2
    await working


def test_hours_are_written_when_needed():
    assert (clock(2.9, "."), clock(2.9, ",", 1), clock(3661.0405, ".")) == ("00:02.900", "00:00:02,900", "01:01:01.040")
