from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from automarket.cli.up.layout import Layout, lay_out
from automarket.cli.up.mesh import LocalMesh
from automarket.cli.up.port import listens
from automarket.errors import InvalidRequestError
from tests.cli.conftest import AUTOMARKET, up
from tests.support.mesh import free_port, processes, wait_until

pytestmark = pytest.mark.slow


def start(data_dir, *arguments):
    return subprocess.run(
        [*AUTOMARKET, "up", "--data-dir", str(data_dir), *arguments],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def test_up_says_where_it_is_and_what_it_has(mesh):
    running = {provider["id"] for provider in mesh.ready["providers"] if provider["instances"]}
    assert {"pocketsphinx", "flite", "ffmpeg"} <= running
    assert "en-us" in {model["id"] for model in mesh.ready["models"]}
    assert {path.name for path in (mesh.data_dir / "logs").iterdir()} >= {
        "asset-store.log",
        "control.log",
        "gateway.log",
        "provider-flite.log",
    }


def test_a_second_mesh_in_the_same_folder_is_refused_and_the_first_one_named(mesh):
    result = start(mesh.data_dir, "--port", "0")
    assert result.returncode == 6
    assert f"process {mesh.process.pid}" in result.stderr
    assert "--data-dir" in result.stderr


def test_a_taken_port_is_retried_and_then_its_holder_named(short_dir):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        begin = time.monotonic()
        result = start(short_dir, "--port", str(port))
    assert result.returncode == 6
    assert f"port {port} is taken by process {os.getpid()}" in result.stderr
    assert 5 < time.monotonic() - begin < 12


def test_a_provider_that_nobody_knows_is_an_error_with_the_nearest_name(short_dir):
    result = start(short_dir, "--port", "0", "--provider", "flight")
    assert result.returncode == 4
    assert "did you mean flite?" in result.stderr


def test_only_the_providers_that_were_asked_for_run_and_the_others_say_so(short_dir):
    with up(short_dir, "--provider", "flite") as running:
        providers = {one["id"]: one for one in running.ready["providers"]}
        assert providers["flite"]["instances"]
        assert not providers["ffmpeg"]["instances"]
        assert providers["ffmpeg"]["availability"]["hint"] == "automarket up --provider ffmpeg"
        assert len(running.below()) == 4


def test_several_workers_share_the_port_each_with_a_name_and_a_log_of_its_own(short_dir):
    with up(short_dir, "--provider", "flite", "--workers", "3") as running:
        names = ["gateway", "gateway-2", "gateway-3"]
        assert running.ready["workers"] == names
        assert {f"{name}.log" for name in names} <= {path.name for path in (short_dir / "logs").iterdir()}
        port = int(running.address.rpartition(":")[2])
        workers = [pid for pid in running.below() if listens(pid, port)]
        assert len(workers) == 3
        os.kill(workers[0], signal.SIGKILL)
        ended = running.until("process", state="ended")
        assert ended["pid"] == workers[0]
        assert running.until("process", state="ready")["name"] == ended["name"]


def test_a_port_that_workers_share_is_not_shared_with_a_second_mesh(short_dir):
    with up(short_dir, "--provider", "flite", "--workers", "2") as running:
        port = running.address.rpartition(":")[2]
        result = start(short_dir / "second", "--port", port, "--workers", "2")
        assert result.returncode == 6
        assert f"port {port} is taken by process" in result.stderr
        assert any(f"by process {pid} " in result.stderr for pid in running.below())


def test_a_socket_file_is_not_for_several_workers(tmp_path):
    layout = Layout(tmp_path, tmp_path)
    with pytest.raises(InvalidRequestError, match=r"2 workers cannot share unix:/run/mesh\.sock") as caught:
        LocalMesh(layout, "unix:/run/mesh.sock", (), workers=2)
    assert caught.value.hint == "listen on a port, or run one worker"
    assert LocalMesh(layout, "unix:/run/mesh.sock", ()).workers == ["gateway"]


def test_a_killed_provider_is_back_by_itself(mesh):
    for _ in range(3):
        pid = next(pid for pid, command in processes().items() if pid in mesh.below() and " flite " in command)
        os.kill(pid, signal.SIGKILL)
        ended = mesh.until("process", name="provider-flite", state="ended")
        assert ended["why"] == "killed by SIGKILL"
        assert mesh.until("process", name="provider-flite", state="ready")["pid"] != pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_no_process_is_left_however_up_ends_and_it_can_be_started_again_at_once(short_dir, number):
    for _ in range(3):
        with up(short_dir, "--provider", "flite") as running:
            below = running.below()
            assert len(below) >= 4
            running.process.send_signal(number)
            running.process.wait(15)
            if number != signal.SIGKILL:
                assert running.process.returncode == 0
                assert not below & processes().keys()
    wait_until(lambda: not below & processes().keys(), 7, "all processes ended")


def test_a_second_signal_stops_at_once(short_dir):
    with up(short_dir, "--provider", "flite") as running:
        below = running.below()
        for pid in below:
            os.kill(pid, signal.SIGSTOP)
        running.process.send_signal(signal.SIGINT)
        running.until("stopping")
        begin = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0
        assert time.monotonic() - begin < 3
        assert not below & processes().keys()


def test_ctrl_c_while_it_starts_leaves_nothing(short_dir):
    for delay in (0, 0.3, 0.8, 1.3, 1.8):
        command = [*AUTOMARKET, "up", "--port", "0", "--data-dir", str(short_dir)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert process.stderr.readline() == "starting ...\n"
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            assert process.wait(15) in (0, 130), process.stderr.read()
        mark = str(short_dir)
        wait_until(lambda mark=mark: not [one for one in processes().values() if mark in one], 7, "all ended")


def test_up_ends_whole_when_nobody_reads_it_any_more(short_dir):
    with up(short_dir, "--provider", "flite") as running:
        below = running.below()
        assert running.process.stdout is not None
        running.process.stdout.close()
        os.kill(next(pid for pid in below if "provider_servers" in processes()[pid]), signal.SIGKILL)
        running.process.wait(10)
        assert not below & processes().keys()


def test_a_mesh_under_nohup_outlives_its_terminal(short_dir):
    command = ["nohup", *AUTOMARKET, "up", "--json", "--port", "0", "--data-dir", str(short_dir), "--provider", "flite"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        while json.loads(process.stdout.readline())["event"] != "ready":
            pass
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.terminate()
        assert process.wait(15) == 0


async def test_a_mesh_whose_control_ends_while_it_says_what_it_has_says_it_a_little_later(short_dir):
    port = free_port()
    mesh = LocalMesh(lay_out(short_dir / "other"), f"127.0.0.1:{port}", [])
    asking = asyncio.create_task(mesh.describe())
    await asyncio.sleep(0.5)
    assert not asking.done(), "nobody answers yet"
    with up(short_dir, "--port", str(port), "--provider", "ffmpeg"):
        providers, models = await asking
    assert {one.id for one in providers} >= {"ffmpeg"}
    assert models


def test_a_part_that_does_not_start_shows_its_last_words(short_dir):
    (short_dir / "assets").write_text("not a folder")
    result = start(short_dir, "--port", "0", "--json")
    assert result.returncode == 6
    error = json.loads(result.stderr)["error"]
    assert error["message"].startswith("asset-store did not start")
    assert str(short_dir / "logs/asset-store.log") in error["hint"]
    assert error["log_lines"]


def test_a_folder_of_the_callers_is_never_taken_for_ours(short_dir, tmp_path, monkeypatch):
    for name in ("gateway", "asset_store", "provider_servers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('taken for ours')")
    monkeypatch.chdir(tmp_path)
    with up(short_dir, "--provider", "flite") as running:
        assert running.address


def test_without_the_mesh_extra_up_says_what_to_install(tmp_path):
    python = environment_without(tmp_path, "grpc_reflection", "grpcio_reflection")
    result = subprocess.run(
        [python, "-P", "-m", "automarket", "up", "--data-dir", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 6
    assert "grpcio-reflection" in result.stderr
    assert "pip install 'automarket[mesh]'" in result.stderr


def environment_without(folder: Path, *packages: str) -> str:
    """Make an environment that has what this one has, but for some packages."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith(packages):
            (site / entry.name).symlink_to(entry)
    return str(folder / "venv" / "bin" / "python")


def test_without_the_mesh_extra_the_other_commands_work(mesh, tmp_path):
    extra = ("grpc_reflection", "grpcio_reflection", "grpc_health", "grpcio_health", "pydantic_settings", "jsonschema")
    python = environment_without(tmp_path, *extra, "opentelemetry_sdk", "opentelemetry_exporter")
    for words in (["status", "--address", mesh.address], ["doctor"]):
        result = subprocess.run([python, "-P", "-m", "automarket", *words], capture_output=True, text=True, check=False)
        assert result.returncode == (6 if words == ["doctor"] else 0), result.stderr
    assert "pip install 'automarket[mesh]'" in result.stdout
