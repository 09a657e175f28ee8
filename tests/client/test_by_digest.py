"""Large assets pass by file between a program, the store and providers that share a machine."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

import pytest

import automarket
from automarket import AssetLoader, Audio
from automarket.client import events as e
from automarket.errors import AssetCorrupt, AssetUnknown, InvalidRequestError
from tests.client.conftest import running_gateway, until_complete
from tests.client.taker import make_wav
from tests.client.test_direct import MIB, TAKER, watched
from tests.support.mesh import free_port

SMALL = 200_000


@pytest.fixture(scope="module")
def taker():
    with running_gateway(TAKER, public=f"127.0.0.1:{free_port()}") as gateway:
        asyncio.run(until_complete(gateway.address, {"taker"}))
        yield gateway


@pytest.fixture
def wav(tmp_path):
    return make_wav(tmp_path / "sound.wav", 64 * MIB)


def content(gateway, digest):
    digits = digest.removeprefix("sha256:")
    return gateway.content / digits[:2] / digits


def moved(proxy):
    return proxy.passed + proxy.returned


async def opened(mesh, source):
    return json.loads((await mesh.transform(source, model="measure", do="open")).content)


async def test_a_file_goes_in_and_is_opened_by_the_provider_and_no_byte_crosses_the_gateway(taker, wav):
    async with watched(taker) as (mesh, proxy):
        stream = mesh.stream(wav, model="measure", do="open")
        facts = json.loads((await stream.result()).content)
        [upload] = stream.report.uploads
        assert moved(proxy) < SMALL
    data = wav.read_bytes()
    assert Path(facts["path"]) == content(taker, upload.digest)
    assert (facts["size"], facts["mode"]) == (64 * MIB, 0o444)
    assert facts["ends"] == hashlib.sha256(data[:1024] + data[-1024:]).hexdigest()
    assert (upload.sent_bytes, upload.by_file_bytes) == (0, 64 * MIB)
    assert not content(taker, upload.digest).samefile(wav), "what a user may change is never the store's own"
    assert list((taker.folder / "data" / "incoming").iterdir()) == []


async def test_where_that_is_off_every_byte_is_sent(taker, tmp_path):
    wav = make_wav(tmp_path / "other.wav", 20 * MIB)
    async with watched(taker, direct_above=None) as (mesh, proxy):
        stored = await mesh.assets.put(wav)
        assert (stored.bytes_sent, proxy.passed > 20 * MIB) == (20 * MIB, True)
        await mesh.assets.get(stored.digest, tmp_path / "copy.wav")
        assert proxy.returned > 20 * MIB


async def test_an_output_stays_in_the_store_until_it_is_saved_there(taker, tmp_path):
    size = 64 * MIB
    async with watched(taker) as (mesh, proxy):
        stream = mesh.stream("make it", model="make", size=size, by_digest=True)
        events = [event async for event in stream]
        sound = await stream.result()
        assert isinstance(sound, Audio)
        assert not [event for event in events if isinstance(event, e.OutputChunk)]
        assert (sound.size_bytes, sound.media_type, sound.media_info.audio.sample_rate) == (size, "audio/wav", 48_000)
        out = tmp_path / "saved.wav"
        await asyncio.to_thread(sound.save, out)
        assert moved(proxy) < SMALL
    assert out.stat().st_size == size
    assert f"sha256:{hashlib.sha256(out.read_bytes()).hexdigest()}" == sound.digest
    assert os.access(out, os.W_OK)
    assert not content(taker, sound.digest).samefile(out)
    assert sound.path == content(taker, sound.digest)


@pytest.mark.parametrize("in_workdir", [False, True])
async def test_an_output_keeps_its_lineage_and_is_the_stores_alone(taker, in_workdir):
    async with automarket.connect(taker.address) as mesh:
        size = 3 * MIB + in_workdir
        sound = await mesh.transform("again", model="make", size=size, in_workdir=in_workdir, by_digest=True)
        kept = await mesh.assets.stat(sound.digest, verify=True)
    assert (kept.size_bytes, kept.lineage.provider, kept.lineage.model) == (size, "taker", "make")
    facts = content(taker, sound.digest).stat()
    assert (facts.st_nlink, facts.st_mode & 0o777) == (1, 0o444)


async def test_an_output_that_is_small_or_elsewhere_is_fetched_when_it_is_used(taker):
    async with watched(taker, direct_above=None) as (mesh, proxy):
        sound = await mesh.transform("far", model="make", size=5 * MIB, by_digest=True)
        before = proxy.returned
        assert before < SMALL
        data = b"".join([piece async for piece in sound.chunks()])
        assert f"sha256:{hashlib.sha256(data).hexdigest()}" == sound.digest
        assert proxy.returned - before > 5 * MIB
        before = proxy.returned
        assert await asyncio.to_thread(sound.read_bytes) == data
        assert proxy.returned - before < SMALL, "it is here now"


async def test_one_models_output_is_the_next_ones_input_and_no_byte_moves(taker):
    async with watched(taker) as (mesh, proxy):
        sound = await mesh.transform("chain", model="make", size=40 * MIB, by_digest=True)
        facts = await opened(mesh, sound)
        assert Path(facts["path"]) == content(taker, sound.digest)
        assert moved(proxy) < SMALL


async def test_text_comes_as_always(taker, wav):
    async with automarket.connect(taker.address) as mesh:
        text = await mesh.transform(wav, model="measure", do="open", by_digest=True)
    assert json.loads(text.content)["size"] == 64 * MIB


async def test_what_the_store_may_not_keep_cannot_stay_there(taker):
    async with automarket.connect(taker.address) as mesh:
        with pytest.raises(InvalidRequestError) as caught:
            await mesh.transform("no", model="make", by_digest=True, store=False)
    assert "header.outputs_by_digest" in caught.value.fields


def test_the_synchronous_twin_gives_such_outputs_too(taker, tmp_path):
    with automarket.sync.connect(taker.address) as mesh:
        sound = mesh.transform("twin", model="make", size=18 * MIB, by_digest=True)
        sound.save(tmp_path / "twin.wav")
        assert (tmp_path / "twin.wav").stat().st_size == sound.size_bytes == 18 * MIB
        assert mesh.assets.put(tmp_path / "twin.wav").digest == sound.digest


async def test_an_output_that_was_deleted_is_unknown(taker, tmp_path):
    async with automarket.connect(taker.address) as mesh:
        sound = await mesh.transform("gone", model="make", size=17 * MIB + 3, by_digest=True)
        await mesh.assets.delete(sound.digest)
        with pytest.raises(AssetUnknown):
            await asyncio.to_thread(sound.save, tmp_path / "gone.wav")


@pytest.mark.parametrize("damage", ["changed", "cut"])
async def test_a_damaged_file_reaches_nobody(taker, tmp_path, damage):
    wav = make_wav(tmp_path / "damaged.wav", 17 * MIB + (damage == "cut"))
    async with automarket.connect(taker.address) as mesh:
        stored = await mesh.assets.put(wav)
        path = content(taker, stored.digest)
        path.chmod(0o644)
        with path.open("r+b") as file:
            if damage == "cut":
                file.truncate(stored.size_bytes // 2)
            else:
                file.seek(stored.size_bytes // 2)
                file.write(b"!")
        with pytest.raises(AssetCorrupt):
            await opened(mesh, stored)
        with pytest.raises(AssetCorrupt):
            await mesh.assets.get(stored.digest, tmp_path / "out.wav")
        assert not (tmp_path / "out.wav").exists()
        again = await mesh.assets.put(wav)
        assert (await opened(mesh, again))["size"] == wav.stat().st_size


async def test_what_is_not_in_the_store_is_unknown(taker, wav):
    async with automarket.connect(taker.address) as mesh:
        stored = await mesh.assets.put(wav)
        await mesh.assets.delete(stored.digest)
        with pytest.raises(AssetUnknown):
            await opened(mesh, stored)


async def test_a_folder_that_is_another_stores_is_left_alone(taker, tmp_path):
    wav = make_wav(tmp_path / "strange.wav", 18 * MIB)
    name = taker.folder / "data" / "id"
    own = name.read_text()
    name.write_text("00000000-0000-4000-8000-000000000000")
    try:
        async with watched(taker) as (mesh, proxy):
            assert (await mesh.assets.put(wav)).bytes_sent == 18 * MIB
            assert proxy.passed > 18 * MIB
    finally:
        name.write_text(own)


@pytest.mark.alone
@pytest.mark.slow
async def test_by_digest_is_a_hundred_times_faster_than_streaming_through_the_gateway(taker, tmp_path):
    size, rounds = 256 * MIB, 5
    wav = AssetLoader.load(make_wav(tmp_path / "large.wav", size))
    before = peak_mebibytes(taker.providers[0])
    async with (
        automarket.connect(taker.address, direct_above=None) as streaming,
        automarket.connect(taker.address) as mesh,
    ):
        stored = await mesh.assets.put(wav)
        through, by_digest = await streaming.model("measure"), await mesh.model("measure")
        await timed(by_digest.transform(stored, do="open"))
        pairs = [
            (
                await timed(through.transform(wav, do="open", store=False)),
                await timed(by_digest.transform(stored, do="open")),
            )
            for _ in range(rounds)
        ]
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    slow, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
    grown = peak_mebibytes(taker.providers[0]) - before
    figures = f"{slow:.3f} s streamed, {fast * 1000:.1f} ms by digest, {ratio:.0f} times; +{grown:.0f} MiB"
    sys.stdout.write(f"256 MiB: {figures}\n")
    assert ratio > 20  # far below what it is, for a machine that does other things as well
    assert grown < 32


async def timed(work):
    begin = time.perf_counter()
    text = await work
    assert json.loads(text.content)["size"] == 256 * MIB
    return time.perf_counter() - begin


def peak_mebibytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
