"""What survives the hop through the public port."""

from __future__ import annotations

import asyncio
import json
import os

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from automarket.errors import (
    AutoMarketError,
    CapabilityUnknown,
    Code,
    DeadlineExceeded,
    DockerStopped,
    InvalidRequestError,
    MethodUnknown,
    ModelUnknown,
    OptionInvalid,
    ProviderUnknown,
    ProviderUnusable,
    StoreUnavailable,
    TargetNotFirst,
    UnavailableError,
)
from automarket.rpc.channel import errors_mapped
from automarket.rpc.streams import EOF, BidiCall
from automarket.v1 import (
    asset_service_pb2,
    discovery_service_pb2,
    media_provider_service_pb2,
    model_service_pb2,
    registry_service_pb2,
)
from automarket.v1.asset_service_pb2_grpc import AssetServiceStub
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from automarket.v1.model_service_pb2_grpc import ModelServiceStub
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub
from tests.support.gateway import chunk, facts, header, transform, until, until_served, until_true
from tests.support.peer import REFUSAL, TRAILERS, model, registration

ROUNDS = 25
WORDS = (("automarket-model", "words"),)


async def endless():
    while True:
        yield chunk(b"x" * 100_000)


async def test_headers_trailers_and_half_close_pass_both_ways(here):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        for _ in range(ROUNDS):
            metadata = (
                *WORDS,
                ("my-key", "a value"),
                ("tenant", "acme"),
                ("authorization", "secret"),
                ("my-key-bin", b"\x00\xfe"),
                ("automarket-resolved-model", "forged"),
            )
            call = ModelServiceStub(channel).Transform(metadata=metadata)
            await call.write(header(model="words"))
            initial = dict(await call.initial_metadata())
            assert initial["peer-initial"] == "peer-1"
            assert initial["peer-initial-bin"] == b"\x00\xff"
            seen = facts(await call.read())
            assert seen["metadata"]["my-key"] == "a value"
            assert seen["binary"] == ["my-key-bin"]
            assert seen["metadata"]["tenant"] == "acme"
            assert "authorization" not in seen["metadata"]
            assert seen["metadata"]["automarket-resolved-model"] == "words"
            assert seen["metadata"]["automarket-resolved-provider"] == "peer"
            await call.write(chunk(b"one"))
            assert (await call.read()).event.output_chunk.data == b"one"
            await call.done_writing()
            assert (await call.read()).event.HasField("finished")
            assert await call.read() is EOF
            assert await call.code() == grpc.StatusCode.OK
            assert set(TRAILERS) <= set(await call.trailing_metadata())


async def test_initial_metadata_comes_before_any_event_and_any_chunk(here):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        for _ in range(ROUNDS):
            call = ModelServiceStub(channel).Transform(metadata=WORDS)
            await call.write(header("wait", model="words"))
            assert dict(await asyncio.wait_for(call.initial_metadata(), 1))["peer-initial"] == "peer-1"
            call.cancel()


async def test_a_status_keeps_its_details_even_while_chunks_are_sent(here):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        for number in range(ROUNDS):
            with pytest.raises(OptionInvalid) as caught:
                await transform(channel, header("refuse", model="words"), chunks=endless() if number % 2 else None)
            assert caught.value.message == REFUSAL
            assert caught.value.hint == "0.5 to 2"
            assert caught.value.fields == {"header.speed": "0.5 to 2"}
            assert caught.value.metadata["peer"] == "peer-1"


@pytest.mark.parametrize("code", ["UNKNOWN", "INTERNAL", "PERMISSION_DENIED", "NOT_FOUND", "ABORTED"])
async def test_a_status_without_details_of_a_server_in_another_language_passes_as_it_is(here, code):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        call = ModelServiceStub(channel).Transform(metadata=WORDS)
        await call.write(header(f"plain-{code}", model="words"))
        await call.done_writing()
        assert (await call.code()).name == code
        assert await call.details() == "plain words"


