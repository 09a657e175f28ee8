"""Driving all instances of a provider through the public port."""

from __future__ import annotations

import pytest

from automarket.errors import ProviderUnavailable, ProviderUnknown, RequestUnknown, SettingUnknown
from automarket.rpc.channel import errors_mapped
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub
from tests.support.peer import provider


@pytest.fixture
async def two(here):
    """Two instances of one provider, called through the public port."""
    described = {"provider": provider(aliases=["nick"])}
    one, other = here.peer(instance_id="a", **described), here.peer(instance_id="b", **described)
    async with here.running() as channel, one as a, other as b:
        yield MediaProviderServiceStub(channel), a, b


def configure(**fields):
    settings = fields.pop("settings")
    request = pb.ConfigureRequest(**fields)
    request.settings.update(settings)
    return request


async def test_a_provider_is_described_with_its_instances_by_id_or_alias(two):
    stub, _, _ = two
    for name in ("peer", "nick"):
        answer = await stub.GetProvider(pb.GetProviderRequest(provider_id=name))
        assert {instance.instance_id for instance in answer.provider.instances} == {"a", "b"}
        answer = await stub.ListModels(pb.ListModelsRequest(provider_id=name))
        assert [(model.provider_id, model.id) for model in answer.models] == [("peer", "words")]


async def test_settings_reach_every_instance_or_the_one_that_is_named(two):
    stub, a, b = two
    answer = await stub.Configure(configure(provider_id="peer", settings={"key": "secret"}))
    assert (list(answer.changed), answer.instance_count) == (["key"], 2)
    answer = await stub.Configure(configure(provider_id="peer", instance_id="a", settings={"key": "other"}))
    assert answer.instance_count == 1
    assert (a.provider.settings, b.provider.settings) == ({"key": "other"}, {"key": "secret"})
    with pytest.raises(SettingUnknown) as caught, errors_mapped():
        await stub.Configure(configure(provider_id="peer", settings={"speed": 1}))
    assert "settings.speed" in caught.value.fields


async def test_starting_streams_the_states_of_all_instances_and_stopping_stops_them(two):
    stub, a, b = two
    for _ in range(25):
        states = [state async for state in stub.StartService(pb.StartServiceRequest(provider_id="nick"))]
        assert sorted(state.instance_id for state in states) == ["a", "a", "b", "b"]
        assert states[-1].status.state == pb.SERVICE_STATE_READY
        assert a.provider.running
        assert b.provider.running
        answer = await stub.StopService(pb.StopServiceRequest(provider_id="peer"))
        assert not answer.status.running
        assert not a.provider.running
        assert not b.provider.running


async def test_status_adds_up_the_instances_and_shows_one_that_does_not_answer(two):
    stub, a, b = two
    [state async for state in stub.StartService(pb.StartServiceRequest(provider_id="peer", instance_id="a"))]
    answer = await stub.GetServiceStatus(pb.GetServiceStatusRequest(provider_id="peer"))
    assert answer.status.running
    assert answer.status.healthy
    assert {one.instance_id: one.status.running for one in answer.instances} == {"a": True, "b": False}
    await b.server.drain(0)
    answer = await stub.GetServiceStatus(pb.GetServiceStatusRequest(provider_id="peer"))
    assert answer.status.healthy
    failed = next(one for one in answer.instances if one.instance_id == "b")
    assert failed.status.state == pb.SERVICE_STATE_FAILED
    assert failed.status.error
    await a.server.drain(0)
    answer = await stub.GetServiceStatus(pb.GetServiceStatusRequest(provider_id="peer"))
    assert not answer.status.running


async def test_diagnostics_come_from_the_instance_that_remembers(two):
    stub, a, _ = two
    for name in ("a", "b"):
        answer = await stub.GetDiagnostics(pb.GetDiagnosticsRequest(provider_id="peer", request_id=f"of-{name}"))
        assert answer.instance_id == name
    with pytest.raises(RequestUnknown), errors_mapped():
        await stub.GetDiagnostics(pb.GetDiagnosticsRequest(provider_id="peer", request_id="no"))
    await a.server.drain(0)
    answer = await stub.GetDiagnostics(pb.GetDiagnosticsRequest(provider_id="peer", request_id="of-b"))
    assert answer.instance_id == "b"


async def test_names_that_nobody_has_are_told_apart_from_those_that_are_away(two, here):
    stub, _, _ = two
    for request in (pb.StopServiceRequest(), pb.StopServiceRequest(provider_id="x")):
        with pytest.raises(ProviderUnknown), errors_mapped():
            await stub.StopService(request)
    with pytest.raises(ProviderUnknown), errors_mapped():
        await stub.StopService(pb.StopServiceRequest(provider_id="peer", instance_id="x"))
    async with here.peer("away"):
        await stub.StopService(pb.StopServiceRequest(provider_id="away"))
    with pytest.raises(ProviderUnavailable) as caught, errors_mapped():
        while True:
            await stub.StopService(pb.StopServiceRequest(provider_id="away"))
    assert caught.value.retry_after
