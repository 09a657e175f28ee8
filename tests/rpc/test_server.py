"""Servers: where they listen, what they say of themselves, and how they end."""

from __future__ import annotations

import asyncio
import socket
import stat
import time

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from automarket.errors import AutoMarketError, CallCancelled, NotFoundError, StateError, UnavailableError
from automarket.rpc.channel import errors_mapped, is_local, open_channel
from automarket.rpc.server import RpcServer
from automarket.rpc.streams import BidiCall
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from tests.rpc.serving import asking, endless, header, serving

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
MODELS = health_pb2.HealthCheckRequest(service="automarket.v1.ModelService")


@pytest.mark.parametrize("address", ["unix:/run/x.sock", "127.0.0.1:0", "localhost:1", "[::1]:0"])
def test_this_machine_is_local(address):
    assert is_local(address)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", "10.0.0.1:50051", "example.org:443"])
def test_the_network_is_not_local(address):
    assert not is_local(address)


async def test_a_server_refuses_the_network_until_it_is_allowed():
    with pytest.raises(StateError, match="refusing"):
        await RpcServer(["0.0.0.0:0"], []).start()
    allowed = RpcServer(["0.0.0.0:0"], [], allow_network=True)
    assert not (await allowed.start())[0].endswith(":0")
    await allowed.drain(0)


async def test_a_taken_port_is_an_error():
    first = RpcServer(["127.0.0.1:0"], [])
    [address] = await first.start()
    with pytest.raises(StateError, match="cannot listen"):
        await RpcServer([address], []).start()
    await first.drain(0)


async def test_a_socket_is_its_users_alone(short_dir):
    server = RpcServer([f"unix:{short_dir}/run/s.sock"], [])
    await server.start()
    assert stat.S_IMODE((short_dir / "run/s.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE((short_dir / "run").stat().st_mode) == 0o700
    await server.drain(0)


async def test_a_socket_that_is_in_use_is_not_taken_over(short_dir):
    async with serving(short_dir) as (_, channel, _):
        with pytest.raises(StateError, match="another server"):
            await RpcServer([f"unix:{short_dir}/s.sock"], []).start()
        with pytest.raises(AutoMarketError, match="no model"), errors_mapped():
            await ModelServiceStub(channel).GetModel(asking("x"))


async def test_a_socket_that_a_killed_server_left_behind_is_replaced(short_dir):
    path = short_dir / "s.sock"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    assert path.is_socket()
    server = RpcServer([f"unix:{path}"], [])
    await server.start()
    async with open_channel(f"unix:{path}") as channel:
        assert (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())).status == SERVING
    await server.drain(0)


async def test_a_file_in_the_way_of_a_socket_is_left_alone(short_dir):
    (short_dir / "s.sock").write_text("precious")
    with pytest.raises(StateError, match="not a socket"):
        await RpcServer([f"unix:{short_dir}/s.sock"], []).start()
    assert (short_dir / "s.sock").read_text() == "precious"


async def test_a_socket_path_that_is_too_long_is_an_error_that_says_so(short_dir):
    with pytest.raises(StateError, match="over 107 bytes"):
        await RpcServer([f"unix:{short_dir}/{'x' * 100}.sock"], []).start()


async def test_health_says_which_services_take_work(short_dir):
    async with serving(short_dir) as (_, channel, server):
        stub = health_pb2_grpc.HealthStub(channel)
        assert (await stub.Check(MODELS)).status == SERVING
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == SERVING
        server.set_serving("automarket.v1.ModelService", serving=False)
        assert (await stub.Check(MODELS)).status == NOT_SERVING
        with pytest.raises(NotFoundError), errors_mapped():
            await stub.Check(health_pb2.HealthCheckRequest(service="nobody"))


async def test_every_watcher_of_health_hears_of_changes_also_when_another_one_leaves(short_dir):
    async with serving(short_dir) as (_, channel, server):
        stub = health_pb2_grpc.HealthStub(channel)
        for _ in range(25):
            server.set_serving("toy", serving=True)
            leaving, staying = (stub.Watch(health_pb2.HealthCheckRequest(service="toy")) for _ in range(2))
            assert (await leaving.read()).status == (await staying.read()).status == SERVING
            leaving.cancel()
            await asyncio.sleep(0.005)
            server.set_serving("toy", serving=False)
            assert (await asyncio.wait_for(staying.read(), 1)).status == NOT_SERVING
            staying.cancel()


async def test_reflection_lists_the_services(short_dir):
    async with serving(short_dir) as (_, channel, _):
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
        listed = {service.name async for answer in call for service in answer.list_services_response.service}
    assert {"automarket.v1.ModelService", "grpc.health.v1.Health"} <= listed


async def test_a_drained_server_finishes_its_calls_and_takes_no_new_ones(short_dir):
    async with serving(short_dir) as (_, channel, server):
        stub = ModelServiceStub(channel)
        under_way = asyncio.ensure_future(stub.GetModel(asking("slow")))
        await asyncio.sleep(0.1)
        begin = time.monotonic()
        draining = asyncio.create_task(server.drain(5))
        await asyncio.sleep(0.05)
        with pytest.raises(UnavailableError), errors_mapped():
            await stub.GetModel(asking("slow"))
        await under_way
        await draining
        assert time.monotonic() - begin < 2


@pytest.mark.alone
async def test_a_drain_tells_those_who_watch_health_and_does_not_wait_for_them(short_dir):
    async with serving(short_dir) as (_, channel, server):
        watch = health_pb2_grpc.HealthStub(channel).Watch(MODELS)
        assert (await watch.read()).status == SERVING
        begin = time.monotonic()
        await server.drain(5)
        assert (await watch.read()).status == NOT_SERVING
        assert time.monotonic() - begin < 1


@pytest.mark.alone
async def test_a_drain_cancels_what_is_not_finished_in_time(short_dir):
    async with serving(short_dir) as (models, channel, server):
        async with BidiCall(ModelServiceStub(channel).Transform(), header(), endless()) as call:
            responses = call.responses()
            await anext(responses)
            begin = time.monotonic()
            await server.drain(0.3)
            assert 0.25 < time.monotonic() - begin < 1.5
            with pytest.raises((UnavailableError, CallCancelled)):
                async for _ in responses:
                    pass
        await asyncio.wait_for(models.closed.wait(), 0.5)


async def test_health_lists_every_service(short_dir):
    async with serving(short_dir) as (_, channel, _):
        listed = await health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest())
        assert listed.statuses["automarket.v1.ModelService"].status == health_pb2.HealthCheckResponse.SERVING