async def test_all_kinds_of_calls_pass(here):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        stub = ModelServiceStub(channel)
        request = model_service_pb2.GetModelRequest()
        request.target.model = "words"
        assert (await stub.GetModel(request)).model.id == "peer-1"
        generate = model_service_pb2.GenerateRequest()
        generate.target.model = "words"
        generate.header.request_id = "r1"
        [answer] = [answer async for answer in stub.Generate(generate)]
        assert facts(answer)["request_id"] == "r1"


async def test_large_messages_and_many_of_them_arrive_whole_and_in_order(here):
    pieces = [os.urandom(1024 * 1024) for _ in range(4)] + [os.urandom(size) for size in range(1, 200)]

    async def chunks():
        for piece in pieces:
            yield chunk(piece)

    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        responses = await transform(channel, header(model="words"), metadata=WORDS, chunks=chunks())
    assert [response.event.output_chunk.data for response in responses[1:-1]] == pieces


async def test_a_provider_that_answers_without_reading_everything_still_succeeds(here):
    async def many():
        for _ in range(20):
            yield chunk(b"x" * 100_000)

    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        for _ in range(ROUNDS):
            [last] = await transform(channel, header("quit", model="words"), chunks=many())
            assert last.event.HasField("finished")


@pytest.mark.alone
async def test_cancelling_reaches_the_provider(here):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        for do in ("hang", "wait", "echo"):
            for _ in range(ROUNDS):
                here.notes.clear()
                call = ModelServiceStub(channel).Transform(metadata=WORDS)
                await call.write(header(do, model="words"))
                await asyncio.wait_for(call.initial_metadata(), 2)
                await until(lambda do=do: f"begun {do}" in here.notes)
                call.cancel()
                took = await until(
                    lambda do=do: any(
                        note.endswith(f"Error {do}") or note == f"GeneratorExit {do}" for note in here.notes
                    )
                )
                assert took < 0.5


@pytest.mark.alone
async def test_a_deadline_shrinks_on_the_way_and_ends_the_work_of_the_provider(here):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        for number in range(ROUNDS):
            here.notes.clear()
            limit = 2.0 if number < ROUNDS - 3 else 0.3
            async with BidiCall(
                ModelServiceStub(channel).Transform(timeout=limit), header("hang", model="words")
            ) as call:
                responses = call.responses()
                assert 0 < facts(await anext(responses))["left"] <= limit
                if limit < 1:
                    with pytest.raises(DeadlineExceeded):
                        await anext(responses)
            await until(lambda: len(here.notes) == 2, 0.5)


async def test_a_target_in_the_message_alone_is_enough(here):
    async with here.running() as channel, here.peer("one", models=[model("a")]), here.peer("two", models=[model("b")]):
        assert await until_served(channel, model="a") == "one-1"
        assert await until_served(channel, model="b") == "two-1"
        assert await until_served(channel, provider="two") == "two-1"
        assert await until_served(channel, capability_name="transcription", provider="one") == "one-1"


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ({"model": "nothing"}, ModelUnknown),
        ({"provider": "nobody"}, ProviderUnknown),
        ({"capability_name": "text-to-smell"}, CapabilityUnknown),
        ({"capability_name": "text-to-video"}, CapabilityUnknown),
        ({}, TargetNotFirst),
    ],
)
async def test_a_target_that_nobody_has_is_said_so(here, target, error):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        with pytest.raises(error) as caught:
            await transform(channel, header(**target), chunks=endless())
        assert caught.value.hint


async def test_an_empty_stream_and_a_message_of_another_kind_are_invalid(here):
    async with here.running() as channel, here.peer():
        await until_served(channel, model="words")
        with pytest.raises(InvalidRequestError), errors_mapped():
            async for _ in ModelServiceStub(channel).Transform(iter(())):
                pass
        raw = channel.stream_stream("/automarket.v1.ModelService/Transform")
        with pytest.raises(InvalidRequestError), errors_mapped():
            async for _ in raw(iter([b"\xff\xff\xff"])):
                pass


