"""Lines cut at any byte, and pulls whose share never falls."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automarket.errors import BackendFailed
from provider_servers.ollama.lines import LineReader
from provider_servers.ollama.pulling import PullProgress
from provider_servers.runtime.http.lines import MAX_LINE_BYTES

OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=3), max_size=8)


@given(OBJECTS, st.lists(st.integers(1, 40), max_size=60), st.booleans())
def test_lines_may_be_cut_anywhere(objects, sizes, ends):
    data = b"\n".join(json.dumps(one, ensure_ascii=False).encode() for one in objects) + b"\n" * ends
    reader, found = LineReader(), []
    for size in sizes:
        found += reader.feed(data[:size])
        data = data[size:]
    assert [*found, *reader.feed(data), *reader.finish()] == objects


def test_what_arrives_together_is_given_together():
    reader = LineReader()
    assert reader.feed(b'{"a":1}\n{"a":2}\n{"a"') == [{"a": 1}, {"a": 2}]
    assert reader.feed(b":3") == []
    assert reader.feed(b"}\r\n\n") == [{"a": 3}]
    assert reader.finish() == []


@pytest.mark.parametrize("data", [b"<html>\n", b"[1]\n", b'{"a":\n', b"\xff\xfe\n", b"null\n"])
def test_what_is_no_object_is_a_fault_of_the_backend(data):
    with pytest.raises(BackendFailed, match="no JSON line"):
        LineReader().feed(data)


def test_a_last_line_that_was_cut_is_a_fault():
    reader = LineReader()
    reader.feed(b'{"done":fal')
    with pytest.raises(BackendFailed):
        reader.finish()


def test_a_line_has_an_end_some_time():
    reader = LineReader()
    with pytest.raises(BackendFailed):
        for _ in range(MAX_LINE_BYTES // 2**20 + 1):
            reader.feed(bytes(2**20))


LINES = st.builds(
    lambda digest, total, share: {
        "status": "pulling",
        "digest": digest,
        "total": total,
        "completed": int(total * share),
    },
    st.sampled_from("abc"),
    st.integers(0, 10**10),
    st.floats(0, 1),
)


@given(st.lists(LINES, max_size=30))
def test_the_share_of_a_pull_never_falls(lines):
    progress, last = PullProgress(), 0.0
    for line in lines:
        state = progress.take({key: value for key, value in line.items() if value})
        if state.fraction is not None:
            assert last <= state.fraction <= 1
            last = state.fraction
        assert state.completed <= state.total


def test_the_bytes_of_all_layers_are_added_up():
    progress = PullProgress()
    assert progress.take({"status": "pulling manifest"}).fraction is None
    assert progress.take({"status": "pulling a", "digest": "a", "total": 300}).fraction == 0
    assert progress.take({"status": "pulling a", "digest": "a", "total": 300, "completed": 150}).fraction == 0.5
    late = progress.take({"status": "pulling b", "digest": "b", "total": 100})
    assert (late.completed, late.total, late.fraction) == (150, 400, 0.5)
    assert progress.take({"status": "pulling a", "digest": "a", "total": 300, "completed": 300}).fraction == 0.75
    assert progress.take({"status": "success"}).fraction == 0.75
