"""The health check of containers, against real servers."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

from automarket.rpc.probe import is_serving
from automarket.rpc.server import RpcServer
from tests.rpc.serving import serving
from tests.support.mesh import free_port

PROBE = (sys.executable, "-P", "-m", "automarket.rpc.probe")


def probed(*arguments):
    return subprocess.run([*PROBE, *arguments], capture_output=True, text=True, timeout=20, check=False)


async def test_a_server_and_each_of_its_services_say_whether_they_take_work(short_dir):
    async with serving(short_dir) as (_models, _channel, server):
        address = f"unix:{short_dir}/s.sock"
        done = await asyncio.to_thread(probed, address)
        assert (done.returncode, done.stdout) == (0, "serving\n"), done.stderr
        assert await asyncio.to_thread(is_serving, address, "automarket.v1.ModelService")
        assert not await asyncio.to_thread(is_serving, address, "automarket.v1.Nobody")
        server.set_serving("automarket.v1.ModelService", serving=False)
        done = await asyncio.to_thread(probed, address, "automarket.v1.ModelService")
        assert (done.returncode, done.stdout) == (1, "not serving\n")


async def test_a_port_is_asked_as_a_socket_is():
    server = RpcServer([f"127.0.0.1:{free_port()}"], [])
    [address] = await server.start()
    try:
        assert await asyncio.to_thread(is_serving, address)
    finally:
        await server.drain(0)


def test_nobody_there_and_somebody_silent_are_failures_in_time(short_dir):
    done = probed(f"unix:{short_dir}/nobody.sock")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        is_serving(f"127.0.0.1:{silent.getsockname()[1]}", seconds=0.2)


@pytest.mark.parametrize("arguments", [(), ("a", "b", "c"), ("127.0.0.1:1", "x" * 101)])
def test_wrong_arguments_are_refused(arguments):
    assert probed(*arguments).returncode == 2


def test_it_costs_little():
    code = "import sys, automarket.rpc.probe; sys.exit('grpc' in sys.modules or 'asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False, timeout=20).returncode == 0
