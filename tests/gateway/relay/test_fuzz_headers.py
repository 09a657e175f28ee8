"""Header blocks of anything at all: read as `hpack` reads them, or refused; never anything else."""

from __future__ import annotations

import contextlib

import hpack
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.relay.headers import CompressionError, FieldCache, HeaderListTooLarge, HeaderReader
from gateway.relay.heads import MalformedError, parse_timeout, read_answer, read_request, timeout_field
from tests.support import h2

LIST_BYTES = 16384
NAMES = st.sampled_from([b":path", b":method", b":scheme", b":authority", b"te", b"x-y", b"grpc-timeout", b"X", b""])
FIELDS = st.lists(st.tuples(NAMES | st.binary(max_size=20), st.binary(max_size=200)), max_size=30)
FAULTS = (CompressionError, HeaderListTooLarge, MalformedError)


def reader(*, has_table: bool = False) -> HeaderReader:
    made = HeaderReader(FieldCache(), LIST_BYTES)
    if not has_table:
        made.table_is_gone()
    return made


@given(st.binary(max_size=400), st.booleans())
@settings(max_examples=600, deadline=None)
def test_any_bytes_are_a_block_or_a_fault(data, has_table):
    with contextlib.suppress(*FAULTS):
        fields = reader(has_table=has_table).read(data)
        for read in (lambda: read_request(fields, end=False), lambda: read_answer(fields)):
            with contextlib.suppress(MalformedError):
                read()


@given(st.binary(max_size=300))
@settings(max_examples=600, deadline=None)
def test_what_hpack_refuses_is_refused_and_what_is_read_is_read_as_hpack_reads_it(data):
    decoder = hpack.Decoder(max_header_list_size=LIST_BYTES)
    decoder.max_allowed_table_size = 0
    decoder.header_table_size = 0
    try:
        expected = [(bytes(name), bytes(value)) for name, value in decoder.decode(data, raw=True)]
    except (hpack.HPACKError, IndexError):
        expected = None
    try:
        found = [(field.name, field.value) for field in reader().read(data)]
    except FAULTS:
        found = None
    # Integers written in more bytes than they need are refused: no encoder writes them.
    assert found in (None, expected)


@given(FIELDS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_what_hpack_writes_without_a_table_is_read_as_it_was(pairs, huffman):
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    data = encoder.encode(pairs, huffman=huffman)
    assert [(field.name, field.value) for field in reader().read(data)] == pairs
    assert [(field.name, field.value) for field in reader(has_table=True).read(data)] == pairs


@given(FIELDS)
@settings(max_examples=300, deadline=None)
def test_the_bytes_of_each_field_mean_that_field(pairs):
    """They are what goes on to the other hop, in other company."""
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    for field in reader().read(encoder.encode(pairs)):
        decoder = hpack.Decoder()
        decoder.header_table_size = 0
        assert [tuple(map(bytes, pair)) for pair in decoder.decode(field.wire, raw=True)] == [(field.name, field.value)]


@given(st.lists(FIELDS, min_size=1, max_size=5))
@settings(max_examples=300, deadline=None)
def test_a_cache_changes_nothing(blocks):
    shared = FieldCache(2000)
    for pairs in blocks * 2:
        cached = HeaderReader(shared, LIST_BYTES)
        cached.table_is_gone()
        data = h2.block(pairs)
        assert cached.read(data) == reader().read(data)


@given(st.binary(max_size=12))
@settings(max_examples=500, deadline=None)
def test_a_time_out_is_seconds_or_none(value):
    seconds = parse_timeout(value)
    assert seconds is None or 0 <= seconds <= 99999999 * 3600


@given(st.floats(min_value=0, max_value=1e12))
def test_a_time_out_never_grows_by_being_written(seconds):
    [field] = reader().read(timeout_field(seconds))
    again = parse_timeout(field.value)
    assert again is not None
    assert again <= max(seconds, 1e-6) * (1 + 1e-9)
