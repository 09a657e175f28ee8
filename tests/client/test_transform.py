"""Transforms through the real gateway and asset store, with a toy provider behind them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import automarket
from automarket import AssetLoader, Audio, AudioFormat, CompositionResult, Image, Overlay, Speech, Text, Video
from automarket.client import events as e
from automarket.errors import (
    CapabilityUnknown,
    DeadlineExceeded,
    DigestMismatch,
    InputIncomplete,
    InputUnsuitable,
    InternalFault,
    InvalidRequestError,
    MeshUnreachable,
    ModelUnknown,
    OptionUnknown,
    ProviderBusy,
    ProviderUnknown,
    TargetMissing,
)
from tests.client.toy import WORDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SAID = " ".join(WORDS)
NOBODY = "sha256:" + "0" * 64


@pytest.fixture
async def mesh(place) -> AsyncIterator[automarket.Mesh]:
    async with automarket.connect(place.address) as mesh:
        yield mesh


async def test_a_video_goes_in_and_its_words_come_out(place, mesh, media):
    stt = await mesh.provider("toy").speech_to_text("words")
    text = await stt.transform(AssetLoader.load(media.talk_mp4()), language="en", word_timestamps=True)
    assert isinstance(text, Text)
    assert (text.content, text.language, text.confidence) == (SAID, "en", 0.9)
    assert (text.metadata.provider, text.metadata.model, text.metadata.partial) == ("toy", "words", False)
    assert text.metadata.usage == {"call": 1.0}
    (call,) = place.calls
    assert call.header.speech_to_text.language == "en"
    assert call.header.inputs[0].slot == "speech"
    assert (call.target.provider, call.target.model) == ("toy", "words")


async def test_a_file_goes_to_the_store_once_and_by_digest_ever_after(place, mesh, media):
    asset = AssetLoader.load(media.talk_mp4())
    reports = []
    for _ in range(2):
        stream = mesh.stream(asset, capability="speech-to-text")
        await stream.result()
        reports.append(stream.report)
    first, second = (report.uploads[0] for report in reports)
    assert (first.digest, first.sent_bytes) == (asset.digest, asset.size_bytes)
    assert (second.digest, second.sent_bytes) == (asset.digest, 0)
    assert [call.header.inputs[0].digest for call in place.calls] == [asset.digest] * 2
    assert (await mesh.assets.stat(asset.digest)).size_bytes == asset.size_bytes


async def test_a_stream_gives_typed_events_in_order_and_a_result_at_the_end(mesh, media):
    stt = await mesh.provider("toy").speech_to_text()
    stream = stt.stream(media.speech_wav())
    events = [event async for event in stream]
    assert [type(event) for event in events if not isinstance(event, e.Uploading)] == [
        e.Uploaded,
        e.Accepted,
        e.Progress,
        e.OutputStarted,
        e.Segment,
        e.Segment,
        e.Segment,
        e.OutputFinished,
        e.Usage,
        e.Finished,
    ]
    assert [event.sequence for event in events if event.sequence] == list(range(1, 10))
    segments = [event for event in events if isinstance(event, e.Segment)]
    assert [(one.start, one.end, one.text) for one in segments] == [(n, n + 1, WORDS[n]) for n in range(3)]
    assert (await stream.result()).content == SAID
    report = stream.report
    assert report.accepted.provider_id == "toy"
    assert [(one.stage, one.elapsed) for one in report.stages] == [("running", 1.5)]
    assert report.usage[0].cost == 0.25


async def test_text_goes_inline_and_comes_back_as_it_was_made(place, mesh):
    echo = await mesh.model("echo")
    text = await echo.transform("good", "morning", suffix="!")
    assert isinstance(text, Text)
    assert text.content == "good morning! "
    assert place.calls[0].texts() == ["good", "morning"]
    assert place.calls[0].header.model_options["suffix"] == "!"


async def test_long_text_goes_through_the_store(place, mesh):
    await mesh.transform("word " * 20_000, model="echo")
    assert place.calls[0].header.inputs[0].digest.startswith("sha256:")


async def test_bytes_that_come_live_are_sent_as_they_come(place, mesh):
    arrived = []

    async def microphone() -> AsyncIterator[bytes]:
        for number in range(3):
            yield bytes([number]) * 1000
            await asyncio.sleep(0)
            arrived.append(number)

    await mesh.transform(microphone(), capability="speech-to-text")
    assert arrived == [0, 1, 2]
    assert place.calls[0].inputs[0] == b"".join(bytes([n]) * 1000 for n in range(3))


async def test_pieces_over_a_mebibyte_are_cut(place, mesh):
    async def burst() -> AsyncIterator[bytes]:
        yield bytes(3 * 1024 * 1024 + 7)

    await mesh.transform(burst(), capability="speech-to-text")
    assert len(place.calls[0].inputs[0]) == 3 * 1024 * 1024 + 7


async def test_a_blocking_iterator_of_bytes_is_read_in_a_thread(place, mesh):
    await mesh.transform((bytes([n]) for n in range(5)), capability="speech-to-text")
    assert place.calls[0].inputs[0] == bytes(range(5))


async def test_an_error_in_a_live_input_ends_the_call_and_is_raised(place, mesh):
    async def broken() -> AsyncIterator[bytes]:
        yield b"some"
        raise OSError("the microphone was pulled out")

    with pytest.raises(OSError, match="pulled out"):
        await mesh.transform(broken(), capability="speech-to-text")
    await asyncio.wait_for(place.calls[0].ended.wait(), 2)


async def test_nothing_is_kept_when_the_caller_says_so(place, mesh, media):
    path = media.speech_wav()
    await mesh.transform(path, capability="speech-to-text", store=False)
    (call,) = place.calls
    assert call.inputs[0] == path.read_bytes()
    assert call.header.store is False
    assert [asset async for asset in mesh.assets.list()] == []


async def test_an_asset_that_the_store_has_is_an_input(place, mesh, media):
    stored = await mesh.assets.put(media.speech_wav())
    await mesh.transform(stored, capability="speech-to-text")
    assert place.calls[0].header.inputs[0].digest == stored.digest


async def test_speech_comes_back_as_speech(place, mesh, media):
    data = media.speech_wav().read_bytes()
    place.toy.models.results["say"] = [("audio/wav", data)]
    tts = await mesh.provider("toy").text_to_speech("say")
    speech = await tts.transform("hello", speed=1.5, voice="kal16", format=AudioFormat("wav", 16000))
    assert isinstance(speech, Speech)
    assert b"".join([piece async for piece in speech.chunks()]) == data
    options = place.calls[0].header.text_to_speech
    assert (options.voice, options.speed, options.format.sample_rate_hertz) == ("kal16", 1.5, 16000)


async def test_a_voice_sample_is_an_input_and_a_voice_name_an_option(place, mesh, media):
    place.toy.models.results["say"] = [("audio/wav", media.speech_wav().read_bytes())]
    tts = await mesh.provider("toy").text_to_speech("say")
    await tts.transform("hello", voice=media.speech_wav())
    header = place.calls[0].header
    assert [one.slot for one in header.inputs] == ["text", "voice"]
    assert not header.text_to_speech.HasField("voice")


async def test_an_output_larger_than_memory_comes_back_whole(place, mesh, media):
    data = media.speech_wav().read_bytes() + bytes(9 * 1024 * 1024)
    place.toy.models.results["say"] = [("audio/wav", data)]
    speech = await mesh.transform("hello", capability="text-to-speech")
    assert speech.size_bytes == len(data)
    assert b"".join([piece async for piece in speech.chunks()]) == data


async def test_pictures_come_back_as_a_list(place, mesh, media):
    picture = media.picture_png().read_bytes()
    place.toy.models.results["frames"] = [("image/png", picture)] * 3
    model = await mesh.provider("toy").video_to_image()
    images = await model.transform(media.talk_mp4(), times=[0, 0.5, 1])
    assert [type(image) for image in images] == [Image] * 3
    assert await mesh.transform(media.talk_mp4(), capability="video-to-image") != []


async def test_a_composition_is_a_video_and_its_facts(place, mesh, media):
    place.toy.models.results["compose"] = [("video/mp4", media.silent_mp4().read_bytes())]
    model = await mesh.provider("toy").video_composition()
    overlay = Overlay(x=10, y=20, start=0.5, opacity=0.5)
    result = await model.transform(media.talk_mp4(), media.picture_png(), overlays=[overlay])
    assert isinstance(result, CompositionResult)
    assert isinstance(result.video, Video)
    size = {"width": 320, "height": 180}
    assert result.facts == {
        "duration": 2.0,
        "resolution": size,
        "aspect_ratio": "16:9",
        "framerate": 25.0,
        "base_video_info": {"duration": 2.0, "resolution": size},
        "overlay_info": {
            "count": 1,
            "overlays": [
                {
                    "index": 0,
                    "start_time": 0.5,
                    "duration": 1.5,
                    "position": {"x": 10, "y": 20},
                    "final_size": {"width": 32, "height": 18},
                }
            ],
        },
    }
    header = place.calls[0].header
    assert [one.slot for one in header.inputs] == ["video", "overlays"]
    assert header.video_composition.overlays[0].start.ToMilliseconds() == 500


async def test_every_call_names_its_target_and_itself_in_metadata(place, mesh):
    request_id = "00000000-0000-4000-8000-000000000001"
    stream = mesh.stream("hi", model="echo", provider="plaything", local_only=True, request_id=request_id)
    await stream.result()
    (call,) = place.calls
    assert call.metadata["automarket-model"] == "echo"
    assert call.metadata["automarket-provider"] == "plaything"
    assert call.metadata["automarket-prefer"] == "local-only"
    assert call.metadata["automarket-request-id"] == call.header.request_id == stream.request_id == request_id


async def test_the_deadline_reaches_the_provider(place, mesh):
    await mesh.transform("hi", model="echo", timeout=30)
    assert place.calls[0].seconds_left <= 30


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (["hi"], {}, TargetMissing, "name a capability"),
        (["hi"], {"capability": "mind-reading"}, CapabilityUnknown, "mind-reading"),
        (["hi"], {"model": "nobody"}, ModelUnknown, "nobody"),
        (["hi"], {"provider": "nobody", "model": "echo"}, ProviderUnknown, "nobody"),
        (["hi"], {"model": "echo", "sufix": "!"}, OptionUnknown, "did you mean suffix"),
        (["talk.mp4"], {"capability": "speech-to-text"}, InputUnsuitable, "pass pathlib.Path"),
        ([], {"capability": "speech-to-text"}, InputIncomplete, "needs an input for its slot 'speech'"),
        ([b"1", b"2"], {"capability": "speech-to-text"}, InvalidRequestError, "it takes: speech"),
        ([3], {"capability": "speech-to-text"}, InputUnsuitable, "got a int"),
        (["hi"], {"model": "echo", "fault": "busy"}, ProviderBusy, "wait a little"),
        (["hi"], {"model": "echo", "fault": "no finish"}, InternalFault, "without saying that it finished"),
    ],
)
async def test_a_failure_says_what_is_wrong_and_what_to_do(mesh, arguments, options, error, words):
    with pytest.raises(error, match=words):
        await mesh.transform(*arguments, **options)


async def test_what_cannot_play_the_role_is_refused_before_anything_is_sent(place, mesh, media):
    with pytest.raises(InputUnsuitable, match="plays image; speech was needed"):
        await mesh.transform(media.picture_png(), capability="speech-to-text")
    assert place.calls == []
    assert [asset async for asset in mesh.assets.list()] == []


async def test_what_came_before_the_end_is_there_and_says_that_it_is_partial(mesh, media):
    stream = mesh.stream(media.speech_wav(), capability="speech-to-text")
    async for event in stream:
        if isinstance(event, e.Segment):
            break
    assert (stream.text_so_far.content, stream.text_so_far.metadata.partial) == (WORDS[0], True)


async def test_an_error_keeps_its_facts_and_comes_again_when_the_result_is_asked_for(mesh):
    stream = mesh.stream("hi", model="echo", fault="busy")
    with pytest.raises(ProviderBusy) as caught:
        async for _ in stream:
            pass
    assert caught.value.retry_after == 3.0
    with pytest.raises(ProviderBusy):
        await stream.result()


async def test_a_broken_output_is_found(place, mesh, media):
    place.toy.models.results["say"] = [("audio/wav", media.speech_wav().read_bytes())]
    with pytest.raises(DigestMismatch, match="arrived broken"):
        await mesh.transform("hi", capability="text-to-speech", fault="wrong digest")


async def test_a_timeout_ends_the_call_at_both_ends(place, mesh):
    for number in range(25):
        with pytest.raises(DeadlineExceeded):
            await mesh.transform("hi", model="echo", fault="hang", timeout=0.2)
        await asyncio.wait_for(place.calls[number].ended.wait(), 0.5)


async def test_cancelling_the_waiting_task_cancels_the_call(place, mesh):
    for number in range(25):
        task = asyncio.create_task(mesh.transform("hi", model="echo", fault="hang"))
        call = await place.toy.models.call(number)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(call.ended.wait(), 0.5)


async def test_leaving_the_iteration_cancels_the_call(place, mesh):
    for number in range(25):
        async for event in mesh.stream("hi", model="echo", fault="hang"):
            if isinstance(event, e.Accepted):
                break
        await asyncio.wait_for(place.calls[number].ended.wait(), 0.5)


async def test_leaving_the_with_block_cancels_the_call(place, mesh):
    async with mesh.stream("hi", model="echo", fault="hang") as stream:
        async for event in stream:
            if isinstance(event, e.Accepted):
                break
    await asyncio.wait_for(place.calls[0].ended.wait(), 0.5)


async def test_where_no_mesh_runs_the_error_names_the_address(short_dir):
    for address in ("127.0.0.1:1", f"unix:{short_dir}/nobody"):
        async with automarket.connect(address) as mesh:
            for ask in (mesh.providers(), mesh.transform("hi", model="echo"), mesh.assets.stat(NOBODY)):
                with pytest.raises(MeshUnreachable) as caught:
                    await ask
                assert caught.value.message == f"no mesh is running at {address}"
                assert caught.value.hint == "automarket up"


async def test_many_transforms_at_once_do_not_disturb_each_other(mesh):
    texts = await asyncio.gather(*(mesh.transform(f"number {n}", model="echo") for n in range(20)))
    assert [text.content for text in texts if isinstance(text, Text)] == [f"number {n} " for n in range(20)]


async def test_the_address_comes_from_the_environment(place, monkeypatch):
    monkeypatch.setenv("AUTOMARKET_ADDRESS", place.address)
    async with automarket.connect() as mesh:
        assert mesh.address == place.address
    monkeypatch.delenv("AUTOMARKET_ADDRESS")
    assert automarket.connect().address == "127.0.0.1:50051"


def test_an_audio_is_not_a_speech():
    assert issubclass(Speech, Audio)
