"""What survives: cut connections, a store that is killed, a lost index, damaged bytes."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from automarket import errors
from automarket.assets.roles import Role
from automarket.client.assets import AssetClient
from automarket.digests import digest_bytes
from automarket.media.info import CastSpec
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.stored import Lineage
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from tests.asset_store.process import StoreProcess, eventually, noise
from tests.asset_store.uploading import MIB, chunks, header, write, write_until

DATA = noise(10 * MIB + 5)
CUT = 6 * MIB


@pytest.mark.parametrize("_round", range(3))
async def test_an_upload_goes_on_from_60_percent_after_the_store_was_killed(store, channel, _round):
    first = header(DATA)
    call = await write_until(channel, first, DATA, CUT)
    store.kill()
    with pytest.raises(errors.AutoMarketError), errors_mapped():
        await call
    assert not list((store.data_dir / "content").glob("*/*")), "a half write is visible"
    store.start()
    async with open_channel(store.address) as again:
        offset = (
            await AssetServiceStub(again).GetUpload(pb.GetUploadRequest(upload_id=first.upload_id), wait_for_ready=True)
        ).committed_offset
        assert offset == CUT
        answer = await write(again, first, *chunks(DATA, offset))
    assert answer.asset.digest == digest_bytes(DATA)
    assert store.content(answer.asset.digest).read_bytes() == DATA


@pytest.mark.parametrize("_round", range(3))
async def test_the_client_goes_on_by_itself_when_the_store_is_killed_and_started(store, client, tmp_path, _round):
    path = tmp_path / "data.bin"
    path.write_bytes(noise(40 * MIB, seed=_round))
    cut = asyncio.Event()

    def progress(sent: int, size: int | None) -> None:
        assert size == 40 * MIB
        if sent >= 24 * MIB:
            cut.set()

    async def break_it() -> None:
        await cut.wait()
        await asyncio.to_thread(store.kill)
        await asyncio.sleep(0.3)
        await asyncio.to_thread(store.start)

    broken = asyncio.create_task(break_it())
    asset = await client.put(path, progress=progress)
    await broken
    assert asset.digest == digest_bytes(path.read_bytes())
    assert 40 * MIB <= asset.bytes_sent <= 56 * MIB, "it began again at byte 0"
    assert store.content(asset.digest).read_bytes() == path.read_bytes()


async def test_a_client_that_was_killed_goes_on_when_it_is_started_again(store, client, tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(noise(40 * MIB))
    sending = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED_CLIENT, store.address, str(path), cwd=Path(__file__).parents[2]
    )
    assert await sending.wait() == -signal.SIGKILL
    seen = []
    asset = await client.put(path, progress=lambda sent, _: seen.append(sent))
    assert asset.digest == digest_bytes(path.read_bytes())
    assert seen[0] > 10 * MIB
    assert asset.bytes_sent < 30 * MIB


KILLED_CLIENT = """
import asyncio, os, signal, sys
from pathlib import Path
from automarket.client.assets import AssetClient
from automarket.rpc.channel import open_channel

def progress(sent, size):
    if sent >= 24 * 1024 * 1024:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with open_channel(sys.argv[1]) as channel:
        await AssetClient(channel).put(Path(sys.argv[2]), progress=progress)

