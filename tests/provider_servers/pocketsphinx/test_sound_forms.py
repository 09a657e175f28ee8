"""Every form of the same sound gives its words, as chunks and by digest, and equal sound gives equal words."""

from __future__ import annotations

import asyncio
import hashlib
import uuid

import pytest

from automarket.client.assets import AssetClient
from automarket.rpc.channel import open_channel
from automarket.v1 import model_pb2, transform_pb2
from automarket.v1 import model_service_pb2 as pb
from provider_servers.pocketsphinx import PocketsphinxProvider
from provider_servers.runtime.testing import Sample, chunk, chunks_of, serving
from tests.asset_store.process import StoreProcess
from tests.support.gateway import Here, until
from tests.support.media import SENTENCE
from tests.support.require import require
from tests.support.words import word_error_rate

FORMS = {
    "float.wav": ("-c:a", "pcm_f32le"),
    "deep.wav": ("-c:a", "pcm_s24le", "-ar", "48000", "-ac", "2"),
    "bytes.wav": ("-c:a", "pcm_u8"),
    "phone.wav": ("-c:a", "pcm_mulaw", "-ar", "16000"),
    "speech.flac": (),
    "speech.mp3": (),
    "speech.ogg": ("-c:a", "libopus"),
    "speech.m4a": (),
    "speech.webm": ("-c:a", "libopus"),
}


@pytest.fixture
async def served():
    require("pocketsphinx", "ffmpeg", "flite")
    async with serving(PocketsphinxProvider()) as served:
        yield served


def heard(events):
    return " ".join(event.segment.text for event in events if event.HasField("segment"))


def form(media, name):
    return media.ffmpeg(name, "-i", str(media.speech_wav()), *FORMS[name])


def by_digest(digest):
    header = transform_pb2.TransformHeader(request_id=str(uuid.uuid4()))
    header.inputs.add(digest=digest)
    return pb.TransformRequest(target=model_pb2.Target(model="en-us"), header=header)


@pytest.mark.parametrize("name", FORMS)
async def test_every_form_gives_the_words(served, media, name):
    text = heard(await served.run(Sample({"audio": form(media, name)})))
    assert word_error_rate(SENTENCE, text) < 0.3, text


async def test_assets_give_the_words_whatever_their_form(media, short_dir):
    require("pocketsphinx", "ffmpeg", "flite")
    here = Here(short_dir)
    with StoreProcess(short_dir) as store:
        store.start()
        content = str(store.data_dir / "content")
        async with (
            here.running_control(store=store.address, content_directory=content),
            serving(PocketsphinxProvider(), here.control) as served,
            open_channel(store.address) as channel,
        ):
            await until(lambda: served.server._host.store.there, what="the store is known")
            for name in ("float.wav", "deep.wav", "bytes.wav", "speech.m4a"):
                asset = await AssetClient(channel).put(form(media, name))
                events = await served.transform(by_digest(asset.digest))
                assert word_error_rate(SENTENCE, heard(events)) < 0.3, name
                assert len(events[0].accepted.casts) == 1, name
            fits = await AssetClient(channel).put(media.speech_wav())
            events = await served.transform(by_digest(fits.digest))
            assert not events[0].accepted.casts
            assert heard(events) == heard(await served.run(Sample({"audio": media.speech_wav()})))


async def test_two_calls_at_once_hear_the_same_each_time(served, media):
    speech, talk = Sample({"audio": media.speech_wav()}), Sample({"audio": media.talk_mp4()})
    alone = [heard(await served.run(one)) for one in (speech, talk)]
    assert all(word_error_rate(SENTENCE, text) < 0.25 for text in alone)
    for _ in range(5):
        together = await asyncio.gather(served.run(speech), served.run(talk))
        assert [heard(events) for events in together] == alone


async def test_what_was_heard_is_counted_once(served, media):
    events = await served.run(Sample({"audio": media.speech_wav()}))
    [usage] = [event.usage for event in events if event.HasField("usage")]
    seconds = (media.speech_wav().stat().st_size - 44) / 32_000
    assert (usage.unit, usage.input_units) == ("second", pytest.approx(seconds, abs=0.05))
    [made] = [event.output_finished for event in events if event.HasField("output_finished")]
    text = heard(events).encode()
    assert (made.size_bytes, made.language) == (len(text), "en-US")
    assert made.digest == f"sha256:{hashlib.sha256(text).hexdigest()}"


async def test_bytes_after_the_sound_do_no_harm(served, media):
    data = media.speech_wav().read_bytes()
    whole = heard(await served.run(Sample({"audio": media.speech_wav()})))

    async def longer():
        async for request in chunks_of(Sample({"audio": media.speech_wav()})):
            request.chunk.last = False
            yield request
        note = b"LIST" + (4).to_bytes(4, "little") + b"note"
        yield chunk(note, offset=len(data))
        yield chunk(b"", offset=len(data) + len(note), last=True, sha256=hashlib.sha256(data + note).digest())

    sample = Sample({"audio": media.speech_wav()})
    assert heard(await served.transform(served.header(sample), longer())) == whole