async def test_what_is_not_public_is_not_there(here):
    async with here.running() as channel:
        with pytest.raises(MethodUnknown), errors_mapped():
            async for _ in RegistryServiceStub(channel).Register(
                iter([registry_service_pb2.RegisterRequest(registration=registration())])
            ):
                pass
        for method in ("/nothing", "/automarket.v1.Nothing/Do", "/automarket.v1.ModelService/"):
            with pytest.raises(AutoMarketError) as caught, errors_mapped():
                await channel.unary_unary(method)(b"")
            assert caught.value.code in (Code.UNIMPLEMENTED, Code.INVALID_ARGUMENT)


async def test_a_mesh_without_a_store_says_so(here):
    async with here.running() as channel:
        with pytest.raises(StoreUnavailable), errors_mapped():
            await AssetServiceStub(channel).Get(asset_service_pb2.GetRequest(digest="x"))


async def test_a_store_that_is_down_is_unavailable_with_a_retry_time(here):
    async with here.running(store=f"unix:{here.folder}/store.sock") as channel:
        with pytest.raises(StoreUnavailable) as caught, errors_mapped():
            await AssetServiceStub(channel).Get(asset_service_pb2.GetRequest(digest="x"))
        assert caught.value.retry_after


async def test_discovery_goes_to_control(here):
    async with here.running() as channel, here.peer():
        stub = DiscoveryServiceStub(channel)
        answer = await stub.ListProviders(discovery_service_pb2.ListProvidersRequest())
        assert [provider.id for provider in answer.providers] == ["peer"]


async def test_reflection_lists_the_public_services_and_describes_them(here):
    async with here.running() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="automarket.v1.ModelService"),
        ]
        listed, described = [answer async for answer in stub.ServerReflectionInfo(iter(requests))]
        names = {service.name for service in listed.list_services_response.service}
        public = ("Asset", "Discovery", "Job", "MediaProvider", "Model", "Usage")
        assert {f"automarket.v1.{name}Service" for name in public} <= names
        assert "automarket.v1.RegistryService" not in names
        assert described.file_descriptor_response.file_descriptor_proto


async def test_health_says_serving(here):
    async with here.running() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", "automarket.v1.JobService", "automarket.v1.ModelService", "automarket.v1.UsageService"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_of_providers_and_capabilities_follows_the_mesh(here):
    async with here.running() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(AutoMarketError) as caught, errors_mapped():
            await stub.Check(health_pb2.HealthCheckRequest(service="speech-to-text"))
        assert caught.value.code == Code.NOT_FOUND
        states = health_pb2.HealthCheckResponse
        for name in ("peer", "speech-to-text", "audio-to-text"):
            watch = stub.Watch(health_pb2.HealthCheckRequest(service=name))
            said = (await watch.read()).status
            assert said in (states.SERVICE_UNKNOWN, states.NOT_SERVING)
            async with here.peer():
                assert (await watch.read()).status == states.SERVING
            assert (await watch.read()).status == states.NOT_SERVING
            watch.cancel()


async def test_calls_spread_over_the_instances_of_a_provider(here):
    async with here.running() as channel, here.peer(instance_id="one"), here.peer(instance_id="two"):
        await until_served(channel, instance_id="one", provider="peer")
        await until_served(channel, instance_id="two", provider="peer")
        calls = []
        for _ in range(6):
            call = ModelServiceStub(channel).Transform(metadata=WORDS)
            await call.write(header("hang", model="words"))
            calls.append((call, facts(await call.read())["peer"]))
        names = [name for _, name in calls]
        assert names.count("one") == names.count("two") == 3
        for call, _ in calls:
            call.cancel()


