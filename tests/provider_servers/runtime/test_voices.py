"""The voices of a provider: listed in pages, made once for a request_id, removed."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from pathlib import Path

import grpc.aio
import pytest

from automarket.errors import (
    ChunkTooLarge,
    InputIncomplete,
    InputUnsuitable,
    InvalidRequestError,
    PageTokenInvalid,
    ProviderUnknown,
    RequestIdReused,
    StoreUnavailable,
    VoicesUnsupported,
)
from automarket.rpc.channel import errors_mapped
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from provider_servers.runtime.testing import serving
from provider_servers.runtime.workdir import WORKDIR_PREFIX
from tests.support.choir import Choir, Crowd
from tests.support.gateway import until


@pytest.fixture
async def choir():
    async with serving(Choir()) as served:
        yield served


async def ask(served, method, **fields):
    with errors_mapped():
        request = getattr(pb, f"{method}Request")(**fields)
        return await getattr(MediaProviderServiceStub(served.channel), method)(request)


def short(media):
    return media.ffmpeg("second.wav", "-t", "1", "-i", str(media.speech_wav()))


def sample(media, **fields):
    return {"inline": short(media).read_bytes()} | fields


async def create(served, media, **fields):
    wanted = {"request_id": str(uuid.uuid4()), "name": "Mine", "samples": [sample(media)]} | fields
    return (await ask(served, "CreateVoice", **wanted)).voice


async def test_voices_are_listed_with_all_that_is_known_of_them(choir):
    alma, boris = (await ask(choir, "ListVoices", provider_id="singers")).voices
    assert (alma.id, alma.name, list(alma.languages), dict(alma.labels)) == (
        "alto",
        "Alma",
        ["de", "en"],
        {"accent": "swabian"},
    )
    assert (boris.preview_url, boris.cloned) == ("https://example.org/boris.mp3", False)


@pytest.mark.parametrize(
    ("text", "found"), [("ALMA", ["alto"]), ("low swabian", ["alto"]), ("deep warm", []), ("bass", ["bass"])]
)
async def test_voices_are_found_by_words_that_describe_them(choir, text, found):
    assert [one.id for one in (await ask(choir, "ListVoices", text=text)).voices] == found


async def test_a_long_list_comes_in_pages():
    async with serving(Crowd()) as served:
        seen, token = [], ""
        while True:
            page = await ask(served, "ListVoices", page_size=1000, page_token=token)
            seen += [one.id for one in page.voices]
            token = page.next_page_token
            if not token:
                break
        assert seen == [f"voice-{number}" for number in range(2345)]
        assert len((await ask(served, "ListVoices")).voices) == 100
        for wrong in ("x", "-1", "9" * 30, "²"):
            with pytest.raises(PageTokenInvalid):
                await ask(served, "ListVoices", page_token=wrong)
        for size in (-1, 1001):
            with pytest.raises(InvalidRequestError) as caught:
                await ask(served, "ListVoices", page_size=size)
            assert "page_size" in caught.value.fields


async def test_a_voice_is_made_from_samples_that_are_cast_and_then_it_is_listed(choir, media):
    two = [sample(media)] * 2
    labels = {"accent": "plain"}
    made = await create(choir, media, samples=two, description="like me", labels=labels, remove_background_noise=True)
    assert (made.name, made.cloned, dict(made.labels)) == ("Mine", True, labels)
    (asked,) = choir.provider.asked
    assert (asked.description, asked.remove_background_noise, len(asked.samples)) == ("like me", True, 2)
    assert asked.samples[0].media_type == "audio/wav"
    assert min(choir.provider.sizes) > 1000
    listed = (await ask(choir, "ListVoices", cloned_only=True)).voices
    assert [one.id for one in listed] == [made.id]


async def test_equal_requests_make_one_voice_even_at_the_same_time(choir, media):
    request_id = str(uuid.uuid4())
    wanted = [create(choir, media, request_id=request_id, name="slow") for _ in range(5)]
    running = [asyncio.create_task(one) for one in wanted]
    await until(lambda: choir.provider.asked, what="it is asked")
    choir.provider.gate.set()
    assert {voice.id for voice in await asyncio.gather(*running)} == {"clone-1"}
    assert (await create(choir, media, request_id=request_id, name="slow")).id == "clone-1"
    assert len(choir.provider.asked) == 1
    with pytest.raises(RequestIdReused):
        await create(choir, media, request_id=request_id, name="another")


async def test_a_voice_that_was_removed_is_made_anew_by_an_equal_request(choir, media):
    request_id = str(uuid.uuid4())
    made = await create(choir, media, request_id=request_id)
    for _ in range(2):
        await ask(choir, "DeleteVoice", voice_id=made.id)
    assert (await create(choir, media, request_id=request_id)).id != made.id


async def test_a_request_that_is_given_up_leaves_nothing_and_can_be_made_again(choir, media):
    for _ in range(25):
        request_id = str(uuid.uuid4())
        choir.provider.asked.clear()
        call = asyncio.create_task(create(choir, media, request_id=request_id, name="slow"))
        await until(lambda: choir.provider.asked, what="it is asked")
        call.cancel()
        with pytest.raises((asyncio.CancelledError, grpc.aio.AioRpcError)):
            await call
    choir.provider.gate.set()
    assert (await create(choir, media, request_id=request_id, name="slow")).id
    await until(lambda: not list(Path(tempfile.gettempdir()).glob(f"{WORKDIR_PREFIX}*")), what="the folders go")


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"name": " "}, InvalidRequestError, "name"),
        ({"name": "x" * 101}, InvalidRequestError, "name"),
        ({"request_id": "7"}, InvalidRequestError, "request_id"),
        ({"description": "x" * 501}, InvalidRequestError, "description"),
        ({"labels": {str(number): "" for number in range(17)}}, InvalidRequestError, "labels"),
        ({"samples": []}, InvalidRequestError, "samples"),
        ({"samples": [{"inline": b"RIFF"}] * 26}, InvalidRequestError, "samples"),
        ({"samples": [{"inline": b"a" * 70_000}]}, ChunkTooLarge, "samples[0].inline"),
        ({"samples": [{"stream": {}}]}, InputIncomplete, "samples[0].stream"),
        ({"samples": [{}]}, InputIncomplete, "samples[0].source"),
        ({"samples": [{"inline": b"only text"}]}, InputUnsuitable, "samples[0]"),
        ({"samples": [{"digest": "sha256:" + "0" * 64}]}, StoreUnavailable, ""),
        ({"provider_id": "nobody"}, ProviderUnknown, ""),
    ],
)
async def test_what_is_wrong_with_a_new_voice_is_told_by_its_field(choir, media, fields, error, field):
    with pytest.raises(error) as caught:
        await create(choir, media, **fields)
    assert not field or field in caught.value.fields, caught.value.fields
    assert not choir.provider.made


async def test_a_voice_of_the_providers_own_is_not_removed(choir):
    for voice in ("alto", ""):
        with pytest.raises(InvalidRequestError):
            await ask(choir, "DeleteVoice", voice_id=voice)


async def test_how_a_voice_was_made_is_told_by_diagnostics(choir, media):
    request_id = str(uuid.uuid4())
    await create(choir, media, request_id=request_id)
    answer = await ask(choir, "GetDiagnostics", request_id=request_id)
    assert (answer.outcome, answer.reason) == ("OK", "")


async def test_a_provider_without_voices_says_so(bench, media):
    for method, fields in (("ListVoices", {}), ("DeleteVoice", {"voice_id": "x"})):
        with pytest.raises(VoicesUnsupported, match="bench"):
            await ask(bench, method, **fields)
    with pytest.raises(VoicesUnsupported) as caught:
        await create(bench, media)
    assert "voice-cloning" in caught.value.hint
