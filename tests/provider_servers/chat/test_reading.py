"""Lines, events and chunks, cut at any byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automarket.errors import BackendFailed
from provider_servers.runtime.chat.surrogates import HalfKeeper
from provider_servers.runtime.http.lines import LineCutter, NdjsonReader
from provider_servers.runtime.http.sse import SseEvent, SseReader

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
    assert reader.feed(b"\xef\xbb\xbfdata:x\n\n") == [SseEvent(b"x")]
    assert reader.feed(b"data:  two spaces\n\n") == [SseEvent(b" two spaces")]
    assert reader.feed(b"event: nothing\n\nretry: 5\ndata\n\n") == [SseEvent(b"")]
    assert reader.feed(b"data: last") == []
    assert reader.finish() == [SseEvent(b"last", whole=False)]


LINES = st.sampled_from(
    [b"data: {}", b"data: [DONE]", b"data:x", b"data", b"", b": wait", b"event: e", b"id: 1", b"data: "]
)


@given(st.lists(LINES, max_size=30), SIZES, st.sampled_from(ENDS))
def test_events_that_come_together_are_those_that_come_byte_by_byte(lines, sizes, end):
    written = b"".join(line + end for line in lines)
    slow, quick = SseReader(), SseReader()
    singly = [event for byte in written for event in slow.feed(bytes([byte]))]
    together = [event for piece in cut(written, sizes) for event in quick.feed(piece)]
    assert together == singly
    assert quick.finish() == slow.finish()


def test_what_has_no_end_is_refused():
    for reader in (LineCutter(1000), SseReader(1000), NdjsonReader(1000)):
        with pytest.raises(BackendFailed, match="1,000 bytes"):
            for _ in range(12):
                reader.feed(b"x" * 100)
    with pytest.raises(BackendFailed, match="1,000 bytes"):
        SseReader(1000).feed(b"data: " + b"x" * 300 + b"\n" + (b"data: " + b"x" * 300 + b"\n") * 3)


def test_halves_of_characters_wait_for_each_other():
    keeper = HalfKeeper()
    assert keeper.take("a \ud83d") == "a "
    assert keeper.take("\udea2 b") == "🚢 b"
    assert keeper.finish() == ""
    assert keeper.take("\ud83d") == ""
    assert keeper.finish() == "\ufffd"
    assert keeper.take("\udea2") == "\ufffd"
