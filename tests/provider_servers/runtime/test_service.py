"""Describing, configuring and driving a provider."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf import text_format

from automarket import secrets
from automarket.errors import ProviderUnknown, RequestUnknown, ServiceStartFailed, SettingInvalid, SettingUnknown
from automarket.rpc.channel import errors_mapped
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.v1.media_provider_service_pb2_grpc import MediaProviderServiceStub

SECRET = "sk-0123456789abcdef"
INSTANCED = ("Configure", "StartService", "StopService", "GetServiceStatus")
NAMED = ("GetProvider", "ListModels", *INSTANCED, "GetDiagnostics")


async def ask(served, method, **fields):
    request = getattr(pb, f"{method}Request")(**{key: value for key, value in fields.items() if key != "settings"})
    if "settings" in fields:
        request.settings.update(fields["settings"])
    with errors_mapped():
        answer = getattr(MediaProviderServiceStub(served.channel), method)(request)
        if method == "StartService":
            return [state async for state in answer]
        return await answer


@pytest.mark.parametrize("method", NAMED)
async def test_every_method_knows_the_provider_by_every_name_and_by_no_other(bench, method):
    for name in ("", "bench", "workbench"):
        with contextlib.suppress(RequestUnknown):
            await ask(bench, method, provider_id=name)
    with pytest.raises(ProviderUnknown):
        await ask(bench, method, provider_id="flite")


@pytest.mark.parametrize("method", INSTANCED)
async def test_methods_that_take_an_instance_refuse_another_one(bench, method):
    await ask(bench, method, instance_id=bench.server.describe().instance_id)
    with pytest.raises(ProviderUnknown):
        await ask(bench, method, instance_id="another")


async def test_the_description_is_what_is_registered(bench):
    registered = bench.server.describe()
    assert (await ask(bench, "GetProvider")).provider == registered.provider
    assert list((await ask(bench, "ListModels")).models) == list(registered.models)
    assert registered.provider.settings_schema["properties"]["api_key"]["writeOnly"]


async def test_settings_arrive_and_are_never_given_back(bench):
    answer = await ask(bench, "Configure", settings={"api_key": SECRET, "size": 4})
    assert (list(answer.changed), answer.instance_count) == (["api_key", "size"], 1)
    assert bench.provider.settings == {"api_key": SECRET, "size": 4}
    assert type(bench.provider.settings["size"]) is int
    again = await ask(bench, "Configure", settings={"api_key": SECRET, "size": 5})
    assert list(again.changed) == ["size"]
    for method in ("GetProvider", "ListModels", "GetServiceStatus"):
        assert SECRET not in text_format.MessageToString(await ask(bench, method))
    assert SECRET not in secrets.scrub(f"the key is {SECRET}")


@pytest.mark.parametrize(
    ("settings", "cls", "field"),
    [
        ({"api_key": "sk-1234", "size": 1}, SettingInvalid, "settings.api_key"),
        ({"api_key": SECRET, "size": 0}, SettingInvalid, "settings.size"),
        ({"api_key": 12345678.25}, SettingInvalid, "settings.api_key"),
        ({"colour": "sk-1234"}, SettingUnknown, "settings.colour"),
        ({"size": float("inf")}, SettingInvalid, "settings"),
    ],
)
async def test_a_wrong_setting_changes_nothing_and_is_not_repeated(bench, settings, cls, field):
    with pytest.raises(cls) as caught:
        await ask(bench, "Configure", settings=settings)
    error = caught.value
    assert list(error.fields) == [field]
    told = f"{error} {error.fields} {error.metadata}"
    assert not any(str(value) in told for name, value in settings.items() if name != "size")
    assert bench.provider.settings == {}


async def test_a_backend_starts_and_stops(bench):
    assert (await ask(bench, "GetServiceStatus")).status.state == pb.SERVICE_STATE_STOPPED
    states = await ask(bench, "StartService")
    shown = [(one.status.state, one.status.healthy) for one in states]
    assert shown == [(pb.SERVICE_STATE_STARTING, False), (pb.SERVICE_STATE_READY, True)]
    assert (states[0].status.fraction, states[0].status.message) == (0.5, "half way")
    answer = await ask(bench, "GetServiceStatus")
    assert answer.status.running
    assert [one.instance_id for one in answer.instances] == [bench.server.describe().instance_id]
    stopped = await ask(bench, "StopService")
    assert (stopped.status.state, stopped.status.running) == (pb.SERVICE_STATE_STOPPED, False)


async def test_a_backend_that_does_not_start_is_an_error_after_its_last_state(bench):
    await ask(bench, "Configure", settings={"size": 13})
    states = []
    with pytest.raises(ServiceStartFailed) as caught, errors_mapped():
        async for state in MediaProviderServiceStub(bench.channel).StartService(pb.StartServiceRequest()):
            states.append(state.status.state)  # noqa: PERF401 - what came before the error counts
    assert states[-1] == pb.SERVICE_STATE_FAILED
    assert (caught.value.message, caught.value.hint) == ("13 is too many", "take 12")
