"""The life of the FFmpeg child."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from automarket.errors import EngineMissing, MediaInvalid, MediaLimit
from automarket.media.engine import find_ffmpeg
from automarket.media.limits import MediaLimits
from automarket.media.process import capture, run_ffmpeg, running, stream_ffmpeg
from tests.media.conftest import joined, media_children, until

ENDLESS = ["-re", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=25", "-f", "null", "-"]
PROGRAM = """
import asyncio, sys
from automarket.media.process import run_ffmpeg
asyncio.run(run_ffmpeg(sys.argv[1:]))
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_cancelled_caller_leaves_no_child():
    for number in range(25):
        task = asyncio.create_task(run_ffmpeg(ENDLESS))
        if number % 5:
            await until(media_children)
        await asyncio.sleep(0.005 * (number % 7))
        task.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: not media_children(), 0.5)
        assert time.monotonic() - begin < 0.5


async def test_a_child_dies_with_its_parent_even_by_kill():
    for _ in range(3):
        parent = subprocess.Popen([sys.executable, "-c", PROGRAM, *ENDLESS], start_new_session=True)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")

        def child(path=children):
            found = path.read_text().split()
            return int(found[0]) if found and "ffmpeg" in Path(f"/proc/{found[0]}/comm").read_text() else None

        await until(child, 10)
        pid = child()
        assert pid is not None
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        await until(lambda pid=pid: not alive(pid), 0.5)


async def test_a_child_that_takes_too_long_is_ended():
    begin = time.monotonic()
    with pytest.raises(MediaLimit, match="took over"):
        await run_ffmpeg(ENDLESS, limits=MediaLimits(wall_seconds=0.3))
    assert time.monotonic() - begin < 2


async def test_a_child_that_wants_too_much_memory_is_refused(tmp_path):
    big = ["-f", "lavfi", "-i", "color=size=8000x8000:rate=1", "-frames:v", "4", "-f", "rawvideo", "file:/dev/null"]
    with pytest.raises((MediaLimit, MediaInvalid)):
        await run_ffmpeg(big, limits=MediaLimits(memory_bytes=300_000_000, wall_seconds=3))


async def test_a_file_that_grows_too_large_ends_the_work(tmp_path):
    out = tmp_path / "out.raw"
    arguments = ["-f", "lavfi", "-i", "testsrc=size=640x480", "-f", "rawvideo", f"file:{out}"]
    with pytest.raises(MediaLimit):
        await run_ffmpeg(arguments, limits=MediaLimits(max_output_bytes=2_000_000))
    assert out.stat().st_size <= 2_000_000


async def test_a_stream_that_grows_too_large_ends_the_work():
    arguments = ["-f", "lavfi", "-i", "testsrc=size=640x480", "-f", "rawvideo", "pipe:1"]
    with pytest.raises(MediaLimit, match="over 2,000,000"):
        await joined(stream_ffmpeg(arguments, limits=MediaLimits(max_output_bytes=2_000_000)))
    with pytest.raises(MediaLimit):
        await capture(find_ffmpeg(), ["-v", "quiet", *arguments], max_bytes=2_000_000)


async def test_the_child_sees_no_secret_of_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    async with running(find_ffmpeg(), ENDLESS):
        await until(media_children)
        pid = media_children()[0]
        await until(lambda: Path(f"/proc/{pid}/comm").read_text().strip() == "ffmpeg")
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert next(line for line in limits.splitlines() if "core file" in line).split()[4] == "0"
        assert os.getsid(pid) == pid


async def test_what_ffmpeg_said_comes_with_the_error(tmp_path):
    with pytest.raises(MediaInvalid) as caught:
        await run_ffmpeg(["-f", "mov", "-i", f"file:{tmp_path}/none.mp4", "-f", "null", "-"])
    assert "No such file" in caught.value.message
    assert str(tmp_path) not in caught.value.message + "".join(caught.value.log_lines)


async def test_an_encoder_that_is_not_there_is_a_missing_engine():
    with pytest.raises(EngineMissing, match="lacks a codec"):
        await run_ffmpeg(["-f", "lavfi", "-i", "sine=duration=1", "-acodec", "nosuchcodec", "-f", "null", "-"])


async def test_output_can_be_read_without_an_input():
    samples = await joined(
        stream_ffmpeg(["-f", "lavfi", "-i", "sine=duration=1:sample_rate=8000", "-f", "s16le", "pipe:1"])
    )
    assert len(samples) == 16_000


async def test_many_run_at_once():
    arguments = ["-f", "lavfi", "-i", "sine=duration=1:sample_rate=8000", "-f", "s16le", "pipe:1"]
    results = await asyncio.gather(*(joined(stream_ffmpeg(arguments)) for _ in range(8)))
    assert {len(one) for one in results} == {16_000}


async def test_the_work_is_a_span_of_the_current_trace():
    code = (
        "import asyncio, json\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "out = InMemorySpanExporter()\n"
        "provider = TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(out))\n"
        "trace.set_tracer_provider(provider)\n"
        "from automarket.errors import MediaInvalid\n"
        "from automarket.media.process import run_ffmpeg\n"
        "from automarket.rpc.telemetry import span\n"
        "async def main():\n"
        "    with span('outer'):\n"
        "        await run_ffmpeg(['-f', 'lavfi', '-i', 'sine=duration=0.1', '-f', 'null', '-'])\n"
        "        try:\n"
        "            await run_ffmpeg(['-f', 'mov', '-i', 'file:/nowhere', '-f', 'null', '-'])\n"
        "        except MediaInvalid:\n"
        "            pass\n"
        "asyncio.run(main())\n"
        "good, bad, outer = out.get_finished_spans()\n"
        "assert (good.name, bad.name, outer.name) == ('ffmpeg', 'ffmpeg', 'outer')\n"
        "assert good.parent.span_id == outer.context.span_id == bad.parent.span_id\n"
        "assert good.status.is_ok and bad.attributes['error.type'] == 'MEDIA_INVALID'\n"
    )
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
