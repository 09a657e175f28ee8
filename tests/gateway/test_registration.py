"""Who may join the mesh, and what a wrong description is told."""

from __future__ import annotations

import asyncio
import time

import pytest

from automarket.errors import (
    AutoMarketError,
    HeaderMissing,
    HeaderRepeated,
    InstanceReplaced,
    NameTaken,
    ProviderUnavailable,
    ProviderUnknown,
    ProviderUnusable,
    RegistrationInvalid,
    UnavailableError,
)
from automarket.rpc.channel import errors_mapped, open_channel
from automarket.rpc.streams import EOF, call_error
from automarket.v1 import (
    capability_pb2,
    discovery_service_pb2,
    endpoint_pb2,
    media_pb2,
    model_pb2,
    registry_service_pb2,
)
from automarket.v1.discovery_service_pb2_grpc import DiscoveryServiceStub
from automarket.v1.registry_service_pb2_grpc import RegistryServiceStub
from gateway.control.entries import ProviderEntry
from gateway.control.registry import Registry
from tests.support.gateway import resolved, until_true
from tests.support.peer import endpoint, model, provider, registration, slot

RegisterRequest = registry_service_pb2.RegisterRequest


class Joined:
    """One registration by hand."""

    def __init__(self, channel, request):
        self.call = RegistryServiceStub(channel).Register()
        self.request = request

    async def __aenter__(self):
        await self.call.write(RegisterRequest(registration=self.request))
        with errors_mapped():
            self.confirmed = (await self.call.read()).confirmed
        return self

    async def __aexit__(self, *_):
        self.call.cancel()

    async def update(self, **fields):
        await self.call.write(RegisterRequest(update=registry_service_pb2.RegistrationUpdate(**fields)))

    async def error(self):
        return await asyncio.wait_for(call_error(self.call), 2)


async def refused(channel, request):
    with pytest.raises(AutoMarketError) as caught:
        async with Joined(channel, request):
            pass
    return caught.value


async def listed(channel):
    answer = await DiscoveryServiceStub(channel).ListProviders(discovery_service_pb2.ListProvidersRequest())
    return {provider.id: provider for provider in answer.providers}


def struct(**values):
    described = model_pb2.Model()
    described.options_schema.update(values)
    return described.options_schema


def odd_capability(number, name):
    return [model_pb2.CapabilityRef(capability=number, name=name)]


M = "registration.models[0]"
P = "registration.provider"
STT = capability_pb2.CAPABILITY_SPEECH_TO_TEXT
WRONG = {
    "registration.instance_id": registration(instance_id="x" * 64),
    "registration.endpoints": registration(),
    "registration.endpoints[0]": registration(),
    f"{P}.id": registration("No Name"),
    f"{P}.aliases[1]": registration(provider=provider(aliases=["fine", "not fine"])),
    f"{P}.aliases[2]": registration(provider=provider(aliases=["a", "b", "a"])),
    f"{P}.aliases[0]": registration(provider=provider(aliases=["peer"])),
    f"{P}.kind": registration(provider=provider(kind=model_pb2.PROVIDER_KIND_UNSPECIFIED)),
    f"{P}.settings_schema": registration(provider=provider(settings_schema=struct(type="array"))),
    "registration.models": registration(models=[]),
    "registration.models[1].id": registration(models=[model("a"), model("a")]),
    "registration.models[1].aliases": registration(models=[model("a"), model("b", aliases=["a"])]),
    f"{M}.id": registration(models=[model("with space")]),
    f"{M}.provider_id": registration(models=[model(provider_id="other")]),
    f"{M}.inputs": registration(models=[model(takes="text")]),
    f"{M}.outputs": registration(models=[model(outputs=[])]),
    f"{M}.outputs[0].name": registration(models=[model(outputs=[model_pb2.OutputType(role=media_pb2.ROLE_TEXT)])]),
    f"{M}.inputs[1].name": registration(models=[model(inputs=[slot("a", media_pb2.ROLE_SPEECH)] * 2)]),
    f"{M}.inputs[0].role": registration(models=[model(inputs=[slot("a", media_pb2.ROLE_UNSPECIFIED)])]),
    f"{M}.capabilities": registration(models=[model(capabilities=[])]),
    f"{M}.capabilities[0]": registration(models=[model(capabilities=odd_capability(STT, "text-to-speech"))]),
    f"{M}.options_schema": registration(models=[model(options_schema=struct(type="nonsense"))]),
}
del WRONG["registration.endpoints"].endpoints[:]
WRONG["registration.endpoints[0]"].endpoints[0].scope = endpoint_pb2.ENDPOINT_SCOPE_UNSPECIFIED
MORE_WRONG = [
    (f"{M}.id", registration(models=[model("ümlaut")])),
    (f"{M}.id", registration(models=[model("")])),
    (f"{M}.capabilities[0]", registration(models=[model(capabilities=odd_capability(0, ""))])),
    (f"{M}.capabilities[0]", registration(models=[model(capabilities=odd_capability(999, ""))])),
    (f"{M}.capabilities[0]", registration(models=[model(capabilities=odd_capability(0, "Smell, strong"))])),
    (f"{M}.outputs", registration(models=[model(makes="speech")])),
    (f"{M}.options_schema", registration(models=[model(options_schema=struct(properties={"x": {"type": 5}}))])),
    ("registration.models", registration(models=[model(str(n)) for n in range(10_001)])),
]


