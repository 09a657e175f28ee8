"""Handles of providers, through the real gateway and directly at a provider server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import automarket
from automarket import Role, Text
from automarket.client.descriptors import ProviderKind
from automarket.errors import (
    CapabilityUnknown,
    ModelUnknown,
    ProviderUnknown,
    RequestUnknown,
    SettingUnknown,
    StateError,
)
from automarket.service_status import ServiceState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def mesh(place) -> AsyncIterator[automarket.Mesh]:
    async with automarket.connect(place.address) as mesh:
        yield mesh


async def test_a_handle_knows_its_provider_after_it_is_awaited(mesh):
    handle = mesh.provider("plaything")
    with pytest.raises(StateError, match="await the handle"):
        _ = handle.name
    assert handle.id == "plaything"
    assert await handle is handle
    assert (handle.id, handle.name, handle.type) == ("toy", "Toy", "local")
    assert "speech-to-text" in handle.capabilities


async def test_a_provider_describes_itself(mesh):
    (info,) = await mesh.providers()
    assert info == await mesh.provider("toy").info()
    assert info.kind == ProviderKind.LOCAL
    assert info.settings_schema["properties"]["api_key"]["writeOnly"] is True
    assert len(info.instances) == 1
    assert await mesh.provider("toy").is_available()


async def test_a_provider_that_nobody_knows_is_an_error(mesh):
    for ask in (mesh.provider("nobody").info(), mesh.provider("nobody").is_available()):
        with pytest.raises(ProviderUnknown):
            await ask


async def test_models_are_found_by_capability_and_its_kinds(mesh):
    handle = mesh.provider("toy")
    assert {model.id for model in await handle.models()} == {"words", "echo", "say", "frames", "compose"}
    assert [model.id for model in await handle.models(capability="audio-to-text")] == ["words"]
    assert await handle.supports("audio-to-text")
    assert not await handle.supports("face-swap")
    assert [model.id for model in await mesh.models(output_role=Role.IMAGE)] == ["frames"]
    with pytest.raises(CapabilityUnknown):
        await mesh.models(capability="mind-reading")


async def test_a_model_describes_itself(mesh):
    (model,) = await mesh.models(capability="voice-cloning") or await mesh.models(capability="text-to-speech")
    assert [(slot.name, slot.role, slot.optional) for slot in model.inputs] == [
        ("text", Role.TEXT, False),
        ("voice", Role.SPEECH, True),
    ]
    assert model.outputs[0].role == Role.SPEECH
    assert model.limits.max_queued_calls == 4
    assert model.limits.max_call_duration is None
    assert model.pricing is None
    assert set(model.options_schema["properties"]) == {"voice", "speed", "format", "fault"}


async def test_capabilities_say_what_they_are_and_how_many_models_have_them(mesh):
    found = {one.name: one for one in await mesh.capabilities()}
    assert found["speech-to-text"].parents == ("audio-to-text",)
    assert found["speech-to-text"].input_roles == (Role.SPEECH,)
    assert found["speech-to-text"].model_count == 1
    assert "face-swap" not in {one.name for one in await mesh.capabilities(available_only=True)}


async def test_a_model_handle_names_itself_and_says_whether_it_is_there(mesh):
    model = await mesh.provider("toy").speech_to_text()
    assert (model.id, model.provider_id) == ("words", "toy")
    assert await model.is_available()


@pytest.mark.parametrize(("family", "model"), [("speech_to_text", "nobody"), ("text_to_speech", "words")])
async def test_a_model_that_is_not_there_or_cannot_do_it_is_an_error(mesh, family, model):
    with pytest.raises((ModelUnknown, CapabilityUnknown)):
        await getattr(mesh.provider("toy"), family)(model)


async def test_generate_runs_the_best_model_for_a_capability(mesh):
    text = await mesh.provider("toy").generate("text-generation", ["hi"], {"suffix": "!"})
    assert isinstance(text, Text)
    assert text.content == "hi! "


async def test_settings_are_set_and_never_given_back(place, mesh):
    changed = await mesh.provider("toy").configure(api_key="secret")
    assert (changed.changed, changed.instance_count) == (("api_key",), 1)
    assert place.toy.provider.settings == {"api_key": "secret"}
    with pytest.raises(SettingUnknown):
        await mesh.provider("toy").configure(key="secret")


async def test_a_service_is_started_watched_and_stopped(mesh):
    handle = mesh.provider("toy")
    seen = []
    status = await handle.start_service(on_status=seen.append)
    assert [one.state for one in seen] == [ServiceState.PULLING, ServiceState.STARTING, ServiceState.READY]
    assert status.healthy
    assert (await handle.service_status()).running
    assert len((await handle.service_status()).instances) == 1
    assert (await handle.stop_service()).state == ServiceState.STOPPED


async def test_diagnostics_of_a_call_that_nobody_knows_are_an_error(mesh):
    with pytest.raises(RequestUnknown):
        await mesh.provider("toy").diagnostics("00000000-0000-4000-8000-000000000000")


async def test_a_watch_reports_what_is_there_and_then_what_changes(mesh):
    changes = []
    async with asyncio.timeout(10):
        async for change in mesh.watch():
            changes.append(change)
            if change.snapshot_complete:
                break
    assert [change.provider.id for change in changes if change.provider] == ["toy"]
    assert len([change for change in changes if change.model]) == 5


async def test_a_route_leads_to_the_provider_itself(mesh):
    route = await mesh.resolve(capability="speech-to-text")
    assert route.model.id == "words"
    async with automarket.connect(route.addresses[0]) as direct:
        assert await (await direct.model("echo")).is_available()


async def test_at_a_provider_server_by_itself_files_go_with_the_call(toy, media):
    path = media.speech_wav()
    async with automarket.connect(toy.address) as direct:
        stt = await direct.provider("toy").speech_to_text()
        assert (await stt.transform(path)).content
        assert await direct.provider("toy").is_available()
    (call,) = toy.models.calls
    assert call.inputs[0] == path.read_bytes()
    assert len(call.last[0].sha256) == 32
