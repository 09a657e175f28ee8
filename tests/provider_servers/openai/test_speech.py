"""Text in, speech out, by the stand-in for OpenAI."""

from __future__ import annotations

import pytest

from automarket.assets.formats import detect
from automarket.errors import (
    BackendFailed,
    CreditExhausted,
    InputTooLarge,
    ModelUnknown,
    OptionInvalid,
    OptionUnknown,
    ProviderNotConfigured,
    RateLimited,
    VendorOverloaded,
)
from automarket.media.info import AudioFormat
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from tests.provider_servers.asked import ask
from tests.support.gateway import until
from tests.vendors.openai_media import REQUEST_ID, spoken

TTS, MODEL = "text-to-speech", "gpt-4o-mini-tts"
HELLO = ("text", "Hello there")


async def say(served, model=MODEL, **options):
    return await ask(served, model, HELLO, capability=TTS, **options)


async def test_speech_comes_as_the_vendor_sends_it(openai):
    served, media, server = openai
    said = await say(served, voice="coral", speed=1.5, instructions="calmly")
    assert said.error is None
    assert said.output == spoken(HELLO[1], "mp3")
    assert len(said.arrived) > 1
    assert (said.usage[0].unit, said.usage[0].input_units) == ("character", len(HELLO[1]))
    assert said.finished[0].generated_media.vendor_request_id == REQUEST_ID
    assert server.posts[-1].json == {
        "model": MODEL,
        "input": HELLO[1],
        "voice": "coral",
        "speed": 1.5,
        "response_format": "mp3",
        "instructions": "calmly",
    }
    assert len(media.paid) == 1


@pytest.mark.parametrize(
    ("form", "asked", "container", "rate", "channels"),
    [
        (AudioFormat("mp3"), "mp3", "mp3", 24_000, 1),
        (AudioFormat("opus"), "opus", "opus", 48_000, 1),
        (AudioFormat("aac"), "aac", "aac", 24_000, 1),
        (AudioFormat("flac"), "flac", "flac", 24_000, 1),
        (AudioFormat("wav"), "pcm", "wav", 24_000, 1),
        (AudioFormat("wav", 16_000, 2), "pcm", "wav", 16_000, 2),
        (AudioFormat("mp3", 44_100), "pcm", "mp3", 44_100, 1),
        (AudioFormat("s16le"), "pcm", "", 24_000, 1),
    ],
)
async def test_every_form_is_the_vendors_own_or_made_from_its_samples(openai, form, asked, container, rate, channels):
    served, _, server = openai
    said = await say(served, format=form)
    assert said.error is None
    assert server.posts[-1].json["response_format"] == asked
    found = detect(said.output)
    assert (found.name if found and container else "") == container
    assert (said.media.audio.sample_rate_hertz, said.media.audio.channels) == (rate, channels)


async def test_voices_are_listed_and_ones_own_go_by_id(openai):
    served, _, server = openai
    listed = (await MediaProviderServiceStub(served.channel).ListVoices(pb.ListVoicesRequest())).voices
    assert {"alloy", "coral"} <= {one.id for one in listed}
    await say(served, voice="voice_1234")
    assert server.posts[-1].json["voice"] == {"id": "voice_1234"}


@pytest.mark.parametrize(
    ("model", "options", "error", "field"),
    [
        (MODEL, {"speed": 9}, OptionInvalid, "header.text_to_speech.speed"),
        (MODEL, {"language": "de"}, OptionUnknown, "header.text_to_speech.language"),
        ("tts-1", {"instructions": "calm"}, OptionUnknown, "header.model_options.instructions"),
        (MODEL, {"voice": "nobody"}, OptionInvalid, "header.text_to_speech.voice"),
    ],
)
async def test_options_are_refused_by_field(openai, model, options, error, field):
    served, media, _ = openai
    said = await say(served, model, **options)
    assert isinstance(said.error, error)
    assert field in said.error.fields, said.error.fields
    assert not media.paid


async def test_a_text_that_is_too_long_is_never_sent(openai):
    served, _, server = openai
    said = await ask(served, MODEL, ("text", "x" * 4097), capability=TTS)
    assert isinstance(said.error, InputTooLarge)
    assert not server.posts


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("key", ProviderNotConfigured),
        ("none", ModelUnknown),
        ("rate", RateLimited),
        ("quota", CreditExhausted),
        ("failed", BackendFailed),
        ("overloaded", VendorOverloaded),
        ("cut", BackendFailed),
        ("nothing", BackendFailed),
        ("page", BackendFailed),
        ("html", BackendFailed),
        ("never", BackendFailed),
    ],
)
async def test_every_error_has_its_class(openai, name, error):
    served, _, _ = openai
    said = await say(served, f"tts-{name}")
    assert type(said.error) is error, said.error
    assert not said.finished


async def test_a_cancel_closes_the_vendors_connection_at_once(openai):
    served, _, server = openai
    for number in range(25):
        said = await say(served, "tts-slow", until="output_chunk")
        assert said.error is None
        await until(lambda wanted=number + 1: len(server.dropped) == wanted, what="the connection is closed")
