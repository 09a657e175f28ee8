"""What breaks, and what a caller sees of it. Three rounds of each in `make test`, many in `make soak`."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
import signal
import struct
import sys
import time
import zlib
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import automarket
from automarket import errors
from automarket.media.wav import wav_header
from tests.e2e.test_spine import MIB, TALK, make_file
from tests.support.cutting_proxy import CuttingProxy
from tests.support.mesh import mesh_running, processes
from tests.support.require import require

ROOT = Path(__file__).resolve().parent.parent.parent
SOAK = [pytest.mark.soak, pytest.mark.timeout(3000)]
ROUNDS = pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=SOAK)])
# Three rounds a mesh: a process that is killed again and again is started later each time, by design.
MESHES = pytest.mark.parametrize("meshes", [1, pytest.param(10, marks=SOAK)])


async def until(ask, seconds, what, pause=0.02):
    """Wait until `await ask()` holds; give the seconds it took."""
    begin = time.monotonic()
    while not await ask():
        assert time.monotonic() - begin < seconds, f"{what}: not within {seconds} s"
        await asyncio.sleep(pause)
    return time.monotonic() - begin


async def instances(mesh, provider):
    with contextlib.suppress(errors.AutoMarketError):
        return [one for info in await mesh.providers() if info.id == provider for one in info.instances]
    return []


@asynccontextmanager
async def toy_provider(running, name, provider_id):
    """Run a provider of tests/support/toy.py beside the mesh."""
    sockets = [path for path in Path("/proc/net/unix").read_text().split() if path.endswith("control.sock")]
    [registry] = [path for path in dict.fromkeys(sockets) if belongs_to(path, running)]
    command = [sys.executable, "-m", "provider_servers.runtime", f"tests.support.toy:{name}"]
    command += ["--listen", f"unix:{running.data_dir}/toy-{provider_id}.sock", "--registry", f"unix:{registry}"]
    with (running.data_dir / f"{provider_id}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=log, stderr=log)
    async with automarket.connect(running.address) as mesh:

        async def there():
            return await instances(mesh, provider_id)

        await until(there, 15, f"{provider_id} registers")
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def belongs_to(path, running):
    """Tell whether a control socket belongs to this mesh."""
    return any(path in command for command in running.children().values())


async def slow_sound(begun=None):
    """Give real speech at about the pace of real time, for half a minute."""
    yield wav_header(16000, 1)
    for _ in range(300):
        if begun is not None:
            begun.set()
        yield bytes(3200)
        await asyncio.sleep(0.1)


async def one_after_another(meshes, folder, *providers, **settings):
    """Run so many meshes, one after another; give each with a client that has these settings."""
    for number in range(meshes):
        data_dir = folder / str(number)
        data_dir.mkdir()
        async with (
            mesh_running(data_dir, *providers) as running,
            automarket.connect(running.address, **settings) as mesh,
        ):
            yield running, mesh


# --- uploads: every byte is sent, as from another machine ---


@ROUNDS
async def test_an_upload_whose_connection_is_cut_goes_on_where_it_was(rounds, short_dir, tmp_path):
    async with mesh_running(short_dir, "ffmpeg") as running:
        for number in range(rounds):
            source = tmp_path / "source"
            digest = make_file(source, 24 + number % 8)
            size = source.stat().st_size
            proxy = CuttingProxy(running.address, int(size * 0.6))
            async with proxy.running() as address, automarket.connect(address, direct_above=None) as mesh:
                stored = await mesh.assets.put(source)
                assert stored.digest == digest
                assert proxy.cuts == 1
                assert size < proxy.passed < size * 1.4, "the upload began anew"
                await mesh.assets.delete(digest)


@MESHES
async def test_an_upload_goes_on_after_the_store_was_killed(meshes, short_dir, tmp_path):
    source = tmp_path / "source"
    digest = make_file(source, 192)
    size = source.stat().st_size
    async for running, mesh in one_after_another(meshes, short_dir, "ffmpeg", direct_above=None):
        for _ in range(3):
            offsets: list[int] = []
            put = asyncio.create_task(
                mesh.assets.put(source, progress=lambda offset, _, seen=offsets: seen.append(offset))
            )
            committed = await kill_the_store_at(0.6 * size, running, offsets)
            stored = await put
            assert stored.digest == digest
            assert stored.bytes_sent >= size
            resumed = [after for before, after in itertools.pairwise(offsets) if after <= before]
            assert resumed, "nothing was lost, so nothing was shown"
            # The first progress after the cut tells the end of the first chunk that was sent again.
            assert min(resumed) > committed, "the upload did not go on where it was"
            assert (await mesh.assets.stat(digest, verify=True)).size_bytes == size
            await mesh.assets.delete(digest)


async def kill_the_store_at(size, running, offsets):
    """Kill -9 the asset store once an upload has so many bytes on disk; give how many there were in the end.

    It dies while more bytes are under way: `offsets` are what the upload has told of its progress.
    """
    uploads = running.data_dir / "assets" / "uploads"

    async def enough():
        return written() >= size

    async def more_is_under_way():
        return offsets[-1] >= written() + 2 * MIB

    async def gone():
        return pid not in processes()

    def written():
        with contextlib.suppress(FileNotFoundError):
            return max((path.stat().st_size for path in uploads.iterdir()), default=0)
        return 0

    pid = running.pid_of("-m", "asset_store")
    await until(enough, 60, "so much is on disk", pause=0.001)
    os.kill(pid, signal.SIGSTOP)
    try:
        await until(more_is_under_way, 5, "more is under way", pause=0.001)
    finally:
        os.kill(pid, signal.SIGKILL)
    await until(gone, 5, "the store is dead")
    return written()


# --- providers and control ---


@pytest.mark.alone
@MESHES
async def test_a_killed_provider_leaves_the_mesh_at_once_and_comes_back_by_itself(meshes, short_dir):
    require("pocketsphinx", "ffmpeg")
    async for running, mesh in one_after_another(meshes, short_dir, "pocketsphinx"):
        async with toy_provider(running, "Parrot", "parrot"):
            await kill_the_provider_three_times(running, mesh)


async def kill_the_provider_three_times(running, mesh):
    for _ in range(3):
        begun = asyncio.Event()
        call = asyncio.create_task(
            mesh.transform(slow_sound(begun), capability="speech-to-text", provider="pocketsphinx")
        )
        await asyncio.wait_for(begun.wait(), 10)
        await asyncio.sleep(0.5)
        [before] = await instances(mesh, "pocketsphinx")
        killed = time.monotonic()
        running.kill("provider_servers.runtime", "pocketsphinx")

        with pytest.raises(errors.UnavailableError) as caught:
            await call
        assert time.monotonic() - killed < 1.0
        assert caught.value.metadata["provider"] == "pocketsphinx"
        assert caught.value.metadata["phase"]

        async def gone(before=before):
            return before.instance_id not in {one.instance_id for one in await instances(mesh, "pocketsphinx")}

        await until(gone, 1.0 - (time.monotonic() - killed), "out of rotation")
        text = await mesh.transform(TALK, capability="speech-to-text")
        assert text.metadata.provider in ("parrot", "pocketsphinx")

        async def back():
            return await instances(mesh, "pocketsphinx")

        await until(back, 20, "the provider comes back")


@MESHES
async def test_control_may_be_killed_and_everything_returns_by_itself(meshes, short_dir):
    async for running, mesh in one_after_another(meshes, short_dir, "flite", "ffmpeg"):
        for _ in range(3):
            running.kill("gateway.control")

            # Of a name that nobody has now it is not known whether it will come back; what is known goes on working.
            async def unsure(mesh=mesh):
                try:
                    await mesh.transform("hello", model="never-seen")
                except errors.UnavailableError as error:
                    return error.retry_after
                except errors.ModelUnknown:  # the gateway has not yet seen that control is gone
                    return False

            await until(unsure, 10, "the gateway notices")
            speech = await mesh.transform("hello", capability="text-to-speech")
            assert speech.duration

            async def back(mesh=mesh):
                return await instances(mesh, "flite") and await instances(mesh, "ffmpeg")

            await until(back, 15, "the providers return")
            speech = await mesh.transform("hello", capability="text-to-speech")
            assert speech.duration


# --- cancel and deadline ---


def ffmpeg_children(running):
    return [pid for pid, command in running.children().items() if "ffmpeg" in command.split(" ")[0].rsplit("/", 1)[-1]]


@pytest.mark.alone
async def test_a_cancel_ends_ffmpeg_and_the_providers_work_within_half_a_second(short_dir, media):
    require("pocketsphinx", "ffmpeg")
    film = media.talk_faststart_mp4().read_bytes()

    async def half_a_film():
        yield film[: len(film) // 2]
        await asyncio.sleep(60)

    async with mesh_running(short_dir, "pocketsphinx") as running, automarket.connect(running.address) as mesh:
        for _ in range(25):
            call = asyncio.create_task(mesh.transform(half_a_film(), capability="speech-to-text"))

            async def working():
                return ffmpeg_children(running)

            await until(working, 10, "FFmpeg runs")
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call

            async def ended():
                return not ffmpeg_children(running)

            await until(ended, 0.5, "FFmpeg ends")

            async def idle():
                return not any(one.active_calls for one in await instances(mesh, "pocketsphinx"))

            await until(idle, 1.0, "the provider is idle")


@pytest.mark.alone
async def test_a_deadline_of_two_seconds_is_at_most_two_seconds_to_the_provider(short_dir):
    async with (
        mesh_running(short_dir, "ffmpeg") as running,
        automarket.connect(running.address) as mesh,
        toy_provider(running, "Clock", "clock"),
    ):

        async def seen():
            stream = mesh.stream("x", provider="clock", timeout=2.0)
            begin = time.monotonic()
            left = None
            with pytest.raises(errors.DeadlineExceeded):
                async for event in stream:
                    if isinstance(event, automarket.events.Progress) and left is None:
                        left = float(event.message)
            assert time.monotonic() - begin < 2.6
            return left

        for left in await asyncio.gather(*(seen() for _ in range(25))):
            assert 0 < left <= 2.0


async def test_no_process_survives_a_killed_supervisor(short_dir):
    with contextlib.suppress(AssertionError):  # the mesh's own check for a graceful end does not apply here
        async with mesh_running(short_dir, "ffmpeg", "flite") as running:
            children = running.children()
            assert len(children) >= 5
            os.kill(running.supervisor.pid, signal.SIGKILL)

            async def gone():
                return not children.keys() & processes().keys()

            took = await until(gone, 10, "all children end")
            assert took < 8
    assert not children.keys() & processes().keys()


# --- bad input ---


def png_header(width, height):
    def piece(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = piece(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + piece(b"IDAT", zlib.compress(bytes(1000))) + piece(b"IEND", b"")


async def refused(call):
    try:
        await call
    except errors.AutoMarketError as error:
        return error
    raise AssertionError("it was not refused")


async def chunks(data, size=65536):
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


async def test_bad_input_is_refused_with_the_right_code_and_leaves_nothing_behind(short_dir, media, tmp_path):
    require("pocketsphinx", "ffmpeg")
    secret = tmp_path / "secret.wav"
    secret.write_bytes(media.tone_wav().read_bytes())
    film = media.talk_mp4().read_bytes()
    cases = {
        "empty": (b"", errors.InputEmpty, "empty"),
        "text": (b"these are words, no sound", errors.InputUnsuitable, "speech"),
        "cut": (media.talk_faststart_mp4().read_bytes()[:90_000], errors.MediaInvalid, "cut|read|corrupt"),
        "cut-index": (film[: len(film) // 2], errors.MediaInvalid, "cut|read|corrupt"),
        "no-time": (wav_header(16000, 1, 0), errors.InputEmpty, "no time|0"),
        "silent-film": (media.silent_mp4().read_bytes(), errors.InputUnsuitable, "sound"),
        "playlist": (f"#EXTM3U\n#EXTINF:1,\n{secret}\n".encode(), errors.MediaRefused, "never"),
        "concat": (f"ffconcat version 1.0\nfile '{secret}'\n".encode(), errors.MediaRefused, "never"),
        "picture": (png_header(50_000, 50_000), (errors.InputUnsuitable, errors.MediaLimit), "."),
    }
    async with (
        mesh_running(short_dir, "pocketsphinx", "ffmpeg") as running,
        automarket.connect(running.address) as mesh,
    ):
        accessed = secret.stat().st_atime_ns
        for name, (data, cls, words) in cases.items():
            path = tmp_path / f"{name}.mp4"
            path.write_bytes(data)
            by_file = await refused(mesh.transform(path, capability="speech-to-text"))
            by_chunks = await refused(mesh.transform(chunks(data), capability="speech-to-text"))
            for how, error in (("file", by_file), ("chunks", by_chunks)):
                assert isinstance(error, cls), f"{name} by {how}: {type(error).__name__}: {error}"
                assert re.search(words, str(error)), f"{name} by {how}: {error}"
                assert str(tmp_path) not in str(error)
        assert secret.stat().st_atime_ns == accessed, "the target of a list was read"

        asked_wrongly = [
            (mesh.transform(TALK, capability="text-to-smell"), errors.CapabilityUnknown),
            (mesh.transform(TALK, capability="text-to-3d"), errors.CapabilityUnknown),
            (mesh.transform(TALK, model="no-such-model"), errors.ModelUnknown),
            (mesh.transform(TALK, provider="no-such-provider"), errors.ProviderUnknown),
            (mesh.transform(TALK, capability="speech-to-text", no_such_option=1), errors.OptionUnknown),
            (mesh.transform(TALK, capability="speech-to-text", language="fr"), errors.OptionInvalid),
        ]
        for call, cls in asked_wrongly:
            error = await refused(call)
            assert isinstance(error, cls), f"{type(error).__name__}: {error}"
            if issubclass(cls, (errors.OptionUnknown, errors.OptionInvalid)):
                assert error.fields

        assert ffmpeg_children(running) == []
        # Every process has a folder of its own for temporary files below tmp.
        assert [path for path in (short_dir / "tmp").rglob("*") if path.is_file()] == []

        done = running.cli("transform", str(tmp_path / "nothing.mp4"), "--capability", "speech-to-text")
        assert done.returncode != 0
        assert "Traceback" not in done.stderr
        assert "nothing.mp4" in done.stderr


async def test_a_picture_with_too_many_pixels_is_refused_where_pictures_are_taken(short_dir, media, tmp_path):
    require("ffmpeg")
    huge = tmp_path / "huge.png"
    huge.write_bytes(png_header(50_000, 50_000))
    async with mesh_running(short_dir, "ffmpeg") as running, automarket.connect(running.address) as mesh:
        error = await refused(mesh.transform(media.talk_mp4(), huge, capability="video-composition"))
        assert isinstance(error, (errors.MediaLimit, errors.MediaInvalid)), error
        assert "pixel" in str(error) or "50" in str(error)
