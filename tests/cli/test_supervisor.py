from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time

import pytest

from automarket.cli.up import child as child_module
from automarket.cli.up.child import ChildSpec, ChildState, delay_after
from automarket.cli.up.supervisor import Supervisor
from automarket.errors import StateError
from tests.cli.children import Journal, python, shell, surroundings
from tests.support.mesh import processes, wait_until


def serve(name: str) -> str:
    return f"touch {name}.ready; exec sleep 100"


async def test_a_child_that_dies_is_started_again_and_the_others_are_left_alone(tmp_path):
    journal = Journal()
    async with Supervisor(surroundings(tmp_path), journal) as supervisor:
        first, other = await supervisor.start([shell(tmp_path, name, serve(name)) for name in ("one", "two")])
        os.kill(first.pid, signal.SIGKILL)
        again = await journal.until("one", ChildState.READY, 2)
        assert again.pid != first.pid
        assert journal.states("two") == [ChildState.READY]
        assert other.pid in processes()
        ended = await journal.until("one", ChildState.ENDED)
        assert ended.why == "killed by SIGKILL"
        assert ended.delay == pytest.approx(0.1)


async def test_children_end_in_the_order_of_their_groups(tmp_path):
    order = tmp_path / "order"
    script = "trap 'echo {0} >>order; exit 0' TERM; touch {0}.ready; while :; do sleep 0.05; done"
    async with Supervisor(surroundings(tmp_path), Journal()) as supervisor:
        await supervisor.start([shell(tmp_path, name, script.format(name)) for name in ("store", "provider", "door")])
        await supervisor.stop([["door"], ["provider"], ["store"]], grace=5)
    assert order.read_text().split() == ["door", "provider", "store"]


async def test_a_child_that_does_not_heed_the_request_to_end_is_killed(tmp_path):
    journal = Journal()
    script = "trap '' TERM; touch deaf.ready; while :; do sleep 0.05; done"
    async with Supervisor(surroundings(tmp_path), journal) as supervisor:
        await supervisor.start([shell(tmp_path, "deaf", script)])
        begin = time.monotonic()
        await supervisor.stop([["deaf"]], grace=0.3)
        assert time.monotonic() - begin < 2
    assert journal.events[-1].why == "killed by SIGKILL"


async def test_what_a_child_has_started_ends_with_it(tmp_path):
    script = "sleep 4321 & echo $! >helper; touch one.ready; wait"
    async with Supervisor(surroundings(tmp_path), journal := Journal()) as supervisor:
        await supervisor.start([shell(tmp_path, "one", script)])
        helper = int((tmp_path / "helper").read_text())
        assert helper in processes()
        os.kill(journal.events[0].pid, signal.SIGKILL)
        await journal.until("one", ChildState.ENDED)
        wait_until(lambda: helper not in processes(), 2, "the helper ended")


async def test_starts_that_fail_in_a_row_become_rarer(tmp_path):
    journal = Journal()
    async with Supervisor(surroundings(tmp_path), journal) as supervisor:
        events = await supervisor.start([shell(tmp_path, "bad", "echo no engine; exit 3")])
        assert (events[0].state, events[0].why) == (ChildState.FAILED, "exit code 3")
        assert events[0].log_lines == ("no engine",)
        await journal.until("bad", ChildState.FAILED, 3)
    delays = [event.delay for event in journal.events[:3]]
    assert delays == [pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.4)]
    assert [delay_after(failures) for failures in (0, 1, 2, 100)] == [0.1, 0.1, 0.2, 15]


async def test_a_child_that_ends_in_order_is_started_again_at_once_however_often(tmp_path):
    journal = Journal()
    async with Supervisor(surroundings(tmp_path), journal) as supervisor:
        await supervisor.start(
            [shell(tmp_path, "one", "trap 'rm one.ready; exit 0' TERM; touch one.ready; while :; do sleep 0.01; done")]
        )
        for round_ in range(1, 6):
            os.kill((await journal.until("one", ChildState.READY, round_)).pid, signal.SIGTERM)
            ended = await journal.until("one", ChildState.ENDED, round_)
            assert (ended.why, ended.delay) == ("exit code 0", pytest.approx(0.1))