@pytest.mark.parametrize(("field", "request_"), [*WRONG.items(), *MORE_WRONG])
async def test_a_wrong_description_names_the_field(here, field, request_):
    async with here.running_control() as channel:
        error = await refused(channel, request_)
        assert type(error) is RegistrationInvalid
        assert field in error.fields, error.fields
        assert error.fields[field]
        assert await listed(channel) == {}


async def test_all_faults_are_told_at_once(here):
    async with here.running_control() as channel:
        error = await refused(channel, registration("Bad", models=[model("a b", capabilities=[])]))
        assert {f"{P}.id", f"{M}.id", f"{M}.capabilities"} <= error.fields.keys()


@pytest.mark.alone
async def test_thousands_of_models_do_not_keep_others_waiting(here):
    models = [model(str(n), options_schema=struct(type="object", properties={"x": {"const": n}})) for n in range(2000)]
    async with here.running_control() as channel:
        joining = asyncio.create_task(Joined(channel, registration("big", models=models)).__aenter__())
        slowest = 0.0
        while not joining.done():
            begin = time.monotonic()
            await listed(channel)
            slowest = max(slowest, time.monotonic() - begin)
        (await joining).call.cancel()
        assert slowest < 0.5


async def test_a_stream_without_a_registration_or_with_two_is_refused(here):
    async with here.running_control() as channel:
        call = RegistryServiceStub(channel).Register(iter(()))
        assert isinstance(await call_error(call), HeaderMissing)
        call = RegistryServiceStub(channel).Register(iter([RegisterRequest(update={"draining": True})]))
        assert isinstance(await call_error(call), HeaderMissing)
        async with Joined(channel, registration()) as joined:
            await joined.call.write(RegisterRequest(registration=registration()))
            assert isinstance(await joined.error(), HeaderRepeated)
        async with Joined(channel, registration()) as joined:
            await joined.call.write(RegisterRequest())
            assert isinstance(await joined.error(), RegistrationInvalid)


async def test_an_instance_is_there_for_as_long_as_its_stream(here):
    async with here.running_control(store="unix:/s", content_directory="/c") as channel:
        for _ in range(25):
            async with Joined(channel, registration()) as joined:
                assert joined.confirmed.asset_store.endpoints[0].address == "unix:/s"
                assert joined.confirmed.asset_store.content_directory == "/c"
                assert await resolved(channel, provider="peer") == "peer-1"
                await joined.call.done_writing()
                assert await joined.call.read() is EOF
            with pytest.raises(ProviderUnavailable) as caught:
                await resolved(channel, provider="peer")
            assert caught.value.retry_after
            with pytest.raises(ProviderUnavailable):
                await resolved(channel, model="words")


