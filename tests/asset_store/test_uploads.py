"""Uploads, as the contract words them."""

from __future__ import annotations

import asyncio
import uuid
from functools import partial

import pytest

from automarket import errors
from automarket.digests import digest_bytes
from automarket.rpc.channel import errors_mapped
from automarket.v1 import asset_pb2
from automarket.v1 import asset_service_pb2 as pb
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from tests.asset_store.process import eventually, noise
from tests.asset_store.uploading import MIB, chunks, header, write, write_until

DATA = noise(3 * MIB + 77)


async def test_what_was_written_is_an_asset_with_its_bytes_on_disk(store, channel, client):
    answer = await write(channel, header(DATA, file_name="a.bin"), *chunks(DATA))
    assert answer.asset.digest == digest_bytes(DATA)
    assert answer.asset.size_bytes == len(DATA)
    assert answer.asset.file_name == "a.bin"
    assert not answer.asset.derived
    path = store.content(answer.asset.digest)
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert store.leftovers() == []
    assert b"".join([piece async for piece in client.read(answer.asset.digest)]) == DATA


async def test_chunks_of_any_size_make_the_same_asset(channel):
    for step in (1000, 65536, MIB):
        answer = await write(channel, header(), *chunks(DATA[:70_000], step=step))
        assert answer.asset.digest == digest_bytes(DATA[:70_000])


async def test_what_is_wrong_with_an_upload_has_its_own_error_and_nothing_is_left(store, channel):
    big = pb.WriteRequest(chunk=pb.UploadChunk(data=b"x" * (MIB + 1)))
    wrong: list[tuple[type[errors.AutoMarketError], list[pb.WriteRequest | pb.UploadHeader]]] = [
        (errors.HeaderMissing, [*chunks(DATA)]),
        (errors.HeaderMissing, [pb.WriteRequest()]),
        (errors.HeaderRepeated, [header(DATA), *chunks(DATA, 0, MIB), pb.WriteRequest(header=header(DATA))]),
        (errors.ChunkTooLarge, [header(), big]),
        (errors.InputTooLarge, [header(size_bytes=MIB), *chunks(DATA)]),
        (errors.InputEmpty, [header()]),
        (errors.InputEmpty, [header(size_bytes=0)]),
        (errors.DigestMismatch, [header(digest=digest_bytes(b"else")), *chunks(DATA)]),
        (errors.DigestMismatch, [header(b"else" * 20), *chunks(DATA[:80])]),
        (errors.DigestInvalid, [header(digest="sha256:no"), *chunks(DATA)]),
        (errors.InvalidRequestError, [header(upload_id="../../x"), *chunks(DATA)]),
        (errors.InvalidRequestError, [header(file_name="a/b"), *chunks(DATA)]),
        (errors.InvalidRequestError, [header(file_name=".."), *chunks(DATA)]),
        (errors.InvalidRequestError, [header(lineage=asset_pb2.Lineage(parents=["x"])), *chunks(DATA)]),
        (errors.DigestInvalid, [header(lineage=asset_pb2.Lineage(operation="o", parents=["x"])), *chunks(DATA)]),
    ]
    for kind, messages in wrong * 2:
        with pytest.raises(kind) as caught:
            await write(channel, *messages)
        assert type(caught.value) is kind, messages[0]
        assert store.leftovers() == []
    assert not list((store.data_dir / "content").glob("*/*"))


async def test_an_upload_that_ends_early_is_kept_and_goes_on(store, channel):
    first = header(DATA)
    with pytest.raises(errors.InputIncomplete) as caught:
        await write(channel, first, *chunks(DATA, 0, 2 * MIB))
    assert caught.value.metadata["committed_offset"] == str(2 * MIB)
    stub = AssetServiceStub(channel)
    assert (await stub.GetUpload(pb.GetUploadRequest(upload_id=first.upload_id))).committed_offset == 2 * MIB
    answer = await write(channel, first, *chunks(DATA, 2 * MIB))
    assert answer.asset.digest == digest_bytes(DATA)
    done = await stub.GetUpload(pb.GetUploadRequest(upload_id=first.upload_id))
    assert done.asset.digest == answer.asset.digest
    assert done.committed_offset == len(DATA)


async def test_a_chunk_at_the_wrong_offset_is_told_the_right_one(channel):
    first = header(DATA)
    with pytest.raises(errors.OffsetMismatch) as caught:
        await write(channel, first, *chunks(DATA, 0, MIB), *chunks(DATA, 2 * MIB))
    assert caught.value.metadata["committed_offset"] == str(MIB)
    assert (await write(channel, first, *chunks(DATA, MIB))).asset.size_bytes == len(DATA)


async def test_an_upload_id_with_another_header_is_a_conflict(channel):
    first = header(DATA)
    with pytest.raises(errors.InputIncomplete):
        await write(channel, first, *chunks(DATA, 0, MIB))
    with pytest.raises(errors.UploadConflict):
        await write(channel, header(DATA[:-1], upload_id=first.upload_id), *chunks(DATA))
    assert (await write(channel, first, *chunks(DATA, MIB))).asset.digest == digest_bytes(DATA)


