"""The typed models against the real providers, each in its process, through the real gateway and store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import automarket
from automarket import AudioFormat, Fallback, ImageFormat, Overlay, Text
from automarket.client import events as e
from automarket.errors import InputUnsuitable, MediaInvalid, OptionInvalid
from tests.client.conftest import running_gateway, until_complete
from tests.support.media import SENTENCE
from tests.support.require import require
from tests.support.words import word_error_rate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PROVIDERS = ("pocketsphinx", "flite", "ffmpeg", "tests.client.authors:Summariser")


@pytest.fixture(scope="module")
def real() -> Iterator[str]:
    require("ffmpeg", "flite", "pocketsphinx")
    with running_gateway(*PROVIDERS) as running:
        yield running.address


@pytest.fixture
async def mesh(real) -> AsyncIterator[automarket.Mesh]:
    await until_complete(real, {"pocketsphinx", "flite", "ffmpeg", "summariser"})
    async with automarket.connect(real) as mesh:
        yield mesh


async def test_a_film_becomes_words_with_times(mesh, media):
    stt = await mesh.provider("pocketsphinx").speech_to_text("en-us")
    stream = stt.stream(media.talk_mp4(), word_timestamps=True)
    segments = [event async for event in stream if isinstance(event, e.Segment)]
    text = await stream.result()
    assert word_error_rate(SENTENCE, text.content) < 0.25
    assert text.metadata.provider == "pocketsphinx"
    assert segments[0].words[0].end > segments[0].words[0].start
    assert [cast.cached for cast in stream.report.casts] == [False]
    assert {stage.stage for stage in stream.report.stages} >= {"running"}
    again = stt.stream(media.talk_mp4())
    assert (await again.result()).content == text.content
    assert [cast.cached for cast in again.report.casts] == [True]
    assert [upload.sent_bytes for upload in again.report.uploads] == [0]


async def test_live_sound_becomes_words_while_it_comes(mesh, media):
    async def microphone() -> AsyncIterator[bytes]:
        data = media.speech_wav().read_bytes()
        for start in range(0, len(data), 3200):
            yield data[start : start + 3200]

    text = await mesh.transform(microphone(), capability="speech-to-text")
    assert word_error_rate(SENTENCE, text.content) < 0.25


async def test_what_was_spoken_is_heard(mesh):
    tts = await mesh.provider("flite").text_to_speech()
    speech = await tts.transform(SENTENCE, format=AudioFormat("wav", 16000, 1))
    assert speech.media_info.audio.sample_rate == 16000
    assert speech.duration > 2
    heard = await mesh.transform(speech, capability="speech-to-text")
    assert isinstance(heard, Text)
    assert word_error_rate(SENTENCE, heard.content) < 0.25


async def test_the_sound_of_a_film_is_cut_and_converted(mesh, media):
    taken = await (await mesh.provider("ffmpeg").video_to_audio()).transform(media.talk_mp4(), start=0.5, duration=1)
    assert taken.duration == pytest.approx(1, abs=0.1)
    made = await (await mesh.provider("ffmpeg").audio_to_audio()).transform(taken, format=AudioFormat("flac", 8000, 1))
    assert (made.format.name, made.media_info.audio.sample_rate) == ("flac", 8000)


async def test_pictures_are_taken_at_the_moments_that_were_named(mesh, media):
    model = await mesh.provider("ffmpeg").video_to_image()
    images = await model.transform(media.talk_mp4(), times=[0, 0.5, 1], format=ImageFormat("png", max_width=160))
    assert [image.size for image in images] == [(160, 90)] * 3


async def test_a_picture_is_laid_over_a_film(mesh, media):
    model = await mesh.provider("ffmpeg").video_composition()
    overlay = Overlay(position="top-right", width=64, start=0.5, duration=1, opacity=0.5)
    result = await model.transform(media.silent_mp4(), media.picture_png(), overlays=[overlay])
    assert result.video.size == (320, 180)
    assert result.facts["aspect_ratio"] == "16:9"
    (placed,) = result.facts["overlay_info"]["overlays"]
    assert placed["final_size"] == {"width": 64, "height": 36}
    assert (placed["start_time"], placed["duration"]) == (0.5, 1.0)


async def test_text_that_an_author_gives_in_the_end_goes_before_what_was_streamed(mesh):
    model = await mesh.provider("summariser").model()
    text = await model.transform("one two three")
    assert isinstance(text, Text)
    assert (text.content, text.language) == ("The whole text.", "en")


async def test_a_fallback_is_used_where_the_first_choice_is_not_there(mesh):
    fallbacks = [Fallback(provider="nobody-either"), Fallback(provider="flite")]
    stream = mesh.stream("hello", capability="text-to-speech", provider="nobody", fallbacks=fallbacks)
    await stream.result()
    assert stream.report.accepted.provider_id == "flite"


@pytest.mark.parametrize(
    ("capability", "options", "error", "words"),
    [
        ("text-to-speech", {"speed": 100}, OptionInvalid, "speed"),
        ("text-to-speech", {"voice": "nobody"}, OptionInvalid, "voice"),
    ],
)
async def test_options_out_of_range_name_the_field(mesh, capability, options, error, words):
    with pytest.raises(error, match=words) as caught:
        await mesh.transform("hello", capability=capability, **options)
    assert any(words in field for field in caught.value.fields)


async def test_bad_media_is_refused_with_what_was_needed(mesh, media, tmp_path):
    with pytest.raises(InputUnsuitable, match="speech"):
        await mesh.transform(media.silent_mp4(), capability="speech-to-text")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(media.talk_mp4().read_bytes()[:20_000])
    with pytest.raises(MediaInvalid):
        await mesh.transform(cut, capability="speech-to-text")