async def test_a_provider_that_said_goodbye_is_unknown_and_one_that_was_lost_is_not(here):
    async with here.running_control() as channel:
        async with Joined(channel, registration()) as joined:
            await joined.update(draining=True)
            await joined.update(load={"active_calls": 1})  # leaves draining out, and changes nothing of it
            with pytest.raises(ProviderUnavailable):
                while True:
                    await resolved(channel, provider="peer")
            await joined.call.done_writing()
            assert await joined.call.read() is EOF
        with pytest.raises(ProviderUnknown):
            await resolved(channel, provider="peer")


async def test_names_belong_to_one_provider(here):
    async with here.running_control() as channel:
        first = registration("one", provider=provider("one", aliases=["uno"]))
        taken = [
            ("registration.provider.id", registration("uno")),
            ("registration.provider.aliases[0]", registration(provider=provider(aliases=["one"]))),
            ("registration.provider.aliases[1]", registration(provider=provider(aliases=["x", "uno"]))),
            ("registration.instance_id", registration("two", instance_id="one-1")),
        ]
        async with Joined(channel, first):
            for field, request in taken:
                error = await refused(channel, request)
                assert isinstance(error, NameTaken)
                assert field in error.fields
            async with Joined(channel, registration("one", instance_id="one-2")):
                pass
        await until_true(lambda: nobody_is_left(channel))
        async with Joined(channel, registration("uno")):
            assert await resolved(channel, provider="uno") == "uno-1"


async def test_the_newest_generation_of_an_instance_wins(here):
    async with here.running_control() as channel, Joined(channel, registration(generation=5)) as old:
        assert isinstance(await refused(channel, registration(generation=4)), InstanceReplaced)
        async with Joined(channel, registration(generation=6, address="unix:/new.sock")):
            assert isinstance(await old.error(), InstanceReplaced)
            [instance] = (await listed(channel))["peer"].instances
            assert instance.instance_id == "peer-1"
            assert await resolved(channel, provider="peer") == "peer-1"


async def test_updates_of_load_availability_and_models_are_seen(here):
    async with here.running_control() as channel, Joined(channel, registration()) as joined:
        await joined.update(load={"active_calls": 3, "queued_calls": 2})
        await joined.update(models={"models": [model("new", "text-to-text", takes="text")]})
        await until_true(lambda: resolved(channel, model="new"))
        [instance] = (await listed(channel))["peer"].instances
        assert (instance.active_calls, instance.queued_calls) == (3, 2)
        await joined.update(availability={"reason": "no key", "hint": "set KEY"})
        with pytest.raises(ProviderUnusable) as caught:
            while True:
                await resolved(channel, model="new")
        assert caught.value.hint == "set KEY"
        assert (await listed(channel))["peer"].availability.reason == "no key"
        await joined.update(availability={"available": True})
        await until_true(lambda: resolved(channel, model="new"))
        await joined.update(models={"models": [model("a b")]})
        error = await joined.error()
        assert isinstance(error, RegistrationInvalid)
        assert "update.models.models[0].id" in error.fields


async def test_voice_cloning_follows_from_a_voice_slot_and_children_answer_for_parents(here):
    slots = [slot("text", media_pb2.ROLE_TEXT), slot("voice", media_pb2.ROLE_SPEECH, optional=True)]
    speaks = model("clone", "text-to-speech", makes="speech", inputs=slots)
    async with here.running_control() as channel, Joined(channel, registration(models=[speaks])):
        for name in ("voice-cloning", "text-to-speech", "text-to-audio", "tts"):
            assert await resolved(channel, capability_name=name) == "peer-1"
        names = {c.name for c in (await listed(channel))["peer"].capabilities}
        assert names == {"text-to-speech", "voice-cloning"}


