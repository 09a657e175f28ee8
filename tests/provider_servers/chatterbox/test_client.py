"""The API client against the stand-in for the server, and against answers that no server should give."""

from __future__ import annotations

import array
import io
import wave

import httpx
import pytest

from automarket.errors import BackendFailed, DiskFull, InputUnsuitable, NotFoundError
from provider_servers.chatterbox.client import ChatterboxClient, Manner
from provider_servers.chatterbox.faults import LOST, may_pass
from provider_servers.runtime.http.backend import make_http
from tests.support.mesh import free_port
from tests.support.pitch import pitch

MANNER = Manner(
    "Emily.wav", cloned=False, language="en", speed=1, temperature=0.8, exaggeration=0.5, cfg_weight=0.5, seed=7
)


@pytest.fixture
async def client(server):
    async with make_http() as http:
        yield ChatterboxClient(server.url, http)


async def spoken(client, text="Hello there.", manner=MANNER):
    speech = await client.speak(text, manner)
    try:
        return speech.sample_rate, b"".join([piece async for piece in speech.samples()])
    finally:
        await speech.close()


def answering(*responses):
    """Give a client whose server answers so."""
    waiting = list(responses)
    transport = httpx.MockTransport(lambda request: waiting.pop(0))
    return ChatterboxClient("http://server", make_http(transport))


def wav_of(samples, rate=24000, channels=1, width=2):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(samples)
    return file.getvalue()


async def test_a_server_says_what_it_has(client):
    assert await client.is_ready()
    info = await client.model_info()
    assert (info.kind, info.languages) == ("original", ("en",))
    assert "Emily.wav" in await client.voices()
    assert await client.reference_files() == ()


async def test_speech_comes_as_bare_samples_with_their_rate(client, server):
    rate, samples = await spoken(client)
    assert rate == 24000
    assert 0.4 < len(samples) / 2 / rate < 3
    assert max(array.array("h", samples)) > 3000
    (note,) = server.notes("speak")
    assert (note["text"], note["seed"], note["split_text"]) == ("Hello there.", 7, False)


async def test_the_request_is_out_before_it_is_answered(client):
    told = []
    speech = await client.speak("Hello there.", MANNER, sent=lambda: told.append(True))
    await speech.close()
    assert told == [True]


async def test_a_sample_that_is_uploaded_gives_the_voice(client, media):
    name = await client.upload_reference("am-1.wav", media.speech_wav().read_bytes())
    assert name == "am-1.wav"
    assert await client.reference_files() == ("am-1.wav",)
    manner = Manner(name, cloned=True, language="en", speed=1, temperature=1, exaggeration=1, cfg_weight=1, seed=1)
    _, samples = await spoken(client, "The old man walks slowly to the river.", manner)
    assert abs(pitch(wav_of(samples)) / pitch(media.speech_wav()) - 1) < 0.12


async def test_a_name_that_is_taken_keeps_its_file(client, server, media):
    await client.upload_reference("am-1.wav", media.speech_wav().read_bytes())
    assert await client.upload_reference("am-1.wav", wav_of(bytes(48000))) == "am-1.wav"
    rate, samples = await spoken(client, manner=Manner("am-1.wav", True, "en", 1, 1, 1, 1, 1))
    assert len(samples) > rate


async def test_a_server_says_why_it_does_not_keep_a_sample(client):
    with pytest.raises(InputUnsuitable, match="exceeds maximum allowed") as caught:
        await client.upload_reference("long.wav", wav_of(bytes(31 * 48000)))
    assert list(caught.value.fields) == ["header.inputs.voice"]
    with pytest.raises(InputUnsuitable, match="Invalid file type"):
        await client.upload_reference("text.txt", b"words")


