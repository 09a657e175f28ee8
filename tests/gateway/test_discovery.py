"""What the mesh says of itself."""

from __future__ import annotations

import asyncio
import json

import pytest

from automarket import capabilities
from automarket.errors import CapabilityUnknown, PageTokenInvalid, ProviderUnknown, TargetMismatch
from automarket.rpc.channel import errors_mapped
from automarket.v1 import capability_pb2, discovery_service_pb2, media_pb2, model_pb2, registry_service_pb2
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from gateway.control.registry import Registry
from tests.gateway.test_registration import Joined, listed
from tests.support.gateway import resolved, until, until_true
from tests.support.peer import model, provider, registration, slot

KNOWN = [
    {"id": "whisper", "aliases": ["w"], "name": "Whisper", "description": "d", "kind": "local"},
    {"id": "cloud", "kind": "remote", "available": True},
]
KNOWN[0] |= {"available": False, "reason": "whisper is not installed", "hint": "pip install whisper"}


def smelling(model_id="nose"):
    own = [model_pb2.CapabilityRef(name="text-to-smell")]
    return model(model_id, takes="text", makes="text", capabilities=own, description="Smells of roses.")


async def found(channel, **fields):
    with errors_mapped():
        answer = await DiscoveryServiceStub(channel).FindModels(discovery_service_pb2.FindModelsRequest(**fields))
    return [one.id for one in answer.models], answer.next_page_token


async def nothing_found(channel):
    return not (await found(channel, available_only=True))[0]


async def test_capabilities_come_in_the_order_of_the_contract_with_counts_that_include_children(here):
    async with here.running_control() as channel, Joined(channel, registration(models=[model(), smelling()])):
        stub = DiscoveryServiceStub(channel)
        answer = await stub.ListCapabilities(discovery_service_pb2.ListCapabilitiesRequest())
        infos = {info.name: info for info in answer.capabilities}
        assert list(infos)[:-1] == [known.name for known in capabilities.ALL]
        assert list(infos)[-1] == "text-to-smell"
        assert (infos["speech-to-text"].model_count, infos["audio-to-text"].model_count) == (1, 1)
        stt = infos["speech-to-text"]
        assert list(stt.parents) == ["audio-to-text"]
        assert "transcription" in stt.aliases
        assert (list(stt.input_roles), stt.output_role) == ([media_pb2.ROLE_SPEECH], media_pb2.ROLE_TEXT)
        assert infos["text-embedding"].output_role == media_pb2.ROLE_UNSPECIFIED
        answer = await stub.ListCapabilities(discovery_service_pb2.ListCapabilitiesRequest(available_only=True))
        assert [info.name for info in answer.capabilities] == ["speech-to-text", "audio-to-text", "text-to-smell"]


async def test_every_capability_of_the_contract_has_its_number_and_name(here):
    numbers = {value.number: value.name for value in capability_pb2.Capability.DESCRIPTOR.values if value.number}
    assert {known.number: known.name for known in capabilities.ALL} == {
        number: capabilities.normalise(name) for number, name in numbers.items()
    }


async def test_providers_that_cannot_run_here_are_listed_with_what_mends_it(here):
    path = here.folder / "known.json"
    path.write_text(json.dumps(KNOWN))
    async with here.running_control(known_providers=path) as channel:
        providers = await listed(channel)
        assert list(providers) == ["cloud", "whisper"]
        whisper = providers["whisper"]
        assert (whisper.name, whisper.description, list(whisper.aliases)) == ("Whisper", "d", ["w"])
        assert whisper.availability == model_pb2.Availability(
            reason="whisper is not installed", hint="pip install whisper"
        )
        assert not providers["cloud"].availability.available
        assert providers["cloud"].availability.reason
        request = registration("whisper", provider=provider("whisper", aliases=["w"]))
        async with Joined(channel, request):
            assert (await listed(channel))["whisper"].availability.available
        answer = await DiscoveryServiceStub(channel).ListProviders(
            discovery_service_pb2.ListProvidersRequest(available_only=True)
        )
        assert not answer.providers


