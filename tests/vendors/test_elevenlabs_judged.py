"""What ElevenLabs' own SDK makes of the stand-in for ElevenLabs."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.media import SENTENCE
from tests.vendors.elevenlabs import HEARD_SECONDS, RACHEL, REFUSED, ElevenLabs, effect, spoken
from tests.vendors.http import FakeServer
from tests.vendors.judging import told
from tests.vendors.made import SHELF
from tests.vendors.said import KEY

MP3 = "mp3_44100_128"


async def judged(*asked, fake=None, key=KEY, size=0):
    fake = fake or ElevenLabs()
    server = FakeServer(fake.handle)
    server.piece_bytes = size
    async with server.serving():
        said = await told("elevenlabs", server.url, [list(one) for one in asked], key)
    return fake, [said[" ".join(map(str, one))] for one in asked]


@pytest.mark.parametrize("size", [777, 65536])
async def test_speech_and_sounds_come_as_streams_in_every_form(size):
    forms = (MP3, "pcm_16000", "opus_48000_64")
    asked = [("speak", RACHEL, "eleven_multilingual_v2", form) for form in forms]
    fake, (*speeches, sound) = await judged(*asked, ("effect", "eleven_text_to_sound_v2"), size=size)
    for form, said in zip(forms, speeches, strict=True):
        assert said["sha256"] == hashlib.sha256(spoken("Hello there", form)).hexdigest(), said
    assert sound["sha256"] == hashlib.sha256(effect(1.0, MP3)).hexdigest()
    assert len(fake.paid) == 4


async def test_speech_that_breaks_off_is_an_error_there_too():
    _, (cut, nothing) = await judged(("speak", RACHEL, "cut", MP3), ("speak", RACHEL, "nothing", MP3))
    assert cut["error"] == "RemoteProtocolError"
    assert cut["bytes"] > 0
    assert nothing["bytes"] == 0


async def test_words_have_times_and_speakers():
    _, (said,) = await judged(("hear", "scribe_v2", str(SHELF.speech_wav())))
    assert (said["text"], said["language"], said["seconds"]) == (SENTENCE, "eng", HEARD_SECONDS)
    assert said["words"][0] == ["the", 0.0, 0.2, "word", "speaker_0"]
    assert {one[3] for one in said["words"]} == {"word", "spacing"}
    assert said["words"][-1][4] == "speaker_1"


async def test_voices_are_listed_in_pages_made_and_removed():
    fake = ElevenLabs()
    _, (one_by_one, clone, models) = await judged(
        ("voices", 1), ("clone", "Mine", str(SHELF.speech_wav())), ("models",), fake=fake
    )
    assert one_by_one["names"] == ["Rachel", "George - warm"]
    assert (clone["name"], clone["category"], clone["labels"]) == ("Mine", "cloned", {"accent": "plain"})
    assert (clone["description"], clone["removed"], clone["status"]) == ("mine", "ok", 404)
    assert ["eleven_english_sts_v2", False] in models["ids"]
    assert [one.media_type for one in fake.added[0].files] == ["audio/x-wav"]


async def test_every_refusal():
    asked = [("speak", RACHEL, name, MP3) for name in REFUSED]
    fake, found = await judged(*asked, ("speak", "nobody", "eleven_v3", MP3), ("speak", RACHEL, "html-502", MP3))
    *refused, nobody, gateway = found
    for (name, (status, body)), said in zip(REFUSED.items(), refused, strict=True):
        assert said["status"] == status, (name, said)
        assert said["error"] == ("UnprocessableEntityError" if status == 422 else "ApiError")
        assert said["detail"] == body["detail"]
    assert nobody["status"] == 404
    assert gateway["status"] == 502
    assert [model for model, _ in fake.paid] == ["html-502"]


async def test_a_room_that_is_full_and_a_key_that_is_refused():
    _, (full,) = await judged(("clone", "Mine", str(SHELF.speech_wav())), fake=ElevenLabs(room=0))
    assert full["detail"]["status"] == "voice_limit_reached"
    _, (key,) = await judged(("models",), key="sk-wrong-0123456789abcdef")
    assert (key["status"], key["detail"]["status"]) == (401, "invalid_api_key")
