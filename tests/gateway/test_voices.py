"""The voices of a provider with two instances, through the public port."""

from __future__ import annotations

import uuid

import pytest

from automarket.errors import InvalidRequestError, ProviderUnknown, UnavailableError, VoicesUnsupported
from automarket.rpc.channel import errors_mapped
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1 import transform_pb2
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from provider_servers.runtime.testing import serving
from tests.support.choir import Choir
from tests.support.gateway import until_true
from tests.support.toy import Clock

SAMPLE = "second.wav"


@pytest.fixture
async def two(here):
    """Two instances of a provider that keeps voices, called through the public port."""
    async with here.running() as channel, serving(Choir(), here.control) as a, serving(Choir(), here.control) as b:
        stub = MediaProviderServiceStub(channel)

        await until_true(lambda: registered(stub, "choir", 2))
        yield stub, a, b


async def registered(stub, name, count):
    with errors_mapped():
        answer = await stub.GetProvider(pb.GetProviderRequest(provider_id=name))
    return len(answer.provider.instances) == count


async def made(stub, media, request_id):
    recording = media.ffmpeg(SAMPLE, "-t", "1", "-i", str(media.speech_wav())).read_bytes()
    samples = [transform_pb2.Input(inline=recording)]
    request = pb.CreateVoiceRequest(provider_id="singers", request_id=request_id, name="Mine", samples=samples)
    return (await stub.CreateVoice(request)).voice.id


async def test_equal_requests_find_the_instance_that_made_the_voice(two, media):
    stub, a, b = two
    ids = [str(uuid.uuid4()) for _ in range(12)]
    for _ in range(3):
        for one in ids:
            await made(stub, media, one)
    assert len(a.provider.asked) + len(b.provider.asked) == len(ids)
    assert min(len(a.provider.asked), len(b.provider.asked)) > 0


async def test_a_voice_is_removed_at_every_instance(two, media):
    stub, a, b = two
    request_id = str(uuid.uuid4())
    voice = await made(stub, media, request_id)
    await stub.DeleteVoice(pb.DeleteVoiceRequest(provider_id="choir", voice_id=voice))
    assert not a.provider.made
    assert not b.provider.made
    assert await made(stub, media, request_id) != voice


async def test_voices_are_listed_by_an_instance_that_answers(two):
    stub, a, b = two
    listed = pb.ListVoicesRequest(provider_id="choir", text="alma")
    await a.server._server.drain(0)
    assert [one.id for one in (await stub.ListVoices(listed)).voices] == ["alto"]
    with pytest.raises(InvalidRequestError, match="choir's own"), errors_mapped():
        await stub.DeleteVoice(pb.DeleteVoiceRequest(provider_id="choir", voice_id="alto"))
    await stub.DeleteVoice(pb.DeleteVoiceRequest(provider_id="choir", voice_id="gone"))
    await b.server._server.drain(0)
    for call in (stub.ListVoices(listed), stub.DeleteVoice(pb.DeleteVoiceRequest(provider_id="choir", voice_id="x"))):
        with pytest.raises(UnavailableError), errors_mapped():
            await call


async def test_errors_of_providers_and_of_names_arrive_as_they_are(here):
    async with here.running() as channel, serving(Clock(), here.control):
        stub = MediaProviderServiceStub(channel)
        await until_true(lambda: registered(stub, "clock", 1))
        with pytest.raises(VoicesUnsupported), errors_mapped():
            await stub.ListVoices(pb.ListVoicesRequest(provider_id="clock"))
        for name in ("", "nobody"):
            with pytest.raises(ProviderUnknown), errors_mapped():
                await stub.ListVoices(pb.ListVoicesRequest(provider_id=name))
