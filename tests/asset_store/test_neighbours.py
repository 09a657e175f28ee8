"""Files that are handed over on the store's own machine, and taken from it."""

from __future__ import annotations

import asyncio
import os
import uuid
from functools import partial

import pytest

from automarket import errors
from automarket.client.assets import AssetClient
from automarket.digests import digest_bytes
from automarket.rpc.channel import errors_mapped
from automarket.stored import Lineage
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from tests.asset_store.process import eventually, noise
from tests.asset_store.uploading import MIB, header


@pytest.fixture
def neighbour(channel):
    """Give a client that passes files wherever it can."""
    return AssetClient(channel, patience=15, by_file_above=1)


@pytest.fixture
def incoming(store):
    return store.data_dir / "incoming"


async def adopt(channel, of):
    with errors_mapped():
        return (await AssetServiceStub(channel).Adopt(pb.AdoptRequest(header=of))).asset


async def test_the_store_says_where_its_folder_is_and_the_folder_says_whose_it_is(store, channel):
    first = await AssetServiceStub(channel).Locate(pb.LocateRequest())
    assert first.directory == str(store.data_dir)
    assert (store.data_dir / "id").read_text() == first.store_id
    assert uuid.UUID(first.store_id)
    store.stop()
    store.start()
    await channel.channel_ready()
    assert await AssetServiceStub(channel).Locate(pb.LocateRequest()) == first


async def test_a_file_is_handed_over_and_given_back(store, neighbour, client, tmp_path, incoming):
    data = noise(20 * MIB)
    file = tmp_path / "sound.bin"
    file.write_bytes(data)
    lineage = Lineage("text-to-speech", provider="p", model="m")
    steps = [(done * MIB, 20 * MIB) for done in (8, 16, 20)]
    progress = []
    asset = await neighbour.put(file, lineage=lineage, progress=lambda *values: progress.append(values))
    assert (asset.digest, asset.file_name) == (digest_bytes(data), "sound.bin")
    assert (asset.bytes_sent, asset.bytes_by_file) == (0, len(data))
    assert progress == steps
    assert (await client.stat(asset.digest, verify=True)).lineage == lineage
    assert not store.content(asset.digest).samefile(file)
    out = tmp_path / "out.bin"
    progress.clear()
    await neighbour.get(asset.digest, out, progress=lambda *values: progress.append(values))
    assert out.read_bytes() == data
    assert progress == steps
    assert not store.content(asset.digest).samefile(out)
    assert await neighbour.file_here(asset.digest) == store.content(asset.digest)
    assert list(incoming.iterdir()) == []


async def test_a_file_that_is_given_away_is_the_stores_own(store, neighbour, tmp_path):
    file = tmp_path / "made.bin"
    file.write_bytes(noise(2 * MIB))
    progress = []
    asset = await neighbour.put(file, give=True, progress=lambda *values: progress.append(values))
    assert (asset.bytes_by_file, progress) == (2 * MIB, [(2 * MIB, 2 * MIB)])
    if tmp_path.stat().st_dev == store.data_dir.stat().st_dev:
        assert store.content(asset.digest).samefile(file), "it was not copied"
    file.unlink()
    assert await neighbour.find_missing([asset.digest]) == []
    assert (await neighbour.stat(asset.digest, verify=True)).size_bytes == 2 * MIB


async def test_what_is_there_already_is_neither_copied_nor_sent(store, neighbour, channel, incoming, tmp_path):
    data = noise(2 * MIB)
    file = tmp_path / "twice.bin"
    file.write_bytes(data)
    first = await neighbour.put(file)
    before = store.content(first.digest).stat().st_ino
    again = await neighbour.put(file, progress=lambda *_: pytest.fail("bytes were copied"))
    assert (again.digest, again.bytes_sent, again.bytes_by_file) == (first.digest, 0, 0)
    # Two that hand the same bytes over at once: each finds them missing, and the second finds them there.
    handed = header(data)
    (incoming / handed.upload_id).write_bytes(data)
    assert (await adopt(channel, handed)).digest == first.digest
    assert store.content(first.digest).stat().st_ino == before
    assert list(incoming.iterdir()) == []


async def test_what_was_a_cast_is_an_upload_once_somebody_hands_it_over(neighbour, media, tmp_path):
    from automarket.assets.roles import Role
    from automarket.media.info import AudioFormat, CastSpec

    sound = await neighbour.put(media.tone_wav())
    cast = (await neighbour.cast(sound.digest, CastSpec(Role.SPEECH, AudioFormat("wav", 8000, 1)))).asset
    assert cast.derived
    await neighbour.get(cast.digest, tmp_path / "cast.wav")
    assert not (await neighbour.put(tmp_path / "cast.wav")).derived


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"digest": digest_bytes(b"others")}, errors.DigestMismatch),
        ({"size_bytes": 7}, errors.InputTooLarge),
        ({"size_bytes": 9}, errors.InputIncomplete),
    ],
)
async def test_a_file_that_is_not_what_the_header_says_is_refused_and_deleted(
    store, channel, client, incoming, fields, error
):
    handed = header(**fields)
    (incoming / handed.upload_id).write_bytes(b"12345678")
    with pytest.raises(error):
        await adopt(channel, handed)
    assert await client.find_missing([digest_bytes(b"12345678")]) != []
    assert list(incoming.iterdir()) + store.leftovers() == []


