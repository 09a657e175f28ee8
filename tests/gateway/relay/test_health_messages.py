"""Messages of the health service against the real classes."""

from __future__ import annotations

import pytest
from grpc_health.v1 import health_pb2
from hypothesis import given
from hypothesis import strategies as st

from automarket.errors import InvalidRequestError
from gateway.relay.health_messages import answer, listing, service_of

NAMES = st.text(st.characters(codec="utf-8"), max_size=40)
HAS_LIST = hasattr(health_pb2, "HealthListResponse")


def unframed(data: bytes) -> bytes:
    assert data[0] == 0
    assert int.from_bytes(data[1:5]) == len(data) - 5
    return data[5:]


@given(NAMES)
def test_the_service_that_is_asked_about_is_read(name):
    assert service_of(health_pb2.HealthCheckRequest(service=name).SerializeToString()) == name


def test_fields_of_newer_requests_are_passed_over_and_the_last_service_counts():
    one, two = (health_pb2.HealthCheckRequest(service=name).SerializeToString() for name in ("one", "two"))
    assert service_of(b"\x10\x05" + one + b"\x1a\x01x" + two + b"\x08\x01") == "two"


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x05abc", b"\xff\xff", b"\x0a\x01\xff", bytes(3)])
def test_what_is_no_request_is_refused(data):
    with pytest.raises(InvalidRequestError):
        service_of(data)


@given(st.binary(max_size=60))
def test_noise_is_read_or_refused(data):
    try:
        name = service_of(data)
    except InvalidRequestError:
        return
    assert health_pb2.HealthCheckRequest.FromString(data).service == name


@pytest.mark.parametrize("serving", health_pb2.HealthCheckResponse.ServingStatus.values())
def test_every_state_is_answered(serving):
    assert health_pb2.HealthCheckResponse.FromString(unframed(answer(serving))).status == serving


if HAS_LIST:

    @given(st.dictionaries(NAMES, st.integers(0, 3), max_size=20))
    def test_all_states_are_listed(states):
        listed = health_pb2.HealthListResponse.FromString(unframed(listing(states))).statuses
        assert {name: response.status for name, response in listed.items()} == states