@pytest.mark.parametrize("status", [200, 400])
async def test_a_full_disk_is_told_as_such(status):
    fault = {"filename": "a.wav", "error": "[Errno 28] No space left on device"}
    client = answering(httpx.Response(status, json={"uploaded_files": [], "errors": [fault]}))
    with pytest.raises(DiskFull, match="No space left"):
        await client.upload_reference("a.wav", b"x")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"voice": "Nobody.wav"}, NotFoundError, "Predefined voice file 'Nobody.wav' not found"),
        ({"voice": "none.wav", "cloned": True}, NotFoundError, "Reference audio file 'none.wav' not found"),
        ({"voice": ""}, InputUnsuitable, "Missing 'predefined_voice_id'"),
        ({"seed": "much"}, InputUnsuitable, "seed: Input should be a valid integer"),
    ],
)
async def test_what_the_server_refuses_is_told_in_its_words(client, changes, error, words):
    manner = {name: getattr(MANNER, name) for name in Manner.__slots__} | changes
    with pytest.raises(error, match=words):
        await client.speak("Hello.", Manner(**manner))


async def test_a_server_without_its_model_is_not_ready_and_may_be_asked_again(client):
    await client._http.post(f"{client._url}/api/unload")
    assert not await client.is_ready()
    with pytest.raises(BackendFailed, match="not currently loaded") as caught:
        await client.speak("Hello.", MANNER)
    assert may_pass(caught.value)
    assert caught.value.retry_after


async def test_a_fault_of_the_server_is_no_reason_to_ask_again(client, media):
    await client.upload_reference("silent.wav", wav_of(bytes(48000)))
    with pytest.raises(BackendFailed, match="failed with 500: TTS engine failed") as caught:
        await client.speak("Hello.", Manner("silent.wav", True, "en", 1, 1, 1, 1, 1))
    assert not may_pass(caught.value)


async def test_nobody_at_the_address_is_told_with_the_address():
    url = f"http://127.0.0.1:{free_port()}"
    async with make_http() as http:
        client = ChatterboxClient(url, http)
        assert not await client.is_ready()
        with pytest.raises(BackendFailed, match=f"nothing answers at {url}") as caught:
            await client.voices()
    assert may_pass(caught.value)


async def test_half_an_answer_may_be_asked_for_again(client, server):
    await server.misbehave(half=True)
    with pytest.raises(BackendFailed, match=r"broke|half") as caught:
        await spoken(client)
    assert caught.value.metadata == LOST


async def test_an_answer_that_is_shorter_than_it_says_is_half_an_answer():
    client = answering(httpx.Response(200, content=wav_of(bytes(48000))[:-1000]))
    with pytest.raises(BackendFailed, match="half an answer"):
        await spoken(client)


async def test_garbage_is_told_as_such(client, server):
    await server.misbehave(garbage=True)
    with pytest.raises(BackendFailed, match="WAV was due") as caught:
        await client.speak("Hello.", MANNER)
    assert not may_pass(caught.value)


@pytest.mark.parametrize("sound", [b"", wav_of(bytes(4000), channels=2), wav_of(bytes(4000), width=1)])
async def test_sound_of_another_form_is_refused(sound):
    with pytest.raises(BackendFailed, match="16-bit mono WAV was due"):
        await answering(httpx.Response(200, content=sound)).speak("Hello.", MANNER)


@pytest.mark.parametrize(
    ("ask", "body"),
    [
        (ChatterboxClient.model_info, b"not JSON"),
        (ChatterboxClient.model_info, b"{}"),
        (ChatterboxClient.model_info, b'{"type": "turbo", "supported_languages": null}'),
        (ChatterboxClient.voices, b"[1]"),
        (ChatterboxClient.voices, b'[{"name": "Emily"}]'),
        (ChatterboxClient.reference_files, b"1"),
    ],
)
async def test_an_answer_of_another_form_is_told_as_such(ask, body):
    with pytest.raises(BackendFailed, match="not of its API's form"):
        await ask(answering(httpx.Response(200, content=body)))
    assert not await answering(httpx.Response(200, content=body)).is_ready()


async def test_a_large_answer_is_never_held_whole():
    sent = 0

    async def body():
        nonlocal sent
        yield wav_of(b"")[:40] + (2**30).to_bytes(4, "little")
        for _ in range(160):
            sent += 1
            yield bytes(65536)

    speech = await answering(httpx.Response(200, content=body())).speak("Hello.", MANNER)
    taken = 0
    with pytest.raises(BackendFailed, match="half an answer"):
        async for piece in speech.samples():
            taken += len(piece)
            assert sent * 65536 - taken < 4 * 65536
    assert taken == 160 * 65536
