"""Text in, speech out, by the stand-in for ElevenLabs."""

from __future__ import annotations

import asyncio
import time

import pytest

from automarket.assets.formats import detect
from automarket.errors import (
    BackendFailed,
    ContentRefused,
    CreditExhausted,
    InputTooLarge,
    InvalidRequestError,
    ModelUnknown,
    OptionInvalid,
    OptionUnknown,
    ProviderNotConfigured,
    RateLimited,
    VendorOverloaded,
)
from automarket.media.info import AudioFormat
from tests.provider_servers.asked import ask
from tests.provider_servers.elevenlabs.conftest import speaking
from tests.support.gateway import until
from tests.vendors.elevenlabs import GEORGE, RACHEL, REFUSED, REQUEST_ID, ElevenLabs, spoken

TTS = "text-to-speech"
MODEL = "eleven_multilingual_v2"
HELLO = ("text", "Hello there")


async def say(served, model=MODEL, *inputs, **options):
    return await ask(served, model, HELLO, *inputs, capability=TTS, **options)


def sent(server):
    return server.posts[-1]


async def test_speech_comes_as_the_vendor_sends_it_with_what_it_cost(eleven):
    served, fake, server = eleven
    heard = await say(served, voice=RACHEL)
    assert heard.error is None
    assert heard.output == spoken(HELLO[1], "mp3_44100_128")
    assert (heard.types, heard.media.audio.codec) == (["audio/mpeg"], "mp3")
    (used,) = heard.usage
    assert (used.unit, used.input_units, used.HasField("cost")) == ("character", len(HELLO[1]), False)
    assert heard.finished[0].generated_media.vendor_request_id == REQUEST_ID
    assert heard.kinds.index("usage") < heard.kinds.index("output_started")
    assert sent(server).query == {"output_format": "mp3_44100_128"}
    assert sent(server).json == {"text": HELLO[1], "model_id": MODEL}
    assert fake.paid == [(MODEL, f"{RACHEL} {HELLO[1]}")]
    paced = await say(served, "paced", voice=RACHEL)
    assert paced.output == heard.output
    assert len(paced.arrived) > 3
    assert paced.arrived[-1] - paced.arrived[0] > 0.5, "each piece is passed on before the next one is there"


async def test_options_go_to_the_vendor_by_its_names(eleven):
    served, _, server = eleven
    own = {"stability": 0.4, "similarity_boost": 0.6, "use_speaker_boost": True, "style": 0.1, "seed": 7}
    more = {"previous_text": "Good day.", "next_text": "Bye.", "apply_text_normalization": "off"}
    heard = await say(served, voice="rachel", speed=1.1, **own, **more)
    assert heard.error is None
    assert heard.finished[0].generated_media.seed == 7
    settings = {"speed": 1.1, "stability": 0.4, "similarity_boost": 0.6, "style": 0.1, "use_speaker_boost": True}
    assert sent(server).json == {"text": HELLO[1], "model_id": MODEL, "voice_settings": settings, "seed": 7, **more}
    await say(served, "eleven_flash_v2_5", voice="George", language="de-AT")
    assert sent(server).json["language_code"] == "de"
    assert sent(server).path == f"/v1/text-to-speech/{GEORGE}/stream"


@pytest.mark.parametrize(
    ("form", "asked", "container", "rate", "channels"),
    [
        (AudioFormat("mp3"), "mp3_44100_128", "mp3", 44_100, 1),
        (AudioFormat("opus"), "opus_48000_128", "opus", 48_000, 1),
        (AudioFormat("wav"), "pcm_24000", "wav", 24_000, 1),
        (AudioFormat("wav", 16_000), "pcm_16000", "wav", 16_000, 1),
        (AudioFormat("wav", 11_025, 2), "pcm_24000", "wav", 11_025, 2),
        (AudioFormat("s16le", 8000), "pcm_8000", "", 8000, 1),
        (AudioFormat("mp3", 24_000), "pcm_24000", "mp3", 24_000, 1),
        (AudioFormat("aac"), "pcm_24000", "aac", 24_000, 1),
        (AudioFormat("flac", channels=2), "pcm_24000", "flac", 24_000, 2),
    ],
)
async def test_every_form_is_the_vendors_own_or_made_from_its_samples(eleven, form, asked, container, rate, channels):
    served, _, server = eleven
    heard = await say(served, voice=RACHEL, format=form)
    assert heard.error is None
    assert sent(server).query["output_format"] == asked
    found = detect(heard.output)
    assert (found.name if found and container else "") == container
    assert (heard.media.audio.sample_rate_hertz, heard.media.audio.channels) == (rate, channels)