async def test_two_calls_cannot_write_one_upload(channel):
    first = header(DATA)
    call = await write_until(channel, first, DATA, MIB)
    with pytest.raises(errors.UploadBusy):
        await write(channel, first, *chunks(DATA, MIB))
    call.cancel()
    async with asyncio.timeout(5):
        while True:
            try:
                answer = await write(channel, first, *chunks(DATA, MIB))
                break
            except errors.UploadBusy:
                await asyncio.sleep(0.02)
    assert answer.asset.digest == digest_bytes(DATA)


async def test_an_upload_that_is_complete_is_answered_again(channel):
    first = header(DATA)
    made = await write(channel, first, *chunks(DATA))
    again = await write(channel, first)
    assert again.asset.digest == made.asset.digest
    with pytest.raises(errors.OffsetMismatch):
        await write(channel, first, *chunks(DATA))


async def test_an_upload_that_will_not_go_on_can_be_dropped(store, channel):
    stub = AssetServiceStub(channel)
    first = header(DATA)
    request = pb.DeleteUploadRequest(upload_id=first.upload_id)
    call = await write_until(channel, first, DATA, MIB)
    with pytest.raises(errors.UploadBusy), errors_mapped():
        await stub.DeleteUpload(request)
    call.cancel()
    await eventually(partial(succeeds, lambda: stub.DeleteUpload(request)))
    assert store.leftovers() == []
    await stub.DeleteUpload(request)
    with pytest.raises(errors.UploadUnknown), errors_mapped():
        await stub.GetUpload(pb.GetUploadRequest(upload_id=first.upload_id))


async def succeeds(call) -> bool:
    try:
        with errors_mapped():
            await call()
    except errors.UploadBusy:
        return False
    return True


async def test_an_unknown_upload_is_not_found(channel):
    with pytest.raises(errors.UploadUnknown), errors_mapped():
        await AssetServiceStub(channel).GetUpload(pb.GetUploadRequest(upload_id=str(uuid.uuid4())))


async def test_an_upload_without_bytes_claims_what_is_there(channel):
    await write(channel, header(DATA), *chunks(DATA))
    assert (await write(channel, header(DATA, file_name="again.bin"))).asset.digest == digest_bytes(DATA)


async def test_parallel_uploads_of_the_same_bytes_all_succeed_and_make_one_asset(store, channel, client):
    answers = await asyncio.gather(*(write(channel, header(DATA), *chunks(DATA)) for _ in range(8)))
    assert {answer.asset.digest for answer in answers} == {digest_bytes(DATA)}
    assert len(list((store.data_dir / "content").glob("*/*"))) == 1
    assert store.leftovers() == []
    assert [asset.digest async for asset in client.list()] == [digest_bytes(DATA)]


async def test_pieces_can_be_appended_one_call_at_a_time(store, channel):
    stub = AssetServiceStub(channel)
    first = header(DATA)
    offset = 0
    while offset < len(DATA):
        chunk = pb.UploadChunk(offset_bytes=offset, data=DATA[offset : offset + MIB])
        last = offset + MIB >= len(DATA)
        answer = await stub.Append(pb.AppendRequest(header=first, chunk=chunk, last=last))
        offset += len(chunk.data)
        assert answer.committed_offset == offset
    assert answer.asset.digest == digest_bytes(DATA)
    assert store.content(answer.asset.digest).read_bytes() == DATA
    with pytest.raises(errors.HeaderMissing), errors_mapped():
        await stub.Append(pb.AppendRequest())


async def test_a_cancelled_upload_keeps_what_came_and_goes_on(channel):
    for _ in range(25):
        first = header(DATA)
        call = await write_until(channel, first, DATA, 2 * MIB)
        call.cancel()
        async with asyncio.timeout(5):
            while True:
                try:
                    answer = await write(channel, first, *chunks(DATA, 2 * MIB))
                    break
                except errors.UploadBusy:
                    await asyncio.sleep(0.01)
        assert answer.asset.digest == digest_bytes(DATA)


async def test_uploads_that_do_not_go_on_are_swept(store, channel):
    store.stop()
    store.start("--upload-seconds", "0.5", "--sweep-seconds", "0.1")
    first = header(DATA)
    with pytest.raises(errors.InputIncomplete):
        await write(channel, first, *chunks(DATA, 0, MIB))
    assert len(store.leftovers()) == 1
    await eventually(lambda: not store.leftovers())
    with pytest.raises(errors.UploadUnknown), errors_mapped():
        await AssetServiceStub(channel).GetUpload(pb.GetUploadRequest(upload_id=first.upload_id))


async def test_an_asset_over_the_configured_size_is_refused(store, channel):
    store.stop()
    store.start("--max-asset-bytes", "1MiB")
    with pytest.raises(errors.InputTooLarge):
        await write(channel, header(DATA), *chunks(DATA))
    with pytest.raises(errors.InputTooLarge):
        await write(channel, header(), *chunks(DATA))
    assert store.leftovers() == []
