"""The wire format against the real protobuf runtime."""

from __future__ import annotations

import pytest
from google.protobuf import wrappers_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.relay.wire import fields, message, number, split_tag, text, varint_at

NUMBERS = st.integers(1, 2**29 - 1)


def read(data):
    return list(fields(data))


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_written_as_protobuf_writes_them(value):
    assert wrappers_pb2.Int64Value.FromString(number(1, value)).value == value
    assert read(wrappers_pb2.Int64Value(value=value).SerializeToString()) == ([(1, 0, value % 2**64)] if value else [])


@given(st.text(st.characters(codec="utf-8")))
def test_strings_are_written_as_protobuf_writes_them(value):
    assert wrappers_pb2.StringValue.FromString(text(1, value)).value == value
    written = wrappers_pb2.StringValue(value=value).SerializeToString()
    assert read(written) == ([(1, 2, value.encode())] if value else [])


@given(st.lists(st.tuples(NUMBERS, st.binary(max_size=300) | st.integers(0, 2**64 - 1))))
def test_what_is_written_is_read_again(pairs):
    written = b"".join(
        message(field, value) if isinstance(value, bytes) else number(field, value) for field, value in pairs
    )
    assert read(written) == [(field, 2 if isinstance(value, bytes) else 0, value) for field, value in pairs]


def test_fixed_fields_are_read_as_their_bytes():
    assert read(b"\x09" + b"12345678" + b"\x15" + b"1234") == [(1, 1, b"12345678"), (2, 5, b"1234")]


def test_a_surrogate_does_not_stop_an_error_from_being_told():
    assert text(1, "a\ud800b") == text(1, "a?b")


@pytest.mark.parametrize(
    "data",
    [
        b"\x00",  # field 0
        b"\x08",  # a value is missing
        b"\x08\x80",
        b"\x08" + b"\xff" * 10,
        b"\x08" + b"\xff" * 9 + b"\x02",  # 65 bits
        b"\x0a\x05abcd",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x09" + b"1234567",
        b"\x0d" + b"123",
        b"\x0b\x0c",  # a group
        b"\x0e",
        b"\x0f",
        b"\x80\x80\x80\x80\x80\x01\x00",  # a field number of 32 bits
    ],
)
def test_what_is_malformed_is_refused(data):
    with pytest.raises(ValueError, match=r"field|varint"):
        read(data)


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_what_is_read_protobuf_reads_too(data):
    """Bytes that no schema knows are unknown fields to protobuf: it takes whatever is well-formed."""
    try:
        read(data)
    except ValueError:
        return
    wrappers_pb2.FloatValue.FromString(data)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=5))
def test_a_varint_is_told_only_when_it_is_whole(value, after):
    written = number(1, value)[1:]
    assert varint_at(written + after, 0) == (value, len(written))
    assert varint_at(bytearray(b"xx" + written), 2) == (value, 2 + len(written))
    for cut in range(len(written)):
        assert varint_at(written[:cut], 0) is None


def test_a_tag_names_a_field():
    assert split_tag(0x0A) == (1, 2)
    for tag in (0, 7, 1 << 32):
        with pytest.raises(ValueError, match="number"):
            split_tag(tag)