asyncio.run(main())
"""


@pytest.mark.parametrize("_round", range(3))
async def test_the_client_goes_on_when_only_the_connection_is_cut(short_dir, store, _round):
    data = noise(20 * MIB, seed=_round)
    async with CuttableProxy(store.address, f"{short_dir}/p.sock") as proxy, open_channel(proxy.address) as channel:
        cut = asyncio.Event()
        sending = asyncio.create_task(
            AssetClient(channel).put(data, progress=lambda sent, _: cut.set() if sent >= 12 * MIB else None)
        )
        await cut.wait()
        proxy.cut()
        asset = await sending
    assert asset.digest == digest_bytes(data)
    assert asset.bytes_sent < 36 * MIB


async def test_a_stream_is_uploaded_whole_although_the_store_is_killed_on_the_way(store, client):
    data = noise(30 * MIB)
    closed = []

    async def live():
        try:
            for start in range(0, len(data), 300_000):
                if start == 18_000_000:
                    await asyncio.to_thread(store.kill)
                    await asyncio.to_thread(store.start)
                yield data[start : start + 300_000]
        finally:
            closed.append(True)

    asset = await client.put_stream(live(), lineage=Lineage("text-to-speech", provider="p", model="m"))
    assert asset.digest == digest_bytes(data)
    assert asset.lineage == Lineage("text-to-speech", provider="p", model="m")
    assert not asset.derived
    assert closed == [True]


async def test_a_store_that_never_comes_back_is_an_error_after_a_while(store, channel):
    first = header(DATA)
    client = AssetClient(channel, patience=1)

    def die(sent: int, _size: int | None) -> None:
        if sent == 2 * MIB:
            store.kill()

    with pytest.raises(errors.UnavailableError):
        await client.put(DATA, progress=die)
    assert first


async def test_where_nobody_listens_an_upload_fails_at_once(short_dir):
    async def live():
        yield b"x"

    async with open_channel(f"unix:{short_dir}/nobody.sock") as channel:
        client = AssetClient(channel)
        async with asyncio.timeout(5):
            with pytest.raises(errors.UnavailableError):
                await client.put(b"x")
            with pytest.raises(errors.UnavailableError):
                await client.put_stream(live())
            with pytest.raises(errors.UnavailableError):
                [piece async for piece in client.read(digest_bytes(b"x"))]


async def test_a_download_goes_on_after_the_store_was_killed(store, client, tmp_path):
    asset = await client.put(noise(40 * MIB))
    out = tmp_path / "out.bin"
    killed = []

    def progress(here: int, size: int | None) -> None:
        if here >= 20 * MIB and not killed:
            killed.append(here)
            store.kill()
            store.start()

    await client.get(asset.digest, out, progress=progress)
    assert killed
    assert digest_bytes(out.read_bytes()) == asset.digest
    assert list(tmp_path.iterdir()) == [out]


async def test_a_download_that_was_given_up_goes_on_where_it_was(store, client, tmp_path):
    asset = await client.put(noise(20 * MIB))
    out = tmp_path / "out.bin"
    halfway = asyncio.Event()
    seen = []

    def progress(here: int, size: int | None) -> None:
        seen.append(here)
        if here >= 8 * MIB:
            halfway.set()

    task = asyncio.create_task(client.get(asset.digest, out, progress=progress))
    await halfway.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not out.exists()
    seen.clear()
    await client.get(asset.digest, out, progress=progress)
    assert seen[0] > 8 * MIB
    assert digest_bytes(out.read_bytes()) == asset.digest


async def test_a_flipped_bit_is_data_loss_and_an_upload_mends_it(store, client):
    asset = await client.put(DATA)
    path = store.content(asset.digest)
    flip(path, 5_000_000)
    for _ in range(2):
        with pytest.raises(errors.AssetCorrupt):
            [piece async for piece in client.read(asset.digest)]
    with pytest.raises(errors.AssetCorrupt):
        await client.stat(asset.digest, verify=True)
    assert not path.exists(), "damaged bytes are still where others open them by path"
    assert await client.find_missing([asset.digest]) == [asset.digest]
    again = await client.put(DATA)
    assert again.bytes_sent == len(DATA)
    assert b"".join([piece async for piece in client.read(asset.digest)]) == DATA
    assert store.leftovers() == []


async def test_a_bit_that_flips_while_the_store_is_away_is_found_at_the_first_read(store, client):
    asset = await client.put(DATA)
    store.stop()
    before = store.content(asset.digest).stat()
    flip(store.content(asset.digest), 1)
    os.utime(store.content(asset.digest), ns=(before.st_atime_ns, before.st_mtime_ns))
    store.start()
    with pytest.raises(errors.AssetCorrupt):
        [piece async for piece in client.read(asset.digest)]


async def test_content_is_checked_once_and_not_at_every_use(store, client):
    asset = await client.put(noise(64 * MIB))
    store.stop()
    store.start()
    used = []
    for _ in range(3):
        before = cpu_seconds(store)
        [piece async for piece in client.read(asset.digest, limit=10)]
        used.append(cpu_seconds(store) - before)
    assert max(used[1:]) < used[0] / 2, used


async def test_a_lost_index_is_made_anew_from_the_content(store, client, media):
    asset = await client.put(media.speech_wav())
    store.stop()
    for path in store.data_dir.glob("index.sqlite*"):
        path.unlink()
    stray = store.data_dir / "content" / "ab" / ("ab" + "0" * 62)
    stray.write_bytes(b"not what the name says")
    store.start()
    await eventually(partial(has, client, asset.digest))
    found = await client.stat(asset.digest)
    assert (found.media_type, found.media_info) == (asset.media_type, asset.media_info)
    assert await client.find_missing([f"sha256:{stray.name}"]) == [f"sha256:{stray.name}"]


async def test_a_damaged_index_is_made_anew_too(store, client):
    asset = await client.put(DATA)
    store.stop()
    (store.data_dir / "index.sqlite").write_bytes(b"garbage" * 1000)
    store.start()
    await eventually(partial(has, client, asset.digest))
    assert b"".join([piece async for piece in client.read(asset.digest)]) == DATA


async def test_bytes_that_somebody_deleted_are_unknown_and_not_an_empty_answer(store, client):
    asset = await client.put(DATA)
    store.content(asset.digest).unlink()
    with pytest.raises(errors.AssetUnknown):
        [piece async for piece in client.read(asset.digest)]
    assert await client.find_missing([asset.digest]) == [asset.digest]
    store.stop()
    store.start()
    with pytest.raises(errors.AssetUnknown):
        await client.stat(asset.digest)


def test_two_stores_cannot_share_a_folder(store, tmp_path):
    with StoreProcess(tmp_path, data_dir=store.data_dir) as second:
        with pytest.raises(AssertionError, match="another asset store uses"):
            second.start()
        assert second.process is not None
        assert second.process.wait(10) == 1


def test_a_store_that_cannot_run_says_why_in_a_sentence(short_dir):
    def run(*arguments: str) -> tuple[int, str]:
        command = [sys.executable, "-P", "-m", "asset_store", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return ended.returncode, ended.stderr

    code, said = run("--listen", f"unix:{short_dir}/s")
    assert (code, "data_dir" in said, "Traceback" in said) == (2, True, False)
    code, said = run("--listen", f"unix:{short_dir}/s", "--data-dir", "/proc/nothing")
    assert (code, "/proc/nothing" in said, "Traceback" in said) == (1, True, False)
    code, said = run("--listen", "0.0.0.0:0", "--data-dir", str(short_dir / "data"))
    assert (code, "refusing" in said, "Traceback" in said) == (1, True, False)


async def test_a_killed_store_loses_no_asset_that_it_acknowledged(store, client):
    digests = []
    for number in range(20):
        digests.append((await client.put(noise(5000, seed=number), file_name=f"{number}.bin")).digest)
        if number % 5 == 4:
            store.kill()
            store.start()
    assert await client.find_missing(digests) == []
    names = {asset.digest: asset.file_name async for asset in client.list()}
    assert [names[digest] for digest in digests] == [f"{number}.bin" for number in range(20)]


async def test_a_cast_that_was_damaged_is_made_again(store, client, media):
    spec = CastSpec(Role.SPEECH)
    asset = await client.put(media.talk_mp4())
    made = await client.cast(asset.digest, spec)
    flip(store.content(made.asset.digest), 1000)
    again = await client.cast(asset.digest, spec)
    assert not again.cached
    assert again.asset.digest == made.asset.digest


async def has(client, digest: str) -> bool:
    return not await client.find_missing([digest])


def flip(path, position: int) -> None:
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def cpu_seconds(store: StoreProcess) -> float:
    values = Path(f"/proc/{store.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")


class CuttableProxy:
    """Passes bytes between a new Unix socket and a store, until it is told to cut."""

    def __init__(self, upstream: str, path: str) -> None:
        self._upstream = upstream.removeprefix("unix:")
        self._path = path
        self.address = f"unix:{path}"
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self):
        self._server = await asyncio.start_unix_server(self._join, self._path)
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader, writer):
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(self._upstream)
        self._writers += [writer, upstream_writer]
        for source, sink in ((reader, upstream_writer), (upstream_reader, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)

    async def _pump(self, source, sink):
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except (ConnectionError, OSError):
            pass
        finally:
            sink.close()


def test_a_store_folder_can_be_moved(store):
    store.stop()
    moved = store.folder / "elsewhere"
    shutil.move(store.data_dir, moved)
    store.data_dir = moved
    store.start()