async def test_models_are_found_by_what_they_do_take_and_make_whose_they_are_and_by_words(here):
    slots = [slot("base", media_pb2.ROLE_VIDEO), slot("overlays", media_pb2.ROLE_VIDEO, repeated=True)]
    slots[1].media_types.extend(["video/mp4", "image/png"])  # pictures are taken as they are
    outputs = [model_pb2.OutputType(name="video", role=media_pb2.ROLE_VIDEO)]
    lays = model("lay", "video-composition", inputs=slots, outputs=outputs)
    one = registration("one", models=[model(), smelling()])
    two = registration("two", provider=provider("two", aliases=["deux"]), models=[lays, model("more", aliases=["m"])])
    video, image, text = media_pb2.ROLE_VIDEO, media_pb2.ROLE_IMAGE, media_pb2.ROLE_TEXT
    async with here.running_control() as channel, Joined(channel, one), Joined(channel, two):
        for fields, ids in [
            ({}, ["nose", "words", "lay", "more"]),
            ({"capability": "transcription"}, ["words", "more"]),
            ({"capability": "AUDIO_TO_TEXT"}, ["words", "more"]),
            ({"capability": "text-to-smell"}, ["nose"]),
            ({"capability": "text-to-video"}, []),
            ({"capability": "video-to-video"}, ["lay"]),
            ({"input_roles": [video]}, ["words", "lay", "more"]),
            ({"input_roles": [video], "output_role": text}, ["words", "more"]),
            ({"input_roles": [video, image, image]}, ["lay"]),
            ({"provider_id": "deux"}, ["lay", "more"]),
            ({"text": "ROSES smells"}, ["nose"]),
            ({"text": "m", "provider_id": "two"}, ["more"]),
        ]:
            assert (await found(channel, **fields))[0] == ids, fields
        with pytest.raises(CapabilityUnknown):
            await found(channel, capability="nothing")
        with pytest.raises(ProviderUnknown):
            await found(channel, provider_id="nobody")


async def test_pages_give_every_model_once(here):
    names = [f"m{number:03}" for number in range(250)]
    async with here.running_control() as channel, Joined(channel, registration(models=[model(n) for n in names])):
        for size, pages in ((100, 3), (0, 3), (7, 36), (250, 1), (5000, 1)):
            token, seen = "", []
            for _ in range(pages):
                page, token = await found(channel, page_size=size, page_token=token)
                seen += page
            assert (seen, token) == (names, "")
        for token in ("nonsense", "AAAA", "é"):
            with pytest.raises(PageTokenInvalid):
                await found(channel, page_token=token)


async def test_models_without_an_instance_are_shown_as_not_available(here):
    async with here.running_control() as channel:
        async with Joined(channel, registration()):
            assert (await found(channel, available_only=True))[0] == ["words"]
        await until_true(lambda: nothing_found(channel))
        answer = await DiscoveryServiceStub(channel).FindModels(discovery_service_pb2.FindModelsRequest())
        assert not answer.models[0].availability.available
        assert answer.models[0].availability.reason


async def test_number_and_name_of_a_target_have_to_agree(here):
    async with here.running_control() as channel, Joined(channel, registration()):
        number = capability_pb2.CAPABILITY_SPEECH_TO_TEXT
        assert await resolved(channel, capability=number) == "peer-1"
        assert await resolved(channel, capability=number, capability_name="transcription") == "peer-1"
        with pytest.raises(TargetMismatch):
            await resolved(channel, capability=number, capability_name="text-to-speech")


class Watching:
    """Collects what a watch says."""

    def __init__(self, channel, *, include_models):
        request = discovery_service_pb2.WatchRequest(include_models=include_models)
        self.call = DiscoveryServiceStub(channel).Watch(request)
        self.changes = []
        self.task = asyncio.create_task(self._collect())

    async def _collect(self):
        async for change in self.call:
            self.changes.append(change)

    def kinds(self):
        return [change.WhichOneof("change") for change in self.changes]

    async def next_are(self, *kinds):
        await until(lambda: len(self.changes) >= len(kinds), what=f"{kinds}, {self.kinds()}")
        assert self.kinds() == list(kinds)
        versions = [change.version for change in self.changes]
        assert versions == sorted(versions)
        taken, self.changes = self.changes, []
        return taken

    async def close(self):
        self.call.cancel()
        await asyncio.wait([self.task])