async def test_a_child_that_nothing_works_without_fails_the_start_with_its_last_words(tmp_path):
    async with Supervisor(surroundings(tmp_path), Journal()) as supervisor:
        with pytest.raises(StateError) as caught:
            await supervisor.start_essential([shell(tmp_path, "store", "echo 1; echo the disk is full >&2; exit 1")])
    assert str(caught.value).startswith("store did not start (exit code 1)")
    assert caught.value.log_lines == ("1", "the disk is full")


async def test_a_child_that_never_takes_work_is_a_failure(tmp_path, monkeypatch):
    monkeypatch.setattr(child_module, "START_SECONDS", 0.3)
    async with Supervisor(surroundings(tmp_path), Journal()) as supervisor:
        events = await supervisor.start([shell(tmp_path, "slow", "exec sleep 100")])
    assert events[0].state == ChildState.FAILED
    assert events[0].pid not in processes()


async def test_a_program_that_is_not_there_is_an_error_at_once(tmp_path):
    missing = ChildSpec("gone", (str(tmp_path / "nothing"),), asyncio.Event().wait)  # pyright: ignore
    async with Supervisor(surroundings(tmp_path), Journal()) as supervisor:
        with pytest.raises(FileNotFoundError):
            await supervisor.start([missing])


async def test_stopping_during_the_pause_before_a_restart_starts_nothing_more(tmp_path):
    journal = Journal()
    async with Supervisor(surroundings(tmp_path), journal) as supervisor:
        await supervisor.start([shell(tmp_path, "bad", "echo x >>starts; exit 1")])
        await supervisor.stop([["bad"]], grace=1)
        count = (tmp_path / "starts").read_text().count("x")
        await asyncio.sleep(0.5)
        assert (tmp_path / "starts").read_text().count("x") == count


async def test_leaving_the_supervisor_leaves_no_child_behind(tmp_path):
    async with Supervisor(surroundings(tmp_path), journal := Journal()) as supervisor:
        await supervisor.start([shell(tmp_path, name, serve(name)) for name in ("a", "b", "c")])
    assert not {event.pid for event in journal.events} & processes().keys()


async def test_a_cancelled_start_leaves_no_child_behind(tmp_path):
    for _ in range(25):
        async with Supervisor(surroundings(tmp_path), Journal()) as supervisor:
            starting = asyncio.create_task(supervisor.start([shell(tmp_path, "slow", "exec sleep 7654")]))
            await asyncio.sleep(0.01)
            starting.cancel()
            await asyncio.wait({starting})
    assert not [command for command in processes().values() if command.startswith("sleep 7654")]


SUPERVISE = """
import asyncio, os, sys
from pathlib import Path
from automarket.cli.up.child import ChildSpec, Surroundings
from automarket.cli.up.supervisor import Supervisor
from automarket.lifetime import PARENT_VARIABLE, parent_pipe

CHILD = '''
import asyncio
from automarket.rpc.process import run_server
async def main(stop):
    open("ready", "w").close()
    await stop.wait()
run_server("child", main)
'''

async def main():
    read, _ = parent_pipe()
    here = Path.cwd()
    surroundings = Surroundings(os.environ | {PARENT_VARIABLE: str(read)}, here, here, (read,))
    async def ready(pid):
        while not (here / "ready").exists():
            await asyncio.sleep(0.01)
    async with Supervisor(surroundings, lambda event: print(event.pid, flush=True)) as supervisor:
        await supervisor.start([ChildSpec("child", (sys.executable, "-P", "-c", CHILD), ready)])
        await asyncio.sleep(100)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_child_outlives_its_supervisor_however_that_ends(tmp_path, number):
    for round_ in range(3):
        folder = tmp_path / str(round_)
        folder.mkdir()
        with subprocess.Popen(python(SUPERVISE), cwd=folder, stdout=subprocess.PIPE, text=True) as supervisor:
            assert supervisor.stdout is not None
            child = int(supervisor.stdout.readline())
            assert child in processes()
            supervisor.send_signal(number)
        wait_until(lambda child=child: child not in processes(), 6, "the child ended")


async def test_a_child_reads_nothing_from_the_terminal_and_is_not_reached_by_its_signals(tmp_path):
    spec = shell(tmp_path, "one", "cat >read; touch one.ready; exec sleep 100")
    async with Supervisor(surroundings(tmp_path), Journal()) as supervisor:
        events = await supervisor.start([spec])
        assert os.getsid(events[0].pid) == events[0].pid != os.getsid(0)
    assert (tmp_path / "read").read_bytes() == b""
