"""Voices that the account stores, and clones that are made for a call, by the stand-in for ElevenLabs."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from automarket.assets.formats import detect
from automarket.errors import CreditExhausted, InputUnsuitable, InvalidRequestError, OptionInvalid
from automarket.rpc.channel import errors_mapped
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from tests.provider_servers.asked import ask
from tests.provider_servers.elevenlabs.conftest import speaking
from tests.provider_servers.elevenlabs.test_speech import HELLO, MODEL, TTS
from tests.support.gateway import until
from tests.vendors.elevenlabs import GEORGE, RACHEL, ElevenLabs


async def tell(served, method, **fields):
    with errors_mapped():
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(MediaProviderServiceStub(served.channel), method)(request)


async def create(served, media, **fields):
    sample = media.ffmpeg("second.wav", "-t", "1", "-i", str(media.speech_wav())).read_bytes()
    wanted = {"request_id": str(uuid.uuid4()), "name": "Mine", "samples": [{"inline": sample}]} | fields
    return (await tell(served, "CreateVoice", **wanted)).voice


async def clone(served, sound, model=MODEL, **options):
    return await ask(served, model, HELLO, ("voice", sound), capability=TTS, **options)


def sounds(media, count):
    """Give recordings that differ."""
    cut = [("-t", str(1 + number / 10)) for number in range(count)]
    made = [media.ffmpeg(f"voice-{n}.wav", *one, "-i", str(media.speech_wav())) for n, one in enumerate(cut)]
    return [one.read_bytes() for one in made]


def spoke(server):
    return [one.path.split("/")[3] for one in server.posts if "text-to-speech" in one.path]


async def test_the_accounts_voices_are_listed(eleven):
    served, fake, _ = eleven
    for number in range(150):
        fake.voices[f"v{number}"] = {**fake.voices[RACHEL], "voice_id": f"v{number}", "name": f"Voice {number}"}
    found = (await tell(served, "ListVoices", page_size=1000)).voices
    assert len(found) == 152
    assert (found[0].id, found[0].name, found[0].cloned) == (RACHEL, "Rachel", False)
    assert dict(found[0].labels) == {"accent": "american"}
    assert found[0].preview_url.endswith(".mp3")
    assert [one.id for one in (await tell(served, "ListVoices", text="george")).voices] == [GEORGE]


async def test_a_voice_is_cloned_stored_used_by_its_name_and_removed(eleven, media):
    served, fake, server = eleven
    labels = {"accent": "plain"}
    made = await create(served, media, labels=labels, description="like me", remove_background_noise=True)
    (form,) = fake.added
    assert (form.get("name"), json.loads(form.get("labels"))) == ("Mine", labels)
    assert form.get("remove_background_noise") == "true"
    assert [(one.field, detect(one.content).name) for one in form.files] == [("files", "mp3")]
    heard = await ask(served, MODEL, HELLO, capability=TTS, voice="mine")
    assert heard.error is None
    assert spoke(server) == [made.id]
    (listed,) = (await tell(served, "ListVoices", cloned_only=True)).voices
    assert (listed.description, listed.name) == ("like me", "Mine")
    for _ in range(2):
        await tell(served, "DeleteVoice", voice_id=made.id)
    assert fake.removed == [made.id]


async def test_an_equal_request_finds_its_voice_at_the_vendor_after_a_restart(media):
    fake, request_id = ElevenLabs(), str(uuid.uuid4())
    async with speaking(fake) as (served, _, _):
        made = await create(served, media, request_id=request_id)
    async with speaking(fake) as (served, _, _):
        assert (await create(served, media, request_id=request_id)).id == made.id
    assert len(fake.added) == 1


async def test_voices_that_are_not_ones_own_stay(eleven):
    served, fake, _ = eleven
    with pytest.raises(InvalidRequestError, match="not yours"):
        await tell(served, "DeleteVoice", voice_id=RACHEL)
    assert not fake.removed


async def test_what_the_vendor_refuses_of_a_voice(eleven, media):
    served, fake, _ = eleven
    with pytest.raises(InputUnsuitable):
        await create(served, media, name="refused")
    fake.room = 0
    with pytest.raises(CreditExhausted) as caught:
        await create(served, media)
    assert "automarket voices ls" in caught.value.hint


async def test_a_sample_of_a_voice_speaks_and_is_cloned_once(eleven, media):
    served, fake, server = eleven
    sound = media.speech_wav().read_bytes()
    for _ in range(3):
        heard = await clone(served, sound)
        assert heard.error is None
        assert heard.output
    assert len(fake.added) == 1
    (voice,) = set(spoke(server))
    assert fake.voices[voice]["name"].startswith("automarket-")
    assert not fake.removed


async def test_calls_at_the_same_time_share_one_clone(eleven, media):
    served, fake, _ = eleven
    sound = media.speech_wav().read_bytes()
    heard = await asyncio.gather(*(clone(served, sound) for _ in range(6)))
    assert [one.error for one in heard] == [None] * 6
    assert len(fake.added) == 1


async def test_a_few_clones_stay_and_are_found_again_after_a_restart(media):
    fake = ElevenLabs()
    one, *others = sounds(media, 4)
    async with speaking(fake, cloned_voices=2) as (served, _, _):
        for sound in (one, *others):
            assert (await clone(served, sound)).error is None
        assert len(fake.added) == 4
        await until(lambda: len(fake.removed) == 2, what="two are removed")
    async with speaking(fake, cloned_voices=2) as (served, _, _):
        await clone(served, others[-1])
        assert len(fake.added) == 4
        await clone(served, one)
        assert len(fake.added) == 5


async def test_with_room_for_none_each_clone_goes_with_its_call(media):
    async with speaking(cloned_voices=0) as (served, fake, _):
        for sound in sounds(media, 2):
            assert (await clone(served, sound)).error is None
        await until(lambda: len(fake.removed) == 2, what="they are removed")
        assert set(fake.voices) == {RACHEL, GEORGE}


async def test_where_the_account_has_no_room_an_old_clone_makes_some(media):
    async with speaking(ElevenLabs(room=1)) as (served, fake, _):
        for sound in sounds(media, 3):
            assert (await clone(served, sound)).error is None
        assert len(fake.added) == 3
        assert len(fake.removed) == 2
    async with speaking(ElevenLabs(room=0)) as (served, fake, _):
        heard = await clone(served, sounds(media, 1)[0])
        assert isinstance(heard.error, CreditExhausted)
        assert not fake.paid


async def test_a_clone_that_was_removed_elsewhere_is_made_anew_by_the_next_call(eleven, media):
    served, fake, _ = eleven
    sound = media.speech_wav().read_bytes()
    await clone(served, sound)
    fake.voices = {name: one for name, one in fake.voices.items() if name in (RACHEL, GEORGE)}
    assert isinstance((await clone(served, sound)).error, OptionInvalid)
    assert (await clone(served, sound)).error is None
    assert len(fake.added) == 2


async def test_a_sample_and_a_voice_exclude_each_other(eleven, media):
    served, fake, server = eleven
    heard = await clone(served, media.speech_wav().read_bytes(), voice=RACHEL)
    assert isinstance(heard.error, OptionInvalid)
    assert "header.text_to_speech.voice" in heard.error.fields
    assert not fake.added
    assert not server.posts


async def test_a_call_that_is_cancelled_while_it_speaks_leaves_its_clone_in_order(media):
    async with speaking(cloned_voices=0) as (served, fake, _):
        for number, sound in enumerate(sounds(media, 5)):
            heard = await ask(served, "slow", HELLO, ("voice", sound), capability=TTS, until="output_chunk")
            assert heard.error is None
            await until(lambda wanted=number + 1: len(fake.removed) == wanted, what="it is removed")


async def test_settings_of_a_provider_that_runs(eleven):
    served, _, server = eleven
    request = pb.ConfigureRequest()
    request.settings.update({"voice": "George", "cloned_voices": 0, "credit_price": 0.001})
    with errors_mapped():
        changed = await MediaProviderServiceStub(served.channel).Configure(request)
    assert list(changed.changed) == ["cloned_voices", "credit_price", "voice"]
    heard = await ask(served, MODEL, HELLO, capability=TTS)
    assert spoke(server) == [GEORGE]
    assert heard.usage[0].cost == pytest.approx(0.011)


async def test_a_clone_whose_call_was_cancelled_before_the_answer_came_is_found_again(eleven, media):
    served, fake, server = eleven
    sound = media.speech_wav().read_bytes()
    fake.add_seconds = 30
    await clone(served, sound, cancel_when=lambda: fake.added)
    fake.add_seconds = 0
    heard = await clone(served, sound)
    assert heard.error is None
    assert len(fake.added) == 1
    assert spoke(server) == [voice for voice in fake.voices if voice not in (RACHEL, GEORGE)]