async def test_the_vendors_own_name_for_a_form_is_taken_and_excludes_another(eleven):
    served, _, server = eleven
    heard = await say(served, voice=RACHEL, output_format="mp3_22050_32")
    assert heard.media.audio.sample_rate_hertz == 22_050
    await say(served, voice=RACHEL, output_format="pcm_48000")
    assert sent(server).query["output_format"] == "pcm_48000"
    both = await say(served, voice=RACHEL, output_format="pcm_48000", format=AudioFormat("mp3"))
    assert isinstance(both.error, OptionInvalid)


async def test_without_a_voice_the_accounts_first_one_speaks_or_the_one_that_is_set():
    async with speaking() as (served, _, server):
        await say(served)
        await say(served)
        assert [one.path.split("/")[3] for one in server.posts] == [RACHEL, RACHEL]
        assert [one.query["page_size"] for one in server.asked("/v2/voices")].count("100") == 1  # it is remembered
    async with speaking(voice="George") as (served, _, server):
        await say(served)
        assert sent(server).path == f"/v1/text-to-speech/{GEORGE}/stream"


@pytest.mark.parametrize(
    ("options", "error", "field"),
    [
        ({"voice": "Nobody"}, OptionInvalid, "header.text_to_speech.voice"),
        ({"voice": "x" * 20}, OptionInvalid, "header.text_to_speech.voice"),
        ({"speed": 2}, OptionInvalid, "header.text_to_speech.speed"),
        ({"language": "de"}, OptionUnknown, "header.text_to_speech.language"),
        ({"stability": 1.5}, OptionInvalid, "header.model_options.stability"),
        ({"format": AudioFormat("opus", 44_100)}, OptionInvalid, "header.text_to_speech.format.sample_rate_hertz"),
    ],
)
async def test_options_are_refused_by_field_before_anything_is_spent(eleven, options, error, field):
    served, fake, _ = eleven
    heard = await say(served, **options)
    assert isinstance(heard.error, error)
    assert field in heard.error.fields, heard.error.fields
    assert heard.error.hint or heard.error.fields[field]
    assert not fake.paid


async def test_a_language_that_a_model_does_not_speak_is_refused(eleven):
    served, fake, _ = eleven
    heard = await say(served, "eleven_flash_v2_5", language="fr")
    assert isinstance(heard.error, OptionInvalid)
    assert not fake.paid


async def test_a_text_that_is_too_long_is_never_sent(eleven):
    served, fake, server = eleven
    heard = await ask(served, MODEL, ("text", "x" * 10_001), capability=TTS, voice=RACHEL)
    assert isinstance(heard.error, InputTooLarge)
    assert "10,000" in heard.error.message
    assert not server.posts
    assert not fake.paid


ERRORS = {
    "too-long": InputTooLarge,
    "old-voice": OptionInvalid,
    "flagged": ContentRefused,
    "key-old": ProviderNotConfigured,
    "key-new": ProviderNotConfigured,
    "permission": ProviderNotConfigured,
    "quota": CreditExhausted,
    "unusual": ProviderNotConfigured,
    "payment": CreditExhausted,
    "paid-plan": ProviderNotConfigured,
    "creator": ProviderNotConfigured,
    "no-voice": OptionInvalid,
    "no-model": ModelUnknown,
    "busy": BackendFailed,
    "large": InputTooLarge,
    "field": OptionInvalid,
    "text-field": InvalidRequestError,
    "concurrent": RateLimited,
    "concurrent-new": RateLimited,
    "rate": RateLimited,
    "system": VendorOverloaded,
    "failed": BackendFailed,
    "down": VendorOverloaded,
    "html-502": BackendFailed,
    "page": BackendFailed,
    "never": BackendFailed,
    "nothing": BackendFailed,
    "cut": BackendFailed,
    "cut-at-once": BackendFailed,
}


