"""One call: where it goes, what comes back, and when."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest

from automarket.errors import (
    BackendFailed,
    CapabilityUnknown,
    ChunkTooLarge,
    Code,
    DigestMismatch,
    HeaderMissing,
    InputIncomplete,
    InternalFault,
    InvalidRequestError,
    RequestTooLarge,
    StoreUnavailable,
    TargetMismatch,
)
from automarket.rpc.channel import errors_mapped
from automarket.v1 import model_service_pb2 as pb
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from provider_servers.runtime.testing import chunk
from provider_servers.runtime.workdir import WORKDIR_PREFIX
from tests.provider_servers.runtime.bench import call, first, kinds, said, told
from tests.support.gateway import until


def plain(events):
    """Give events without what differs from call to call."""
    kept = []
    for event in events:
        copy = type(event)()
        copy.CopyFrom(event)
        copy.ClearField("event_time")
        for stage in copy.finished.stages if copy.HasField("finished") else ():
            stage.ClearField("elapsed")
        kept.append(copy)
    return kept


async def generate(served, request):
    with errors_mapped():
        answer = ModelServiceStub(served.channel).Generate(
            pb.GenerateRequest(target=request.target, header=request.header)
        )
        return [response.event async for response in answer]


async def describe(channel, request, metadata=()):
    with errors_mapped():
        asked = pb.GetModelRequest(target=request.target)
        return (await ModelServiceStub(channel).GetModel(asked, metadata=metadata)).model


@pytest.mark.parametrize("model", ["say", "tone"])
async def test_generate_gives_what_transform_gives(bench, model):
    request = first(model=model)
    transformed, generated = await call(bench.channel, request), await generate(bench, request)
    assert plain(generated) == plain(transformed)
    assert kinds(generated)[0] == "accepted"
    assert [event.sequence for event in generated] == list(range(1, len(generated) + 1))


async def test_generate_takes_no_chunks(bench):
    with pytest.raises(InputIncomplete) as caught:
        await generate(bench, first(b"chunks"))
    assert list(caught.value.fields) == ["header.inputs[0].stream"]


async def test_generate_needs_a_header(bench):
    with pytest.raises(HeaderMissing), errors_mapped():
        _ = [one async for one in ModelServiceStub(bench.channel).Generate(pb.GenerateRequest())]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("automarket-model", "tone"),
        ("automarket-provider", "flite"),
        ("automarket-capability", "text-to-speech"),
    ],
)
async def test_metadata_and_message_that_disagree_are_refused(bench, key, value):
    request = first()
    request.target.provider, request.target.capability_name = "bench", "text-to-text"
    with pytest.raises(TargetMismatch):
        await call(bench.channel, request, metadata=((key, value),))


async def test_number_and_name_of_a_capability_that_disagree_are_refused(bench):
    request = first(model="")
    request.target.capability, request.target.capability_name = 1, "text-to-speech"
    with pytest.raises((TargetMismatch, CapabilityUnknown)):
        await call(bench.channel, request)


async def test_metadata_alone_says_where_to_go(bench):
    request = first(model="")
    events = await call(bench.channel, request, metadata=(("automarket-capability", "text-to-speech"),))
    assert events[0].accepted.model_id == "tone"
    events = await call(bench.channel, first(model=""), metadata=(("automarket-model", "talk"),))
    assert events[0].accepted.model_id == "say"


async def test_the_model_that_a_gateway_resolved_wins(bench):
    metadata = (("automarket-resolved-model", "say"),)
    assert (await call(bench.channel, first(model="talk"), metadata=metadata))[0].accepted.model_id == "say"


@pytest.mark.parametrize(
    ("key", "value"), [("automarket-resolved-model", "tone"), ("automarket-resolved-provider", "flite")]
)
@pytest.mark.parametrize("ask", [call, describe], ids=["transform", "describe"])
async def test_what_a_gateway_resolved_and_the_message_that_disagree_are_refused(bench, ask, key, value):
    for _ in range(25):
        with pytest.raises(TargetMismatch) as caught:
            await ask(bench.channel, first(model="talk"), metadata=((key, value),))
        assert caught.value.code == Code.INVALID_ARGUMENT


async def test_a_fallback_that_a_gateway_resolved_is_taken(bench):
    request = first(model="elsewhere")
    request.target.preferences.fallbacks.add(model="talk", provider="workbench")
    metadata = (("automarket-resolved-model", "say"), ("automarket-resolved-provider", "bench"))
    assert (await call(bench.channel, request, metadata=metadata))[0].accepted.model_id == "say"
    assert (await describe(bench.channel, request, metadata)).id == "say"


async def test_silence_is_broken(bench, monkeypatch):
    monkeypatch.setattr("provider_servers.runtime.run.SILENCE_SECONDS", 0.05)
    for _ in range(25):
        bench.provider.gate.clear()
        task = asyncio.create_task(call(bench.channel, first(do="wait in silence")))
        await asyncio.sleep(0.2)
        bench.provider.gate.set()
        events = await task
        signs = [event.progress.phase for event in events if event.HasField("progress")]
        assert len(signs) >= 2
        assert set(signs) == {"running"}
        assert kinds(events).count("accepted") == 1
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))


async def test_a_model_that_gives_no_output_has_failed(bench):
    with pytest.raises(BackendFailed, match="no output"):
        await call(bench.channel, first(do="nothing"))


async def test_a_bug_of_an_author_tells_the_caller_nothing(bench):
    with pytest.raises(InternalFault) as caught:
        await call(bench.channel, first("a secret", do="bug"))
    assert "a secret" not in str(caught.value)


async def test_an_author_may_answer_before_all_has_come(bench):
    async def endless():
        for number in range(1000):
            yield chunk(b"x" * 1000, offset=1000 * number)

    for _ in range(25):
        assert said(await call(bench.channel, first(b"", do="answer early"), endless())) == "early"


async def test_a_wrong_digest_on_a_last_piece_of_its_own_is_found(bench):
    async def pieces():
        yield chunk(b"some words")
        yield chunk(b"", offset=10, last=True, sha256=b"\1" * 32)

    for _ in range(25):
        with pytest.raises(DigestMismatch):
            await call(bench.channel, first(b""), pieces())


async def test_a_header_over_3_mib_is_refused(bench):
    request = first()
    request.header.model_options["do"] = "x" * (3 * 1024 * 1024)
    with pytest.raises(RequestTooLarge):
        await call(bench.channel, request)


async def test_more_than_64_kib_inline_are_refused(bench):
    assert told(await call(bench.channel, first("x" * 65_536)))
    with pytest.raises(ChunkTooLarge):
        await call(bench.channel, first("x" * 65_537))


async def test_more_than_256_inputs_are_refused(bench):
    request = first()
    for _ in range(256):
        request.header.inputs.add(inline=b"x")
    with pytest.raises(InvalidRequestError) as caught:
        await call(bench.channel, request)
    assert list(caught.value.fields) == ["header.inputs"]


@pytest.mark.parametrize("request_id", ["", "one"])
async def test_a_request_needs_a_uuid(bench, request_id):
    request = first()
    request.header.request_id = request_id
    with pytest.raises(InvalidRequestError) as caught:
        await call(bench.channel, request)
    assert list(caught.value.fields) == ["header.request_id"]


async def test_without_a_store_digests_and_keeping_inputs_are_refused_and_outputs_are_not_kept(bench):
    with pytest.raises(StoreUnavailable):
        await call(bench.channel, first(digest=f"sha256:{'0' * 64}"))
    with pytest.raises(StoreUnavailable):
        await call(bench.channel, first(store=True))
    events = await call(bench.channel, first(model="tone"))
    assert [event.output_finished.stored for event in events if event.HasField("output_finished")] == [False]


async def test_no_call_leaves_a_folder_behind(bench):
    for timeout in (0.001, 0.003, 0.01, 0.03, 0.1):
        for _ in range(25):
            with contextlib.suppress(Exception):
                await call(bench.channel, first(do="wait"), timeout=timeout)
    await until(lambda: bench.server.active_calls == 0, 1)
    await until(lambda: not list(Path(tempfile.gettempdir()).glob(f"{WORKDIR_PREFIX}*")), 1, "no folder is left")
