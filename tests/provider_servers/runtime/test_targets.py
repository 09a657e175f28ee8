"""Which model a call means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from automarket.errors import CapabilityUnknown, ModelUnknown, ProviderUnknown, TargetMismatch
from automarket.v1 import capability_pb2, model_pb2
from provider_servers.runtime import Model, Output, Role, Slot, targets
from provider_servers.runtime.targets import resolve
from tests.provider_servers.runtime.toys import Toy

SPEAKER = Model(
    "speaker",
    ("text-to-speech",),
    (Slot("text", Role.TEXT), Slot("voice", Role.SPEECH, optional=True)),
    (Output("speech", Role.SPEECH),),
    canonical_id="acme/speaker",
    aliases=("talker",),
)
PLAIN = Model("plain", ("text-to-speech",), (Slot("text", Role.TEXT),), (Output("speech", Role.SPEECH),))
FOREIGN = Model("foreign", ("text-to-smell",), (Slot("text", Role.TEXT),), (Output("text", Role.TEXT),))


class Many(Toy):
    def models(self):
        return (PLAIN, SPEAKER, FOREIGN)


def found(metadata=None, **target):
    model, capability = resolve(Many(), model_pb2.Target(**target), metadata or {})
    return model.id, capability


@pytest.mark.parametrize("name", ["speaker", "acme/speaker", "talker"])
def test_a_model_is_found_by_each_of_its_names(name):
    assert found(model=name) == ("speaker", "text-to-speech")


@pytest.mark.parametrize("name", ["text-to-speech", "tts", "text-to-audio", "TEXT_TO_SPEECH"])
def test_a_capability_is_found_by_alias_and_by_what_it_is_a_kind_of(name):
    assert found(capability_name=name) == ("plain", "text-to-speech")


def test_a_capability_is_found_by_number():
    assert found(capability=capability_pb2.CAPABILITY_TEXT_TO_SPEECH) == ("plain", "text-to-speech")


def test_a_third_partys_capability_is_found_by_its_name():
    assert found(capability_name="text-to-smell") == ("foreign", "text-to-smell")


def test_a_speaker_with_a_voice_slot_clones_voices():
    assert found(capability_name="voice-cloning") == ("speaker", "text-to-speech")


def test_the_gateways_choice_wins():
    assert found({"automarket-resolved-model": "speaker"}, capability_name="text-to-speech")[0] == "speaker"


def test_a_call_without_a_target_takes_the_metadata():
    assert found({"automarket-model": "talker"})[0] == "speaker"
    assert found({"automarket-capability": "text-to-smell"})[0] == "foreign"


@pytest.mark.parametrize("name", ["", "toy", "plaything"])
def test_the_provider_answers_to_its_names(name):
    assert found(provider=name)[0] == "plain"


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ({"model": "nobody"}, ModelUnknown),
        ({"provider": "other"}, ProviderUnknown),
        ({"capability_name": "speech-to-text"}, CapabilityUnknown),
        ({"model": "plain", "capability_name": "voice-cloning"}, CapabilityUnknown),
    ],
)
def test_what_is_not_here_is_said(target, error):
    with pytest.raises(error):
        found(**target)


@pytest.mark.parametrize(
    ("metadata", "target", "field"),
    [
        ({"automarket-model": "plain"}, {"model": "speaker"}, "target.model"),
        ({"automarket-capability": "tts"}, {"capability_name": "text-to-smell"}, "target.capability_name"),
        ({"automarket-provider": "toy"}, {"provider": "plaything"}, "target.provider"),
        ({}, {"capability": 1, "capability_name": "text-to-speech"}, "target.capability_name"),
        ({"automarket-resolved-model": "plain"}, {"model": "speaker"}, "target.model"),
        ({"automarket-resolved-model": "plain"}, {"model": "nobody"}, "target.model"),
    ],
)
def test_what_does_not_agree_is_refused_by_field(metadata, target, field):
    with pytest.raises(TargetMismatch) as caught:
        found(metadata, **target)
    assert list(caught.value.fields) == [field]


def test_names_that_mean_the_same_agree():
    assert found({"automarket-capability": "tts"}, capability_name="text-to-speech")[0] == "plain"


@pytest.mark.parametrize("name", ["", "speaker", "acme/speaker", "talker"])
def test_any_name_of_the_resolved_model_agrees_with_it(name):
    assert found({"automarket-resolved-model": "speaker"}, model=name)[0] == "speaker"


@pytest.mark.parametrize("name", ["toy", "plaything"])
def test_a_call_that_was_resolved_to_this_provider_is_taken(name):
    assert found({"automarket-resolved-provider": name})[0] == "plain"


def test_a_call_that_was_resolved_to_another_provider_is_refused():
    with pytest.raises(TargetMismatch, match="other"):
        found({"automarket-resolved-provider": "other"}, model="plain")


def fallback(model="", provider=""):
    return {"preferences": model_pb2.Preferences(fallbacks=[model_pb2.Fallback(model=model, provider=provider)])}


@pytest.mark.parametrize(
    "target",
    [
        {"model": "elsewhere", **fallback("talker")},
        {"model": "elsewhere", "provider": "other", **fallback("speaker", "toy")},
        {"model": "elsewhere", "provider": "other", **fallback("speaker")},
        {"model": "speaker", "provider": "other", **fallback(provider="plaything")},
    ],
)
def test_a_fallback_that_the_gateway_chose_is_no_mismatch(target):
    assert found({"automarket-resolved-model": "speaker"}, **target)[0] == "speaker"


@pytest.mark.parametrize("prefer", ["talker@", "local-only,elsewhere@,speaker@toy"])
def test_a_fallback_may_stand_in_the_metadata(prefer):
    metadata = {"automarket-resolved-model": "speaker", "automarket-prefer": prefer}
    assert found(metadata, model="elsewhere", provider="other")[0] == "speaker"


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ({"model": "elsewhere", **fallback("plain")}, TargetMismatch),
        ({"model": "elsewhere", **fallback("speaker", "third")}, TargetMismatch),
        ({"model": "elsewhere", "provider": "other", **fallback("speaker", "third")}, ProviderUnknown),
        ({"model": "speaker", "provider": "other"}, ProviderUnknown),
    ],
)
def test_a_fallback_to_something_else_is_no_excuse(target, error):
    with pytest.raises(error):
        found({"automarket-resolved-model": "speaker"}, **target)


class Finding(Many):
    finds_models = True

    def __init__(self):
        super().__init__()
        self.asked = []

    async def find_model(self, name):
        self.asked.append(name)
        return replace(PLAIN, id=name) if name.startswith("acme/") else None


@pytest.mark.parametrize("target", [{"model": "acme/new"}, {"model": "acme/new", "provider": Toy.id}])
async def test_a_model_that_is_not_listed_is_looked_for_by_name(target):
    provider = Finding()
    model, capability = await targets.found(provider, model_pb2.Target(**target), {})
    assert (model.id, capability, provider.asked) == ("acme/new", "text-to-speech", ["acme/new"])
    with pytest.raises(CapabilityUnknown):
        await targets.found(provider, model_pb2.Target(**target, capability_name="text-to-image"), {})


async def test_listed_models_and_other_providers_are_not_looked_for():
    provider = Finding()
    assert (await targets.found(provider, model_pb2.Target(model="talker"), {}))[0] is SPEAKER
    with pytest.raises(ProviderUnknown):
        await targets.found(provider, model_pb2.Target(model="acme/new", provider="somebody"), {})
    assert not provider.asked
    with pytest.raises(ModelUnknown):
        await targets.found(provider, model_pb2.Target(model="nobody/new"), {})
    with pytest.raises(ModelUnknown):
        await targets.found(Many(), model_pb2.Target(model="acme/new"), {})
