"""What OpenAI's own SDK makes of the stand-in's pictures, speech and transcripts."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.media import SENTENCE
from tests.vendors.http import FakeServer
from tests.vendors.judging import told
from tests.vendors.made import SHELF
from tests.vendors.openai import OpenAI
from tests.vendors.openai_media import DIARIZES, REFUSED, picture, spoken
from tests.vendors.said import KEY

SQUARE = "1024x1024"


async def judged(*asked, size=0, key=KEY):
    fake = OpenAI()
    server = FakeServer(fake.handle)
    server.piece_bytes = size
    async with server.serving():
        said = await told("openai", server.url + "/v1", [list(one) for one in asked], key, program="openai_media")
    return fake, [said[" ".join(map(str, one))] for one in asked]


def digest(data):
    return hashlib.sha256(data).hexdigest()


async def test_pictures_are_made_and_changed():
    fake, (made, changed) = await judged(
        ("paint", "gpt-image-2", "1280x720"), ("edit", "gpt-image-2", str(SHELF.picture_png()))
    )
    assert made["sha256"] == [digest(picture("1280x720", "png", number)) for number in (0, 1)]
    assert made["usage"] == [14, 272]
    assert changed["sha256"] == [digest(picture(SQUARE, "png", 0))]
    (form,) = fake.media.forms
    assert [one.field for one in form.files] == ["image[]", "image[]"]


@pytest.mark.parametrize("size", [777, 65536])
async def test_speech_comes_in_every_form(size):
    forms = ("mp3", "opus", "aac", "flac", "pcm")
    _, found = await judged(*(("speak", "gpt-4o-mini-tts", "coral", form) for form in forms), size=size)
    assert [one["sha256"] for one in found] == [digest(spoken("Hello there", form)) for form in forms]


async def test_speech_is_written_down_whole_and_as_a_stream():
    path = str(SHELF.speech_wav())
    _, (whole, english, stream, people) = await judged(
        ("hear", "whisper-1", path),
        ("translate", "whisper-1", path),
        ("follow", "gpt-transcribe", path),
        ("follow", DIARIZES, path),
    )
    assert (whole["text"], whole["language"], whole["words"][1]) == (SENTENCE, "english", ["quick", 0.25])
    assert len(whole["segments"]) == 2
    assert english["text"] == SENTENCE
    assert ("".join(stream["pieces"]), stream["text"], stream["usage"]) == (SENTENCE, SENTENCE, [55, 20])
    assert [speaker for speaker, _ in people["segments"]] == ["A", "B"]


async def test_what_breaks_off_is_an_error_there_too():
    path = str(SHELF.speech_wav())
    _, (picture_cut, speech_cut, fault) = await judged(
        ("paint", "gpt-image-cut", SQUARE), ("speak", "tts-cut", "alloy", "mp3"), ("follow", "transcribe-fault", path)
    )
    assert picture_cut["error"] == "APIConnectionError"
    assert speech_cut["error"] == "RemoteProtocolError"
    assert fault["error"] == "APIError"


async def test_every_refusal():
    asked = [("paint", f"gpt-image-{name}", SQUARE) for name in REFUSED]
    fake, found = await judged(*asked, ("paint", "dall-e-3", SQUARE), ("speak", "tts-1", "nobody", "mp3"))
    *refused, retired, voice = found
    for (name, (status, body)), said in zip(REFUSED.items(), refused, strict=True):
        assert (said["status"], said["code"]) == (status, body["error"]["code"]), name
    assert (retired["error"], retired["status"]) == ("BadRequestError", 400)
    assert (voice["error"], voice["status"]) == ("BadRequestError", 400)
    assert not fake.media.paid


async def test_a_key_that_is_refused():
    _, (said,) = await judged(("paint", "gpt-image-2", SQUARE), key="sk-wrong-0123456789abcdef")
    assert (said["error"], said["status"]) == ("AuthenticationError", 401)
