"""Server processes: how they start, and every way in which they end."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from automarket.lifetime import PARENT_VARIABLE, parent_pipe

# What the process does with its life is the first argument.
CHILD = """
import asyncio, logging, os, resource, sys, time
from automarket.errors import StateError
from automarket.rpc.process import run_server

async def main(stop):
    what = sys.argv[1]
    if what == "fail":
        raise StateError("the door is shut", hint="open it")
    if what == "bug":
        raise ValueError("a bug")
    print("ready", resource.getrlimit(resource.RLIMIT_CORE)[1], "AUTOMARKET_PARENT_FD" in os.environ, flush=True)
    await stop.wait()
    if what == "hang":
        time.sleep(60)
    logging.getLogger("test").info("stopped", extra={"api_key": "sk-123456789"})

raise SystemExit(run_server("child", main))
"""

# A parent that starts the child with a pipe, says its pid, and waits to be killed.
PARENT = """
import os, subprocess, sys, time
from automarket.lifetime import PARENT_VARIABLE, parent_pipe

read, write = parent_pipe()
env = os.environ | {PARENT_VARIABLE: str(read)}
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2]], env=env, pass_fds=[read],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def start():
    started = []

    def run(*arguments, env=None, **options):
        child = subprocess.Popen(
            [sys.executable, "-c", *arguments],
            env=os.environ | (env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )
        started.append(child)
        return child

    yield run
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stderr.close()


def gone_after(pid, timeout):
    begin = time.monotonic()
    while time.monotonic() - begin < timeout:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            break
        if state == "Z":
            break
        time.sleep(0.02)
    return time.monotonic() - begin


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_server_gracefully(start, number):
    child = start(CHILD, "live")
    child.stdout.readline()
    child.send_signal(number)
    assert child.wait(3) == 0
    assert b"stopped" in child.stderr.read()


def test_a_server_leaves_no_core_file(start):
    assert resource.getrlimit(resource.RLIMIT_CORE) is not None
    child = start(CHILD, "live")
    assert child.stdout.readline().split()[:2] == [b"ready", b"0"]


def test_an_error_of_the_mesh_is_one_sentence_and_exit_code_1(start):
    child = start(CHILD, "fail")
    assert child.wait(5) == 1
    assert child.stderr.read() == b"child: the door is shut (open it)\n"


def test_a_bug_is_a_traceback_and_no_success(start):
    child = start(CHILD, "bug")
    assert child.wait(5) != 0
    assert b"ValueError" in child.stderr.read()


def test_logs_are_json_lines_without_secrets(start):
    child = start(CHILD, "live")
    child.stdout.readline()
    child.terminate()
    child.wait(3)
    [line] = [json.loads(line) for line in child.stderr.read().splitlines()]
    assert (line["service"], line["level"], line["message"], line["api_key"]) == (
        "child",
        "info",
        "stopped",
        "[hidden]",
    )


def test_a_server_ends_when_its_parent_is_killed(start):
    for _ in range(3):
        parent = start(PARENT, CHILD, "live")
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        assert gone_after(pid, 5) < 2


@pytest.mark.slow
def test_a_server_that_hangs_when_its_parent_is_killed_ends_all_the_same(start):
    parent = start(PARENT, CHILD, "hang")
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert gone_after(pid, 10) < 6.5


def test_a_server_lives_while_its_parent_does_and_hides_the_pipe_from_its_own_children(start):
    read, write = parent_pipe()
    child = start(CHILD, "live", env={PARENT_VARIABLE: str(read)}, pass_fds=[read])
    assert child.stdout.readline().split()[2] == b"False"
    os.close(read)
    time.sleep(0.3)
    assert child.poll() is None
    os.close(write)
    assert child.wait(2) == 0


def test_a_collector_that_is_not_there_does_not_hold_up_the_end(start):
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "AUTOMARKET_TELEMETRY": "on"}
    child = start(CHILD, "live", env=env)
    child.stdout.readline()
    begin = time.monotonic()
    child.terminate()
    assert child.wait(10) == 0
    assert time.monotonic() - begin < 4