async def test_what_is_no_file_is_refused(store, channel, incoming, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("not the caller's to read")

    def link(path):
        path.symlink_to(secret)

    for make in (link, os.mkfifo, os.mkdir):
        handed = header()
        make(incoming / handed.upload_id)
        with pytest.raises(errors.InvalidRequestError, match="is no file"):
            await adopt(channel, handed)
    assert secret.read_text() == "not the caller's to read"
    assert list(incoming.iterdir()) + store.leftovers() == []


async def test_no_name_leads_out_of_the_folder(channel, client):
    with pytest.raises(errors.UploadUnknown):
        await adopt(channel, header())
    for name in ("../id", "..", "/etc/hostname", "id"):
        with pytest.raises(errors.InvalidRequestError):
            await adopt(channel, header(upload_id=name))


async def test_an_empty_file_is_no_asset(channel, incoming):
    handed = header()
    (incoming / handed.upload_id).touch()
    with pytest.raises(errors.InputEmpty):
        await adopt(channel, handed)


async def test_the_quota_holds_for_files_too(store, neighbour, channel, incoming, tmp_path):
    store.stop()
    store.start("--quota-bytes", "3MiB")
    await channel.channel_ready()
    file = tmp_path / "large.bin"
    for seed, size in enumerate((2 * MIB, 4 * MIB, 2 * MIB)):
        file.write_bytes(noise(size, seed))
        if not seed:
            kept = await neighbour.put(file)
            continue
        with pytest.raises(errors.QuotaExceeded):
            await neighbour.put(file)
    assert list(incoming.iterdir()) + store.leftovers() == []
    await neighbour.delete(kept.digest)
    assert (await neighbour.put(file)).size_bytes == 2 * MIB, "what was refused is not counted"


async def test_bytes_that_somebody_changes_after_they_were_handed_over_are_found(store, neighbour, tmp_path):
    file = tmp_path / "kept open.bin"
    file.write_bytes(noise(2 * MIB))
    with file.open("r+b") as still_open:
        asset = await neighbour.put(file, give=True)
        if not store.content(asset.digest).samefile(file):
            return  # copied from another disk: what is changed here is not the store's
        still_open.seek(MIB)
        still_open.write(b"changed")
    with pytest.raises(errors.AssetCorrupt):
        await neighbour.file_here(asset.digest)


async def test_a_store_that_is_killed_while_it_takes_a_file_over_loses_nothing(store, neighbour, incoming, tmp_path):
    data = noise(24 * MIB)
    file = tmp_path / "large.bin"
    file.write_bytes(data)
    for pause in (0.0, 0.01, 0.03, 0.06):
        putting = asyncio.create_task(neighbour.put(file))
        await eventually(partial(_begun, incoming, putting))
        await asyncio.sleep(pause)  # somewhere into it
        store.kill()
        store.start()
        asset = await putting
        assert (await neighbour.stat(asset.digest, verify=True)).size_bytes == len(data)
        await neighbour.delete(asset.digest)
        assert list(incoming.iterdir()) == []


def _begun(incoming, putting):
    return any(incoming.iterdir()) or putting.done()


async def test_files_that_were_never_handed_over_go_in_the_end(store, incoming):
    (incoming / str(uuid.uuid4())).write_bytes(b"left behind")
    store.stop()
    store.start("--upload-seconds", "0.2", "--sweep-seconds", "0.1")
    await eventually(lambda: not any(incoming.iterdir()))


async def test_without_a_right_to_the_folder_bytes_are_sent(store, neighbour, incoming, tmp_path):
    file = tmp_path / "sent.bin"
    file.write_bytes(noise(2 * MIB))
    incoming.rmdir()
    sent = await neighbour.put(file)
    assert (sent.bytes_sent, sent.bytes_by_file) == (2 * MIB, 0)


async def test_a_copy_that_is_cancelled_ends_within_a_step_and_leaves_nothing(store, neighbour, incoming, tmp_path):
    file = tmp_path / "large.bin"
    file.write_bytes(noise(64 * MIB))
    stored = await neighbour.put(file)
    out = tmp_path / "out" / "large.bin"
    out.parent.mkdir()
    await cancelled_at_the_first_step(partial(neighbour.get, stored.digest, out))
    await neighbour.delete(stored.digest)
    await cancelled_at_the_first_step(partial(neighbour.put, file))
    assert list(out.parent.iterdir()) + list(incoming.iterdir()) + store.leftovers() == []


async def cancelled_at_the_first_step(transfer):
    told = []

    def cancel(done, _):
        told.append(done)
        copying.cancel()

    copying = asyncio.create_task(transfer(progress=cancel))
    with pytest.raises(asyncio.CancelledError):
        await copying
    assert told == [8 * MIB]