@pytest.mark.parametrize("name", ERRORS)
async def test_every_error_has_its_class_and_says_what_to_do(eleven, name):
    served, _, _ = eleven
    heard = await say(served, name, voice=RACHEL)
    error = heard.error
    assert type(error) is ERRORS[name], error
    assert error.metadata["provider"] == "elevenlabs"
    if name in REFUSED:
        assert error.metadata["upstream_code"] == str(REFUSED[name][0])
    if not isinstance(error, BackendFailed | InvalidRequestError):
        assert error.hint
    assert not heard.finished


async def test_what_errors_say_beside_their_class(eleven):
    served, _, _ = eleven
    said = {name: (await say(served, name, voice=RACHEL)).error for name in ERRORS}
    assert said["rate"].retry_after == 7
    assert "top the account up" in said["quota"].hint
    assert "elevenlabs.io/app/settings/api-keys" in said["permission"].hint
    assert "text_to_speech" in said["permission"].message
    assert "refuses the key" in said["key-new"].message
    assert "another plan" in said["paid-plan"].hint
    assert "automarket voices ls" in said["no-voice"].hint
    assert said["field"].fields == {"header.text_to_speech.seed": "seed: Input should be at most 4294967295"}
    assert "no sound" in said["nothing"].message


async def test_a_cancel_closes_the_vendors_connection_at_once(eleven):
    served, _, server = eleven
    for number in range(25):
        begin = time.monotonic()
        heard = await ask(served, "slow", HELLO, capability=TTS, voice=RACHEL, until="output_chunk")
        assert heard.error is None
        await until(lambda wanted=number + 1: len(server.dropped) == wanted, what="the connection is closed")
        assert time.monotonic() - begin < 5


async def test_a_deadline_closes_the_vendors_connection_too(eleven):
    served, _, server = eleven
    task = asyncio.create_task(say(served, "stalled", voice=RACHEL))
    await until(lambda: server.posts, what="it is asked")
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: server.dropped, what="the connection is closed")


async def test_a_vendor_that_goes_silent_is_given_up():
    async with speaking(idle_timeout=0.3) as (served, _, _):
        heard = await say(served, "slow", voice=RACHEL)
        assert isinstance(heard.error, BackendFailed)
        assert "0.3 s" in heard.error.message


async def test_what_a_credit_costs_makes_the_cost_known():
    async with speaking(credit_price=0.0002) as (served, _, _):
        heard = await say(served, voice=RACHEL)
        assert heard.usage[0].cost == pytest.approx(len(HELLO[1]) * 0.0002)
        assert heard.usage[0].currency == "USD"
        priced = {one.id: one.pricing for one in served.provider.models() if one.pricing}
        assert priced[MODEL].input_cost == 0.0002
        assert priced["eleven_flash_v2_5"].input_cost == 0.0001  # the model's factor is a half


async def test_models_are_the_vendors_own_list_and_those_that_it_does_not_list(eleven):
    served, _, _ = eleven
    found = {one.id: one for one in served.provider.models()}
    assert {MODEL, "eleven_flash_v2_5", "scribe_v1", "scribe_v2", "eleven_text_to_sound_v2"} <= found.keys()
    assert "eleven_english_sts_v2" not in found
    flash = found["eleven_flash_v2_5"]
    assert flash.inputs[0].max_characters == 40_000
    assert "style" not in flash.options
    assert "language" in flash.options
    assert "keyterms" not in found["scribe_v1"].options


async def test_the_key_is_never_shown():
    async with speaking(ElevenLabs(), api_key="sk-wrong-0123456789abcdef") as (served, _, _):
        heard = await say(served, voice=RACHEL)
        assert isinstance(heard.error, ProviderNotConfigured)
        assert "sk-wrong" not in f"{heard.error} {heard.error.metadata} {heard.error.fields}"
        assert "ELEVENLABS_API_KEY" in heard.error.hint


async def test_a_key_without_the_right_to_list_voices_is_no_fault_of_the_vendor():
    fake = ElevenLabs()
    fake.voices_refused = True
    async with speaking(fake) as (served, _, _):
        assert (await served.provider.service_status()).healthy
        assert (await say(served, voice=RACHEL)).error is None
        heard = await say(served, voice="Rachel")
        assert isinstance(heard.error, ProviderNotConfigured)
        assert "api-keys" in heard.error.hint
    async with speaking(ElevenLabs(), api_key="sk-wrong-0123456789abcdef") as (served, _, _):
        assert not (await served.provider.service_status()).healthy
