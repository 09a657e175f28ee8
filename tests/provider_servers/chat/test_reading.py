"""Lines, events and chunks, cut at any byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automarket.errors import BackendFailed
from provider_servers.runtime.chat.framing import ChunkMerger
from provider_servers.runtime.chat.lines import LineCutter, NdjsonReader
from provider_servers.runtime.chat.sse import SseReader
from provider_servers.runtime.chat.surrogates import HalfKeeper

ENDS = (b"\n", b"\r", b"\r\n")
SIZES = st.lists(st.integers(1, 30), max_size=80)
TEXTS = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=("Cs",)), max_size=12)


def cut(data, sizes):
    """Cut bytes into pieces of these sizes, and the rest."""
    for size in sizes:
        if not data:
            return
        yield data[:size]
        data = data[size:]
    if data:
        yield data


@given(st.lists(st.tuples(TEXTS, st.sampled_from(ENDS)), max_size=20), SIZES)
def test_lines_may_be_cut_anywhere(lines, sizes):
    # A line that is empty and ends in LF, after a CR, is not there: the two are one end.
    lines = [(text.encode(), end) for text, end in lines]
    joined = [
        (text, end)
        for n, (text, end) in enumerate(lines)
        if not (n and not text and end[:1] == b"\n" and lines[n - 1][1] == b"\r")
    ]
    data = b"".join(text + end for text, end in joined)
    cutter, found = LineCutter(), []
    for piece in cut(data, sizes):
        found += cutter.feed(piece)
    assert found == data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    assert cutter.finish() == b""


@given(
    st.lists(st.tuples(TEXTS.filter(bool), st.lists(TEXTS, min_size=1, max_size=3)), max_size=8),
    SIZES,
    st.sampled_from(ENDS),
)
def test_events_may_be_cut_anywhere(events, sizes, end):
    written = b""
    for name, data in events:
        lines = [b": a comment", b"id: 7", b"event: " + name.encode(), *(b"data: " + one.encode() for one in data), b""]
        written += b"".join(line + end for line in lines)
    reader, found = SseReader(), []
    for piece in cut(written, sizes):
        found += reader.feed(piece)
    assert reader.finish() == []
    assert [(one.name.decode(), one.data.decode()) for one in found] == [
        (name, "\n".join(data)) for name, data in events
    ]


def test_forms_of_events():
    reader = SseReader()
    assert reader.feed(b"\xef\xbb\xbfdata:x\n\n") == [(b"x", b"", True)]
    assert reader.feed(b"data:  two spaces\n\n") == [(b" two spaces", b"", True)]
    assert reader.feed(b"event: nothing\n\nretry: 5\ndata\n\n") == [(b"", b"", True)]
    assert reader.feed(b"data: last") == []
    assert reader.finish() == [(b"last", b"", False)]


def test_what_has_no_end_is_refused():
    for reader in (LineCutter(1000), SseReader(1000), NdjsonReader(1000)):
        with pytest.raises(BackendFailed, match="1,000 bytes"):
            for _ in range(12):
                reader.feed(b"x" * 100)
    with pytest.raises(BackendFailed, match="1,000 bytes"):
        SseReader(1000).feed(b"data: " + b"x" * 300 + b"\n" + (b"data: " + b"x" * 300 + b"\n") * 3)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), SIZES, st.booleans())
def test_chunks_that_come_in_one_read_leave_as_one(chunks, sizes, trailers):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"".join(b"%x;a=b\r\n%b\r\n" % (len(one), one) for one in chunks)
    answer = head + body + b"0\r\n" + b"X-Trailer: 1\r\n" * trailers + b"\r\n"
    plain = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    merger = ChunkMerger()
    given_on = b"".join(merger.feed(piece) for piece in cut(answer + plain + answer, sizes))
    first, rest = given_on.split(plain)
    for one in (first, rest):
        assert one.startswith(head)
        assert dechunked(one[len(head) :]) == b"".join(chunks)
    whole = ChunkMerger().feed(answer)
    assert whole.count(b"\r\n") - head.count(b"\r\n") <= 4 + b"".join(chunks).count(b"\r\n")


def dechunked(data):
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if not int(size, 16):
            assert data == b"\r\n"
            return body
        body += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-nothing\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_what_is_not_understood_goes_on_as_it_is(data):
    merger = ChunkMerger()
    assert b"".join(merger.feed(bytes([one])) for one in data) == data
    assert ChunkMerger().feed(data) == data


def test_halves_of_characters_wait_for_each_other():
    keeper = HalfKeeper()
    assert keeper.take("a \ud83d") == "a "
    assert keeper.take("\udea2 b") == "🚢 b"
    assert keeper.finish() == ""
    assert keeper.take("\ud83d") == ""
    assert keeper.finish() == "\ufffd"
    assert keeper.take("\udea2") == "\ufffd"