async def test_a_watch_gives_a_snapshot_a_marker_and_then_what_changes(here):
    async with here.running_control() as channel, Joined(channel, registration("one", models=[model("a"), model("b")])):
        watch = Watching(channel, include_models=True)
        only_providers = Watching(channel, include_models=False)
        await watch.next_are("provider", "model", "model", "snapshot_complete")
        await only_providers.next_are("provider", "snapshot_complete")
        async with Joined(channel, registration("two", models=[model("c")])) as two:
            await watch.next_are("provider", "model")
            changed = {"models": [model("c"), model("d")]}
            await two.update(models=registry_service_pb2.ModelList(**changed))
            [added] = await watch.next_are("model")
            assert (added.model.provider_id, added.model.id) == ("two", "d")
            await two.update(models=registry_service_pb2.ModelList(models=[model("d")]))
            [removed] = await watch.next_are("model_removed")
            assert (removed.model_removed.provider_id, removed.model_removed.model_id) == ("two", "c")
            await two.update(draining=True)
            [provider_] = await watch.next_are("provider")
            assert provider_.provider.instances[0].draining
            await two.call.done_writing()
            await watch.next_are("model_removed", "provider_removed")
        await only_providers.next_are("provider", "provider", "provider_removed")
        await watch.close()
        await only_providers.close()


def backend(state, **fields):
    return {"state": getattr(pb, f"SERVICE_STATE_{state}"), **fields}


async def test_a_watch_tells_how_backends_are(here):
    async with here.running_control() as channel, Joined(channel, registration("one")) as one:
        watch = Watching(channel, include_models=False)
        await watch.next_are("provider", "snapshot_complete")
        await one.update(service=backend("STOPPED"))
        [change] = await watch.next_are("service")
        assert (change.service.provider_id, change.service.instance_id) == ("one", "one-1")
        await one.update(service=backend("STOPPED"))  # nothing has changed
        await one.update(service=backend("PULLING", fraction=0.4, message="pulling 40 %"))
        await one.update(service=backend("PULLING", fraction=0.5, message="pulling 50 %"))
        pulled = await watch.next_are("service", "service")
        assert [change.service.status.fraction for change in pulled] == [0.4, 0.5]
        lines = ["last words"]
        await one.update(service=backend("FAILED", exit_code=137, out_of_memory=True, log_lines=lines))
        await watch.next_are("service")
        late = Watching(channel, include_models=True)
        [_, _, service, _] = await late.next_are("provider", "model", "service", "snapshot_complete")
        status = service.service.status
        assert (status.exit_code, status.out_of_memory, list(status.log_lines)) == (137, True, lines)
        one.call.cancel()
        await watch.next_are("provider")  # its description shows that the instance is gone
        async with Joined(channel, registration("one")) as again:
            await watch.next_are("provider")
            await again.update(service=backend("FAILED", exit_code=137, out_of_memory=True, log_lines=lines))
            await watch.next_are("service")
        for each in (watch, late):
            await each.close()


async def test_calls_for_a_capability_go_where_no_backend_has_to_be_started(here):
    async with (
        here.running_control() as channel,
        Joined(channel, registration("a")) as a,
        Joined(channel, registration("b")) as b,
    ):

        async def goes_to(instance):
            return await resolved(channel, capability_name="speech-to-text") == instance

        await a.update(service=backend("STOPPED"))
        await until_true(lambda: goes_to("b-1"))
        assert await resolved(channel, provider="a") == "a-1", "who is named is taken"
        await b.update(service=backend("ABSENT"))
        await until_true(lambda: goes_to("a-1"))
        await a.update(service=backend("FAILED"))
        await until_true(lambda: goes_to("b-1"))
        await b.update(service=backend("FAILED"))
        await a.update(service=backend("IDLE"))
        await until_true(lambda: goes_to("a-1"))


async def test_only_what_routes_depend_on_makes_a_new_table():
    registry, pushed, told = Registry(), [], []
    registry.listen(pushed.append)
    registry.listen_to_services(told.append)
    instance = registry.add(registration("one"))
    del pushed[:]
    for fraction in (0.1, 0.2, 0.3):
        update = registry_service_pb2.RegistrationUpdate(service=backend("PULLING", fraction=fraction))
        registry.update(instance, update)
    assert (pushed, told) == (["one"], ["one"] * 3)
    registry.update(instance, registry_service_pb2.RegistrationUpdate(service=backend("READY")))
    assert (pushed, told) == (["one"] * 2, ["one"] * 4)


async def test_a_provider_that_is_lost_shows_up_in_a_watch_within_a_second(here):
    async with here.running_control() as channel:
        for _ in range(25):
            async with Joined(channel, registration()):
                watch = Watching(channel, include_models=False)
                await watch.next_are("provider", "snapshot_complete")
            [gone] = await watch.next_are("provider")
            assert not gone.provider.instances
            assert not gone.provider.availability.available
            await watch.close()