async def test_fifty_register_and_look_each_other_up_at_once(here):
    async with here.running_control() as channel:
        for _ in range(3):
            await asyncio.gather(*(_join_and_look(here.control, number) for number in range(50)))
            await until_true(lambda: nobody_is_left(channel))


async def _join_and_look(address, number):
    name = f"p{number}"
    async with open_channel(address) as channel, Joined(channel, registration(name, models=[model(f"m{number}")])):
        for _ in range(3):
            assert await resolved(channel, provider=name) == f"{name}-1"
            assert await resolved(channel, model=f"m{number}") == f"{name}-1"
            assert name in await listed(channel)


async def nobody_is_left(channel):
    return not any(provider.instances for provider in (await listed(channel)).values())


async def test_right_after_the_start_an_unknown_name_is_unavailable_with_the_time_that_is_left(here):
    async with here.running_control(settle_seconds=0.6) as channel:
        for target in ({"provider": "x"}, {"model": "x"}, {"capability_name": "x"}):
            with pytest.raises(UnavailableError) as caught:
                await resolved(channel, **target)
            assert 0 < caught.value.retry_after <= 0.6
        await asyncio.sleep(caught.value.retry_after + 0.1)
        with pytest.raises(ProviderUnknown):
            await resolved(channel, provider="x")


def known(name, *, available):
    said = model_pb2.Availability(available=available, reason="" if available else "no")
    return ProviderEntry(provider(name, availability=said), permanent=True)


async def test_the_registry_is_settled_early_when_all_that_are_expected_are_here():
    now = 100.0
    registry = Registry(settle_seconds=5, clock=lambda: now)
    registry.know([known("here", available=True), known("not-here", available=False)])
    registry.add(registration("here"))
    assert not registry.settled
    now = 102.1
    assert registry.settled
    assert registry.retry_after == 1.0


async def test_a_registry_with_somebody_missing_waits_to_the_end():
    now = 100.0
    registry = Registry(settle_seconds=5, clock=lambda: now)
    registry.know([known("one", available=True), known("two", available=True)])
    registry.add(registration("one"))
    now = 104.0
    assert not registry.settled
    assert registry.retry_after == pytest.approx(1.0)
    now = 105.0
    assert registry.settled


async def test_a_provider_that_was_lost_is_forgotten_in_the_end():
    now = 0.0
    registry = Registry(remember_seconds=10, settle_seconds=0, clock=lambda: now)
    registry.know([known("known", available=False)])
    registry.remove(registry.add(registration("lost")))
    now = 9.0
    assert [entry.provider.id for entry in registry.providers()] == ["known", "lost"]
    now = 11.0
    assert [entry.provider.id for entry in registry.providers()] == ["known"]


async def test_an_instance_is_reached_at_its_nearest_address_that_is_there(here):
    network = endpoint_pb2.Endpoint(scope=endpoint_pb2.ENDPOINT_SCOPE_NETWORK, address="10.0.0.1:1")
    request = registration()
    del request.endpoints[:]
    request.endpoints.extend([network, endpoint(here.control), endpoint("unix:/nowhere")])
    async with here.running_control() as channel, Joined(channel, request):
        asked = discovery_service_pb2.ResolveRequest()
        asked.target.provider = "peer"
        answer = await DiscoveryServiceStub(channel).Resolve(asked)
        assert [e.address for e in answer.endpoints] == [here.control, "unix:/nowhere", "10.0.0.1:1"]


async def test_control_going_down_asks_everybody_to_come_back(here):
    async with open_channel(here.control) as channel:
        async with here.running_control():
            joined = [await Joined(channel, registration(f"p{n}")).__aenter__() for n in range(3)]
            watch = DiscoveryServiceStub(channel).Watch(discovery_service_pb2.WatchRequest())
            while not (await watch.read()).HasField("snapshot_complete"):
                pass
        for error in [*[await one.error() for one in joined], await call_error(watch)]:
            assert isinstance(error, UnavailableError)
            assert error.retry_after
