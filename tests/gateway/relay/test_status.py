"""Trailers of the data plane's own against those that every other process sends."""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from automarket.errors import BY_REASON, AutoMarketError, ProviderBusy, ProviderUnavailable, RateLimited
from automarket.rpc.status import MAX_STATUS_BYTES, from_status, to_status
from gateway.relay.status import MAX_READ_BYTES, advice_of, trailers

WORDS = st.text(st.characters(codec="utf-8"), max_size=700)
PAIRS = st.dictionaries(WORDS, WORDS, max_size=12)


def details(error: AutoMarketError) -> bytes:
    value = dict(trailers(error))[b"grpc-status-details-bin"]
    assert b"=" not in value
    return base64.b64decode(value + b"=" * (-len(value) % 4), validate=True)


def unpacked(data: bytes):
    """Read a status with the real classes, its details in order."""
    status = status_pb2.Status.FromString(data)
    kinds = (
        error_details_pb2.ErrorInfo,
        error_details_pb2.RetryInfo,
        error_details_pb2.Help,
        error_details_pb2.BadRequest,
        error_details_pb2.DebugInfo,
    )
    read = []
    for packed in status.details:
        (kind,) = [kind for kind in kinds if packed.Is(kind.DESCRIPTOR)]
        detail = kind()
        assert packed.Unpack(detail)
        read.append(detail)
    return status.code, status.message, read


def assert_same(error: AutoMarketError) -> None:
    wire, sent = to_status(error), dict(trailers(error))
    assert int(sent[b"grpc-status"]) == wire.code
    assert unquote(sent[b"grpc-message"].decode("ascii"), errors="strict") == wire.message
    assert len(details(error)) == len(wire.details)
    assert unpacked(details(error)) == unpacked(wire.details)


@pytest.mark.parametrize("cls", BY_REASON.values(), ids=lambda cls: cls.__name__)
def test_every_class_is_told_as_every_other_process_tells_it(cls):
    error = cls(
        "what went wrong",
        hint="do this",
        fields={"a.b": "too long", "c": ""},
        retry_after=1.5,
        metadata={"provider": "p", "phase": ""},
        log_lines=("one", "", "two"),
    )
    for one in (error, cls("only words")):
        assert_same(one)
        got = from_status(one.code, one.message, details(one))
        assert type(got) is cls
        assert (got.message, got.hint, got.fields) == (one.message, one.hint, one.fields)
        assert (got.retry_after, got.log_lines) == (one.retry_after, one.log_lines)
        assert got.metadata == {"retry": cls.retry, **one.metadata}


@settings(max_examples=200, deadline=None)
@given(
    WORDS,
    st.none() | WORDS,
    PAIRS,
    st.none() | st.floats(-1e6, 1e6),
    PAIRS,
    st.lists(WORDS, max_size=30).map(tuple),
)
def test_whatever_an_error_says_is_clipped_alike(words, hint, fields, retry_after, metadata, log_lines):
    error = ProviderBusy(
        words, hint=hint, fields=fields, retry_after=retry_after, metadata=metadata, log_lines=log_lines
    )
    assert_same(error)
    assert len(details(error)) <= MAX_STATUS_BYTES


def test_a_status_stays_small_whatever_is_put_into_it():
    error = ProviderBusy(
        "é" * 5000,
        hint="h" * 5000,
        fields={f"field{n}": "f" * 500 for n in range(100)},
        metadata={f"key{n}": "v" * 1000 for n in range(50)},
        log_lines=tuple("l" * 500 for _ in range(100)),
    )
    assert_same(error)
    assert sum(len(name) + len(value) + 32 for name, value in trailers(error)) < 8192


@pytest.mark.parametrize("seconds", [0, 1e-9, 0.1, 1, 59.999999999, 86400 * 365, -0.5, -3])
def test_a_wait_is_told_to_the_nanosecond(seconds):
    _, _, (_, retry) = unpacked(details(ProviderBusy("busy", retry_after=seconds)))
    expected = duration_pb2.Duration()
    expected.FromNanoseconds(int(seconds * 1e9))
    assert retry.retry_delay == expected


