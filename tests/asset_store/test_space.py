"""Quota, eviction, and disks that are really full."""

from __future__ import annotations

import asyncio
import os
import subprocess

import pytest

from automarket import errors
from automarket.assets.roles import Role
from automarket.client.assets import AssetClient
from automarket.digests import digest_bytes
from automarket.media.info import AudioFormat, CastSpec
from automarket.rpc.channel import open_channel
from tests.asset_store.process import StoreProcess, noise
from tests.asset_store.uploading import MIB, chunks, header, write


def rate(hertz: int) -> CastSpec:
    return CastSpec(Role.SPEECH, AudioFormat("wav", hertz, 1))


async def test_the_quota_bounds_what_is_kept_and_says_so_before_bytes_are_sent(store, channel, client):
    store.stop()
    store.start("--quota-bytes", "5MiB")
    kept = await client.put(noise(3 * MIB))
    sent = []
    with pytest.raises(errors.QuotaExceeded):
        await client.put(noise(3 * MIB, seed=2), progress=lambda *values: sent.append(values))
    assert sent == []
    assert store.leftovers() == []
    first = header()
    with pytest.raises(errors.QuotaExceeded):
        await write(channel, first, *chunks(noise(3 * MIB, seed=2)))
    assert len(store.leftovers()) == 1, "what came is kept"
    await client.delete(kept.digest)
    answer = await write(channel, first, *chunks(noise(3 * MIB, seed=2), 2 * MIB))
    assert answer.asset.digest == digest_bytes(noise(3 * MIB, seed=2))


async def test_casts_are_evicted_least_recently_used_first_and_uploads_never(store, client, media):
    sound = await client.put(media.tone_wav())
    made = {hertz: await client.cast(sound.digest, rate(hertz)) for hertz in (8000, 16000, 22050, 32000)}
    sizes = sum(result.asset.size_bytes for result in made.values())
    await client.cast(sound.digest, rate(8000))  # used just now
    store.stop()
    store.start("--quota-bytes", str(sound.size_bytes + sizes + 100_000))
    upload = await client.put(noise(130_000))
    missing = set(await client.find_missing([result.asset.digest for result in made.values()]))
    assert missing == {made[16000].asset.digest}
    assert await client.find_missing([sound.digest, upload.digest]) == []
    again = await client.cast(sound.digest, rate(16000))
    assert not again.cached, "an evicted cast is made again"
    with pytest.raises(errors.QuotaExceeded):
        await client.put(noise(400_000))
    assert await client.find_missing([sound.digest, upload.digest]) == []


async def test_a_cast_that_cannot_be_made_again_is_not_evicted(store, client, media):
    sound = await client.put(media.tone_wav())
    made = await client.cast(sound.digest, rate(16000))
    store.stop()
    store.content(sound.digest).unlink()
    store.start("--quota-bytes", str(made.asset.size_bytes + 1000))
    with pytest.raises(errors.QuotaExceeded):
        await client.put(noise(2000))
    assert await client.find_missing([made.asset.digest]) == []


async def test_a_cast_over_the_quota_is_refused_and_leaves_nothing(store, client, media):
    sound = await client.put(media.tone_wav())
    store.stop()
    store.start("--quota-bytes", str(sound.size_bytes + 1000))
    with pytest.raises(errors.QuotaExceeded):
        await client.cast(sound.digest, rate(16000))
    assert store.leftovers() == []


@pytest.fixture
def small_disk(short_dir):
    """Give a file system of 24 MiB."""
    folder = short_dir / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_a_full_disk_is_disk_full_and_the_upload_goes_on_when_there_is_room(short_dir, small_disk):
    data = noise(12 * MIB)
    with StoreProcess(short_dir, data_dir=small_disk / "data") as store:
        store.start()
        async with open_channel(store.address) as channel:
            client = AssetClient(channel)
            filler = small_disk / "filler"
            filler.write_bytes(bytes(10 * MIB))
            with pytest.raises(errors.DiskFull):
                await client.put(data)
            assert store.leftovers() == []
            first = header(digest=digest_bytes(data))
            with pytest.raises(errors.DiskFull):
                await write(channel, first, *chunks(data))
            (part,) = store.leftovers()
            offset = part.stat().st_size
            assert MIB <= offset < len(data)
            assert data.startswith(part.read_bytes())
            filler.unlink()
            answer = await write(channel, first, *chunks(data, offset))
            assert answer.asset.digest == digest_bytes(data)


async def test_a_disk_that_fills_up_under_a_cast_is_disk_full(short_dir, small_disk, media):
    with StoreProcess(short_dir, data_dir=small_disk / "data") as store:
        store.start()
        async with open_channel(store.address) as channel:
            client = AssetClient(channel)
            sound = await client.put(
                media.ffmpeg("long-tone.mp3", "-f", "lavfi", "-i", "sine=frequency=440:duration=240", "-b:a", "64k")
            )
            with pytest.raises(errors.DiskFull):
                await client.cast(sound.digest, CastSpec(Role.AUDIO, AudioFormat("wav", 96000, 2)))
            assert store.leftovers() == []
            assert (await client.cast(sound.digest, CastSpec(Role.SPEECH, AudioFormat("wav", 8000, 1)))).asset


async def test_a_write_that_the_system_refuses_keeps_exactly_what_came_before(short_dir):
    data = noise(4 * MIB)
    with StoreProcess(short_dir) as store:
        # No file may grow over 2.5 MiB, as on a disk that fills up in the middle of a chunk.
        store.limits = ("prlimit", f"--fsize={5 * MIB // 2}:unlimited")
        store.start()
        async with open_channel(store.address) as channel:
            first = header(digest=digest_bytes(data))
            with pytest.raises(errors.DiskFull):
                await write(channel, first, *chunks(data))
            (part,) = store.leftovers()
            assert part.read_bytes() == data[: 2 * MIB]
            await asyncio.to_thread(
                subprocess.run, ["prlimit", "--pid", str(store.pid), "--fsize=unlimited"], check=True
            )
            answer = await write(channel, first, *chunks(data, 2 * MIB))
            assert answer.asset.digest == digest_bytes(data)


async def test_many_small_uploads_at_once_stay_within_the_quota(store, client):
    store.stop()
    store.start("--quota-bytes", str(1_000_000))

    async def one(number: int) -> bool:
        try:
            await client.put(os.urandom(50_000) + bytes([number]))
        except errors.QuotaExceeded:
            return False
        return True

    fitted = sum(await asyncio.gather(*(one(number) for number in range(40))))
    total = sum(path.stat().st_size for path in (store.data_dir / "content").glob("*/*"))
    assert total <= 1_000_000
    assert 15 <= fitted <= 20
