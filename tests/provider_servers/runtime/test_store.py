"""Inputs by digest and outputs that are kept, with a real store in its own process."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from automarket.errors import (
    AssetCorrupt,
    AssetUnknown,
    InputUnsuitable,
    InvalidRequestError,
    ProviderUnknown,
    QuotaExceeded,
    StoreUnavailable,
)
from provider_servers.runtime.testing import chunk, serving
from tests.provider_servers.runtime.bench import Bench, call, first, kinds, said, told
from tests.provider_servers.runtime.conftest import joined
from tests.support.gateway import Here, resolved, until, until_true


def finished(events):
    [found] = [event.output_finished for event in events if event.HasField("output_finished")]
    return found


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def in_pieces(data, size):
    for begin in range(0, len(data), size):
        yield chunk(data[begin : begin + size], offset=begin, last=begin + size >= len(data))


async def test_an_asset_is_cast_by_the_store_once_and_its_own_file_is_read(store, assets, media):
    asset = await assets.put(media.tone_wav())
    async with joined(store) as served:
        seen = []
        for cached in (False, True):
            events = await call(served.channel, first(model="hear", digest=asset.digest))
            [cast] = events[0].accepted.casts
            assert (cast.source_digest, cast.slot, cast.cached) == (asset.digest, "audio", cached)
            assert (cast.spec.audio.sample_rate_hertz, cast.spec.audio.channels) == (16_000, 1)
            facts = told(events)
            assert Path(facts["path"]) == store.content(cast.digest)
            assert (facts["content"], facts["digest"]) == (cast.digest, asset.digest)
            seen.append((cast.digest, [stage.stage for stage in events[-1].finished.stages]))
        assert seen[0] == seen[1]
        assert seen[0][1] == ["queued", "casting", "running"]


async def test_an_asset_that_fits_is_not_cast(store, assets):
    asset = await assets.put(b"words that are kept")
    async with joined(store) as served:
        events = await call(served.channel, first(digest=asset.digest, do="file"))
        assert not events[0].accepted.casts
        assert Path(told(events)["path"]) == store.content(asset.digest)


async def test_without_a_shared_folder_the_bytes_come_over_the_wire(store, assets, media):
    asset = await assets.put(media.tone_wav())
    async with joined(store, shared=False) as served:
        events = await call(served.channel, first(model="hear", digest=asset.digest))
        [cast] = events[0].accepted.casts
        facts = told(events)
        assert facts["content"] == cast.digest
        assert not Path(facts["path"]).is_relative_to(store.data_dir)
        assert not Path(facts["path"]).exists(), "it went with the call's folder"


@pytest.mark.parametrize("shared", [True, False])
async def test_an_asset_that_is_damaged_reaches_no_author(store, assets, shared):
    asset = await assets.put(b"words that will be damaged")
    path = store.content(asset.digest)
    path.chmod(0o644)
    path.write_bytes(b"words that have been damage")
    async with joined(store, shared=shared) as served:
        with pytest.raises(AssetCorrupt):
            await call(served.channel, first(digest=asset.digest))
        assert served.provider.order == []


async def test_an_asset_that_is_not_there_is_unknown(store):
    async with joined(store) as served:
        with pytest.raises(AssetUnknown):
            await call(served.channel, first(digest=f"sha256:{'0' * 64}"))


async def test_an_asset_that_cannot_play_the_role_is_refused(store, assets):
    asset = await assets.put(b"no sound at all")
    async with joined(store) as served:
        with pytest.raises(InputUnsuitable) as caught:
            await call(served.channel, first(model="hear", digest=asset.digest))
        assert list(caught.value.fields) == ["header.inputs[0]"]


async def test_media_is_kept_with_its_lineage(store, assets):
    text = await assets.put(b"words to speak")
    async with joined(store) as served:
        request = first(model="tone", digest=text.digest)
        made = finished(await call(served.channel, request))
        assert made.stored
        kept = await assets.stat(made.digest, verify=True)
        assert (kept.size_bytes, kept.media_type) == (made.size_bytes, "audio/wav")
        lineage = kept.lineage
        assert (lineage.operation, lineage.parents) == ("text-to-speech", (text.digest,))
        assert (lineage.provider, lineage.model) == ("bench", "tone")
        assert lineage.request_id == request.header.request_id


async def test_inputs_and_text_are_not_kept_unless_that_is_asked_for(store, assets):
    data = b"words that pass by"
    async with joined(store) as served:
        made = finished(await call(served.channel, first(data), in_pieces(data, 5)))
        assert not made.stored
        assert await assets.find_missing([made.digest, digest_of(data)]) == [made.digest, digest_of(data)]


@pytest.mark.parametrize("model", ["say", "tone"])
async def test_store_true_keeps_inputs_and_outputs_and_how_they_belong_together(store, assets, model):
    data = b"words to keep" * 10_000
    async with joined(store) as served:
        made = finished(await call(served.channel, first(data, model, store=True), in_pieces(data, 7000)))
        assert made.stored
        assert (await assets.stat(digest_of(data), verify=True)).size_bytes == len(data)
        assert (await assets.stat(made.digest)).lineage.parents == (digest_of(data),)
        inline = finished(await call(served.channel, first("words inline", model, store=True)))
        assert (await assets.stat(inline.digest)).lineage is not None
        assert not await assets.find_missing([digest_of(b"words inline")])


async def test_store_true_keeps_what_was_sent_and_not_what_it_was_cast_to(store, assets, media):
    data = media.tone_wav().read_bytes()
    async with joined(store) as served:
        facts = told(await call(served.channel, first(data, "hear", store=True), in_pieces(data, 20_000)))
        assert facts["content"] != digest_of(data)
        assert not await assets.find_missing([digest_of(data)])


@pytest.mark.parametrize("model", ["say", "tone"])
async def test_store_false_keeps_nothing(store, assets, model):
    async with joined(store) as served:
        made = finished(await call(served.channel, first("words to forget", model, store=False)))
        assert not made.stored
        assert made.digest
        assert await assets.find_missing([made.digest, digest_of(b"words to forget")]) == [
            made.digest,
            digest_of(b"words to forget"),
        ]


async def test_sound_that_comes_as_chunks_is_cast_on_its_way(store, media):
    data = media.tone_wav().read_bytes()
    async with joined(store) as served:
        events = await call(served.channel, first(data, "hear"), in_pieces(data, 20_000))
        [cast] = events[0].accepted.casts
        assert (cast.source_digest, cast.slot, cast.cached) == ("", "audio", False)
        assert 31_000 < told(events)["size"] < 34_000


async def test_a_second_gateway_without_a_store_takes_none_away(store, assets, short_dir):
    asset = await assets.put(b"words of the first mesh")
    with_one, without = Here(short_dir / "a"), Here(short_dir / "b")
    async with (
        with_one.running_control(store=store.address),
        without.running_control() as second,
        serving(Bench(), with_one.control, without.control) as served,
    ):
        await until(lambda: served.server._host.store.there, what="the store is known")
        await until_true(lambda: resolved(second, provider="bench"), what="the other gateway has it too")
        await asyncio.sleep(0.1)
        assert told(await call(served.channel, first(digest=asset.digest)))["do"] == ""


async def test_a_call_outlives_a_store_that_has_gone(store, assets):
    async with joined(store) as served:
        store.kill()
        made = finished(await call(served.channel, first("words", "tone"), timeout=60))
        assert (made.stored, bool(made.digest)) == (False, True)


async def test_outputs_by_digest_are_kept_and_not_sent(store, assets):
    async with joined(store) as served:
        request = first("words to speak", "tone")
        request.header.outputs_by_digest = True
        events = await call(served.channel, request)
        assert kinds(events) == ["accepted", "output_started", "output_finished", "finished"]
        made = finished(events)
        assert made.stored
        kept = await assets.stat(made.digest, verify=True)
        assert (kept.size_bytes, kept.lineage.model) == (made.size_bytes, "tone")


async def test_text_is_sent_even_then(store):
    async with joined(store) as served:
        request = first("hello")
        request.header.outputs_by_digest = True
        events = await call(served.channel, request)
        assert said(events)
        assert not finished(events).stored


async def test_outputs_by_digest_need_a_store_before_anything_is_spent(bench):
    request = first("words to speak", "tone")
    request.header.outputs_by_digest = True
    with pytest.raises(StoreUnavailable):
        await call(bench.channel, request)
    assert bench.provider.order == []


async def test_an_output_that_the_store_has_no_room_for_fails_the_call_when_nothing_else_carries_it(store):
    async with joined(store) as served:
        store.stop()
        store.start("--quota-bytes", "4000B")
        assert not finished(await call(served.channel, first("too long", "tone"))).stored
        request = first("too long", "tone")
        request.header.outputs_by_digest = True
        with pytest.raises(QuotaExceeded):
            await call(served.channel, request)


async def test_outputs_by_digest_and_keeping_nothing_contradict_each_other(bench):
    request = first("hello", "tone", store=False)
    request.header.outputs_by_digest = True
    with pytest.raises(InvalidRequestError) as caught:
        await call(bench.channel, request)
    assert list(caught.value.fields) == ["header.outputs_by_digest"]


async def test_a_call_for_another_instance_is_not_taken(bench):
    request = first()
    request.target.instance_id = "bench-of-yesterday"
    with pytest.raises(ProviderUnknown, match="not 'bench-of-yesterday'"):
        await call(bench.channel, request)
    request.target.instance_id = bench.server.describe().instance_id
    assert kinds(await call(bench.channel, request))[-1] == "finished"