@given(WORDS)
def test_a_message_is_escaped_so_that_http_carries_it(words):
    value = dict(trailers(ProviderBusy(words)))[b"grpc-message"]
    assert re.fullmatch(rb"(?:[\x20-\x24\x26-\x7e]|%[0-9A-F]{2})*", value)
    assert value == value.strip(b" ")


def test_plain_text_is_left_as_it_is():
    plain = "no model is called 'x'; \"try\" <this> & ~that~ [or] {this}: a/b?c=d#e,f+g@h!"
    assert dict(trailers(ProviderBusy(plain)))[b"grpc-message"] == plain.encode()


def test_a_surrogate_in_a_message_is_no_fault():
    (_, code), (_, message), _ = trailers(ProviderBusy("\ud800", fields={"\udfff": "x"}))
    assert (code, message) == (b"8", b"?")


# Reading advice


def received(*packed, code=14) -> bytes:
    status = status_pb2.Status(code=code, message="no")
    for detail in packed:
        status.details.append(any_pb2.Any())
        status.details[-1].Pack(detail)
    return base64.b64encode(status.SerializeToString())


def info(domain="automarket", **metadata):
    return error_details_pb2.ErrorInfo(domain=domain, reason="PROVIDER_LOST", metadata=metadata)


@pytest.mark.parametrize("cls", BY_REASON.values(), ids=lambda cls: cls.__name__)
def test_the_advice_of_every_class_is_read(cls):
    assert advice_of(base64.b64encode(to_status(cls("no", metadata={"a": "b"})).details)).retry == cls.retry
    assert advice_of(dict(trailers(cls("no")))[b"grpc-status-details-bin"]).retry == cls.retry


def test_advice_is_read_padded_or_not_and_among_other_details():
    help_ = error_details_pb2.Help(links=[error_details_pb2.Help.Link(description="retry")])
    for filler in ("", "a", "ab", "abc"):
        value = received(help_, info(other=filler, retry="never"), error_details_pb2.RetryInfo())
        assert advice_of(value).retry == "never"
        assert advice_of(value.rstrip(b"=")).retry == "never"


def test_how_long_to_wait_and_why_is_read():
    error = RateLimited("no", retry_after=7.5)
    for details in (base64.b64encode(to_status(error).details), dict(trailers(error))[b"grpc-status-details-bin"]):
        assert advice_of(details) == ("other", "RATE_LIMITED", 7.5)
    for seconds, nanos in ((-3, 0), (-3, -500_000_000), (0, -1)):
        delay = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds, nanos=nanos))
        assert advice_of(received(info(retry="same"), delay)) == ("same", "PROVIDER_LOST", 0)


def test_advice_that_is_not_there_is_none():
    for value in (b"", received(), received(info(other="same")), received(error_details_pb2.RetryInfo())):
        assert advice_of(value).retry == ""


def test_somebody_elses_word_retry_is_no_advice():
    assert advice_of(received(info(domain="example.org", retry="never"))).retry == ""


@pytest.mark.parametrize(
    "value",
    [b"!", b"a", b"====", b"\xff\xfe", b"AAAA,AAAA", base64.b64encode(b"\x1a\xff"), base64.b64encode(b"\xff" * 50)],
)
def test_malformed_details_give_no_advice(value):
    assert advice_of(value).retry == ""


def test_details_that_are_cut_anywhere_give_no_wrong_advice():
    whole = received(info(retry="other"), error_details_pb2.RetryInfo())
    assert {advice_of(whole[:cut]).retry for cut in range(len(whole))} <= {"", "other"}


def test_what_is_too_large_is_not_looked_at():
    value = received(info(retry="other", filler="x" * 10_000))
    assert len(value) < MAX_READ_BYTES
    assert advice_of(value).retry == "other"
    assert advice_of(received(info(retry="other", filler="x" * MAX_READ_BYTES))).retry == ""


@settings(max_examples=500)
@given(st.binary(max_size=300))
def test_noise_gives_no_fault(data):
    advice_of(data)
    advice_of(base64.b64encode(data))
    advice_of(base64.b64encode(b"\x1a" + bytes([len(data) % 128]) + data))


def test_advice_that_is_no_text_is_none():
    written = to_status(ProviderUnavailable("no", metadata={"retry": "other"})).details
    assert advice_of(base64.b64encode(written.replace(b"other", b"\xff\xfe\xfd\xfc\xfb"))).retry == ""