async def test_an_instance_that_cannot_be_reached_is_passed_over(here):
    async with here.running() as channel, here.peer("good"), here.peer("bad") as bad:
        await until_served(channel, provider="bad")
        await bad.server.drain(0)  # still registered, and nobody listens
        answers = await asyncio.gather(
            *(transform(channel, header(capability_name="speech-to-text")) for _ in range(20))
        )
        assert {facts(answer[0])["peer"] for answer in answers} == {"good-1"}
        results = await asyncio.gather(
            *(transform(channel, header(provider="bad")) for _ in range(20)), return_exceptions=True
        )
        for error in results:
            assert isinstance(error, UnavailableError)
            assert error.metadata["provider"] == "bad"
            assert error.retry_after


async def test_a_backend_that_nobody_has_looked_for_yet_comes_after_one_that_works_under_load(here):
    unseen = media_provider_service_pb2.ServiceStatus(state=media_provider_service_pb2.SERVICE_STATE_ABSENT)
    boxed = here.peer("boxed", service=unseen)
    async with here.running() as channel, here.peer("runs", max_concurrent_calls=4) as runs, boxed:
        await until_served(channel, provider="runs")
        await until_served(channel, provider="boxed")
        load = registry_service_pb2.InstanceLoad(active_calls=3)
        await runs.updates.put(registry_service_pb2.RegistrationUpdate(load=load))
        answers = [await transform(channel, header(capability_name="speech-to-text")) for _ in range(20)]
        assert {facts(answer[0])["peer"] for answer in answers} == {"runs-1"}
        update = registry_service_pb2.RegistrationUpdate()
        update.service.state = media_provider_service_pb2.SERVICE_STATE_READY
        await boxed.updates.put(update)

        async def boxed_answers():
            answer = await transform(channel, header(capability_name="speech-to-text"))
            return facts(answer[0])["peer"] == "boxed-1"

        assert await until_true(boxed_answers)


async def test_fallbacks_are_taken_in_order(here):
    async with here.running() as channel, here.peer("one", models=[model("a")]), here.peer("two", models=[model("b")]):
        await until_served(channel, provider="two")
        request = header(model="gone")
        request.target.preferences.fallbacks.add(model="b", provider="one")
        request.target.preferences.fallbacks.add(model="b")
        assert facts((await transform(channel, request))[0])["peer"] == "two-1"
        metadata = (("automarket-model", "gone"), ("automarket-prefer", "b@one,@one"))
        with pytest.raises(ModelUnknown):  # a fallback without a model keeps the target's
            await transform(channel, header(), metadata=metadata)


async def test_a_known_provider_that_cannot_run_says_what_mends_it(here):
    known = here.folder / "known.json"
    lacks = {"available": False, "reason": "not installed", "hint": "pip install it"}
    boxed = {"available": False, "reason": "Docker is not running", "error_reason": "DOCKER_STOPPED"}
    hears = json_format.MessageToDict(model("whisper-stt"), preserving_proto_field_name=True)
    entries = [
        {"id": "plain", "kind": "local", **lacks},
        {"id": "whisper", "kind": "local", **boxed, "models": [{**hears, "of_a_newer_one": 1}]},
    ]
    known.write_text(json.dumps(entries))
    async with here.running(known_providers=known) as channel:
        with pytest.raises(ProviderUnusable) as caught:
            await transform(channel, header(provider="plain"))
        assert "not installed" in caught.value.message
        assert caught.value.hint == "pip install it"
        for target in ({"provider": "whisper"}, {"model": "whisper-stt"}, {"capability_name": "speech-to-text"}):
            with pytest.raises(DockerStopped, match="whisper cannot take work: Docker is not running") as caught:
                await transform(channel, header(**target))
            assert caught.value.code == Code.FAILED_PRECONDITION
        with pytest.raises(CapabilityUnknown) as caught:
            await transform(channel, header(capability_name="text-to-speech"))
        assert "plain: pip install it" in caught.value.hint
        async with here.peer("other"):
            assert await until_served(channel, capability_name="speech-to-text") == "other-1"
