"""Errors on the wire."""

from __future__ import annotations

import pytest

from automarket.errors import (
    BY_REASON,
    AutoMarketError,
    Code,
    InternalFault,
    ModelUnknown,
    ProviderBusy,
    UnavailableError,
)
from automarket.rpc.status import MAX_STATUS_BYTES, clip, from_status, to_status


def walk(cls: type[AutoMarketError]) -> list[type[AutoMarketError]]:
    return [cls, *(below for child in cls.__subclasses__() for below in walk(child))]


@pytest.mark.parametrize("cls", walk(AutoMarketError), ids=lambda cls: cls.__name__)
def test_every_class_comes_back_as_itself(cls):
    sent = cls(
        "what went wrong", hint="do this", fields={"a.b": "too long"}, retry_after=1.5, metadata={"provider": "p"}
    )
    wire = to_status(sent)
    got = from_status(wire.code, wire.message, wire.details)
    assert type(got) is cls
    assert (got.message, got.hint, got.fields, got.retry_after) == (sent.message, "do this", {"a.b": "too long"}, 1.5)
    assert got.metadata["provider"] == "p"
    assert got.metadata["retry"] == cls.retry


def test_every_class_has_a_reason_of_its_own():
    assert len(BY_REASON) == len(walk(AutoMarketError))


def test_the_text_of_an_unexpected_error_never_leaves_the_process():
    wire = to_status(ValueError("password=hunter2"))
    assert b"hunter2" not in wire.details
    assert "hunter2" not in wire.message
    assert isinstance(from_status(wire.code, wire.message, wire.details), InternalFault)


def test_a_status_stays_small_whatever_is_put_into_it():
    error = ProviderBusy(
        "é" * 5000,
        hint="h" * 5000,
        fields={f"field{n}": "f" * 500 for n in range(100)},
        metadata={f"key{n}": "v" * 1000 for n in range(50)},
        log_lines=tuple("l" * 500 for _ in range(100)),
    )
    wire = to_status(error)
    assert len(wire.details) <= MAX_STATUS_BYTES
    assert len(wire.message.encode()) <= 512
    got = from_status(wire.code, wire.message, wire.details)
    assert isinstance(got, ProviderBusy)
    assert got.hint
    assert got.metadata["retry"] == ProviderBusy.retry
    assert 2 <= len(got.fields) < 100
    assert 2 <= len(got.log_lines) < 100


def test_of_a_long_log_the_last_lines_are_kept():
    wire = to_status(ProviderBusy("busy", log_lines=tuple(f"line {n}" for n in range(1000))))
    assert from_status(wire.code, wire.message, wire.details).log_lines[-1] == "line 999"


def test_a_text_is_never_cut_inside_a_character():
    assert clip("é" * 10, 10) == "ééé..."
    assert clip("short", 10) == "short"


def test_a_status_without_details_becomes_a_class_that_fits_its_code():
    assert type(from_status(Code.UNAVAILABLE, "gone", None)) is UnavailableError
    assert from_status(99, "odd", b"\xff\xff").code == Code.INTERNAL


def test_a_reason_of_a_newer_server_is_kept_beside_the_class_of_its_code():
    wire = to_status(ModelUnknown("no such model"))
    details = wire.details.replace(b"MODEL_UNKNOWN", b"MODEL_RETIRED")
    error = from_status(wire.code, wire.message, details)
    assert error.code == Code.NOT_FOUND
    assert error.metadata["reason"] == "MODEL_RETIRED"
