"""What a call asks for, in its message and in its metadata."""

from __future__ import annotations

import pytest

from automarket.assets.roles import Role
from automarket.client.target import Fallback, Target
from automarket.errors import TargetMissing
from automarket.v1 import capability_pb2
from gateway.relay.metadata import target_from_metadata
from gateway.relay.target import Target as Chosen
from gateway.targets import target_from_proto

FULL = Target(
    capability="speech-to-text",
    model="openai/whisper",
    provider="here",
    instance="here-1",
    input_roles=(Role.VIDEO, Role.TEXT),
    output_role=Role.TEXT,
    local_only=True,
    fallbacks=(Fallback("other"), Fallback(provider="there"), Fallback("b@d", "there")),
)


@pytest.mark.parametrize("target", [FULL, Target(output_role=Role.IMAGE), Target(provider="here")])
def test_the_gateway_reads_the_same_target_from_metadata_and_from_the_message(target):
    from_message = target_from_proto(target.to_proto())
    assert target_from_metadata(target.to_metadata()) == from_message
    assert isinstance(from_message, Chosen)
    assert from_message.model == target.model
    assert from_message.fallbacks == tuple((one.model, one.provider) for one in target.fallbacks)


def test_an_alias_of_a_capability_is_sent_by_its_own_name_and_number():
    message = Target(capability="Transcription").to_proto()
    assert message.capability_name == "speech-to-text"
    assert message.capability == capability_pb2.CAPABILITY_SPEECH_TO_TEXT


def test_the_capability_of_a_third_party_is_sent_by_name():
    message = Target(capability="smell-to-text").to_proto()
    assert (message.capability, message.capability_name) == (0, "smell-to-text")


@pytest.mark.parametrize("target", [Target(model="größe"), Target(model="x", fallbacks=(Fallback("a,b"),))])
def test_a_target_that_metadata_cannot_carry_is_left_to_the_message(target):
    assert target.to_metadata() == []


def test_a_target_that_asks_for_nothing_is_refused():
    with pytest.raises(TargetMissing, match="name a capability"):
        Target(local_only=True).check()
