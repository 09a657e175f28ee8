from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from automarket.cli.up.layout import default_data_dir, lay_out
from automarket.cli.up.lock import lock_data_dir
from automarket.cli.up.logfile import LogFile
from automarket.cli.up.port import claim_port, held_port, holder_of, listens
from automarket.errors import StateError
from tests.support.mesh import free_port


def test_the_data_folder_follows_the_users_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "automarket"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / ".local/share/automarket"


def test_sockets_stay_in_a_data_folder_with_a_short_path_and_are_private(short_dir):
    layout = lay_out(short_dir / "data")
    assert layout.socket_dir == short_dir / "data/run"
    assert layout.socket_dir.stat().st_mode & 0o777 == 0o700
    assert layout.logs.is_dir()


def test_sockets_of_a_data_folder_with_a_long_path_fit_into_a_socket_address(tmp_path):
    layout = lay_out(tmp_path / ("deep" * 30))
    try:
        assert layout == lay_out(tmp_path / ("deep" * 30))
        long_one, other = (layout.provider_socket("p" * 62 + end) for end in "ab")
        assert long_one != other
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(long_one.removeprefix("unix:"))
    finally:
        shutil.rmtree(layout.socket_dir)


def test_a_socket_folder_that_somebody_else_made_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "r"))
    (tmp_path / "r").mkdir()
    data_dir = tmp_path / ("deep" * 30)
    layout = lay_out(data_dir)
    layout.socket_dir.rmdir()
    layout.socket_dir.symlink_to(tmp_path)
    try:
        with pytest.raises(StateError, match="belongs to somebody else"):
            lay_out(data_dir)
    finally:
        layout.socket_dir.unlink()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot make the folder") as caught:
        lay_out(tmp_path / "file" / "data")
    assert caught.value.hint == "name another one: --data-dir DIR"


@pytest.mark.alone
async def test_a_second_mesh_in_the_same_data_folder_is_told_where_the_first_is(tmp_path):
    lock = await lock_data_dir(tmp_path / "up.lock", "127.0.0.1:1")
    begin = time.monotonic()
    with pytest.raises(StateError, match=f"process {os.getpid()}, at 127.0.0.1:1"):
        await lock_data_dir(tmp_path / "up.lock", "127.0.0.1:2")
    assert time.monotonic() - begin < 1
    os.close(lock)
    os.close(await lock_data_dir(tmp_path / "up.lock", "127.0.0.1:2"))
    assert json.loads((tmp_path / "up.lock").read_text())["address"] == "127.0.0.1:2"


HOLD_AND_DIE = """
import asyncio, os, subprocess, sys
from pathlib import Path
from automarket.cli.up.lock import lock_data_dir
lock = asyncio.run(lock_data_dir(Path("up.lock"), "127.0.0.1:1"))
child = subprocess.Popen(["sleep", "1.5"], pass_fds=[lock])
os.kill(os.getpid(), 9)
"""


def test_children_of_a_killed_mesh_keep_the_data_folder_until_they_end(tmp_path):
    subprocess.run([sys.executable, "-c", HOLD_AND_DIE], cwd=tmp_path, check=False)
    begin = time.monotonic()
    os.close(asyncio.run(lock_data_dir(tmp_path / "up.lock", "127.0.0.1:2")))
    assert 0.5 < time.monotonic() - begin < 5


async def test_a_free_port_is_given_and_port_0_gives_any():
    port = free_port()
    assert await claim_port("127.0.0.1", port) == port
    assert await claim_port("127.0.0.1", 0) > 0


async def test_a_taken_port_is_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asyncio.get_running_loop().call_later(0.3, server.close)
        assert await claim_port("127.0.0.1", port, patience=3) == port


LISTEN = """
import socket, sys, time
server = socket.socket({family})
server.bind(("{host}", 0))
server.listen()
print(server.getsockname()[1], flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("family", "host"),
    [("socket.AF_INET", "127.0.0.1"), ("socket.AF_INET", "0.0.0.0"), ("socket.AF_INET6", "::")],
)
async def test_whoever_keeps_a_port_is_named_with_its_command(family, host):
    script = LISTEN.format(family=family, host=host)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with pytest.raises(StateError, match=f"port {port} is taken by process {process.pid}") as caught:
            await claim_port("127.0.0.1", port, patience=0.2)
        assert "import socket" in caught.value.message
        assert (
            caught.value.hint == f"stop it (kill {process.pid}), or take another port: automarket up --port {port + 1}"
        )
        process.kill()


def test_nobody_holds_a_free_port():
    assert holder_of(free_port()) is None


def sharing_socket(port):
    sharing = socket.socket()
    sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sharing.bind(("127.0.0.1", port))
    return sharing


async def test_a_held_port_is_taken_to_others_and_shared_by_workers_that_alone_get_the_calls():
    port = free_port()
    with held_port("127.0.0.1", port):
        with pytest.raises(StateError, match=f"port {port} is taken"):
            await claim_port("127.0.0.1", port, patience=0.1)
        with sharing_socket(port) as one, sharing_socket(port) as two:
            one.listen()
            two.listen()
            with pytest.raises(StateError, match=f"port {port} is taken by process {os.getpid()}"):
                await claim_port("127.0.0.1", port, patience=0.1)
            for _ in range(100):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
    assert await claim_port("127.0.0.1", port) == port


async def test_a_port_is_held_and_given_back_between_connections_that_are_still_closing():
    with held_port("127.0.0.1", port := free_port()), sharing_socket(port) as worker:
        worker.listen()
        client = socket.create_connection(("127.0.0.1", port))
        server, _ = worker.accept()
        server.close()  # this end closes first and stays in TIME_WAIT
        assert client.recv(1) == b""
        client.close()
    assert await claim_port("127.0.0.1", port, patience=0.1) == port
    with held_port("127.0.0.1", port), pytest.raises(StateError, match="is taken"):
        await claim_port("127.0.0.1", port, patience=0.1)


def test_who_listens_is_told_apart_from_who_has_only_bound():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert not listens(os.getpid(), port)
        server.listen()
        assert listens(os.getpid(), port)
        assert not listens(os.getppid(), port)


async def test_a_port_that_may_not_be_used_is_an_error_at_once():
    with pytest.raises(StateError, match=r"cannot listen on 192\.0\.2\.1:50051"):
        await claim_port("192.0.2.1", 50051)


def test_a_full_log_is_put_away_while_its_child_writes_on(tmp_path):
    log = LogFile(tmp_path / "a.log", max_bytes=1000)
    descriptor = log.open()
    for number in range(6):
        os.write(descriptor, f"{number}\n".encode() * 600)
        log.rotate()
    os.write(descriptor, b"the end\n")
    os.close(descriptor)
    assert log.tail() == ("the end",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2", "a.log.3"]
    assert [(tmp_path / f"a.log.{number}").read_text()[0] for number in (1, 2, 3)] == ["5", "4", "3"]


def test_the_last_words_of_a_child_are_only_its_own(tmp_path):
    log = LogFile(tmp_path / "a.log")
    os.write(first := log.open(), b"of the one before\n")
    os.close(first)
    os.write(second := log.open(), b"".join(b"line %d\n" % number for number in range(50)))
    os.close(second)
    assert log.tail(2) == ("line 48", "line 49")
    assert len(log.tail(100)) == 50
    assert LogFile(tmp_path / "none.log").tail() == ()
    assert Path(tmp_path / "a.log").stat().st_mode & 0o077 == 0
