"""Files that come as base64 inside JSON."""

from __future__ import annotations

import base64
import json
import random

import pytest

from automarket.errors import BackendFailed, MediaLimit
from provider_servers.runtime.base64_json import Base64Files

FILES = [random.Random(number).randbytes(1000 + number) for number in range(4)]


def fed(folder, text, size, **limits):
    found = Base64Files("b64", folder, **limits)
    try:
        for begin in range(0, len(text), size):
            found.feed(text[begin : begin + size])
        return json.loads(found.finish()), [one.read_bytes() for one in found.files]
    finally:
        found.close()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000, 100_000])
@pytest.mark.parametrize("escaped", [False, True])
def test_every_file_is_written_whatever_the_pieces_are(tmp_path, size, escaped):
    data = [{"b64": base64.b64encode(one).decode(), "n": number} for number, one in enumerate(FILES)]
    text = json.dumps({"b": 1, "data": data, "none": {"b64": None}}, indent=1)
    text = text.replace("/", "\\/") if escaped else text
    rest, files = fed(tmp_path, text.encode(), size)
    assert files == FILES
    left = [{"b64": "", "n": number} for number in range(4)]
    assert rest == {"b": 1, "data": left, "none": {"b64": None}}


def test_json_without_files_stays_as_it_is(tmp_path):
    assert fed(tmp_path, b'{"error": {"message": "b64"}}', 4) == ({"error": {"message": "b64"}}, [])


@pytest.mark.parametrize("text", [b'{"b64": "AAAA', b'{"b64": "A!!!"}', b'{"b64": "AAAAA"}', b'{"b64": "AA==AAAA"}'])
def test_what_is_cut_off_or_no_base64_is_an_error(tmp_path, text):
    with pytest.raises(BackendFailed):
        fed(tmp_path, text, 3)


def test_what_is_too_large_is_an_error_before_all_of_it_is_there(tmp_path):
    found = Base64Files("b64", tmp_path, max_bytes=30)
    found.feed(b'{"b64": "' + b"A" * 40)
    with pytest.raises(MediaLimit, match="30 bytes"):
        found.feed(b"A" * 4)
    with pytest.raises(BackendFailed, match="beside"):
        Base64Files("b64", tmp_path).feed(b" " * 1_100_000)
    with pytest.raises(MediaLimit, match="over 32"):
        Base64Files("b64", tmp_path).feed(b'{"b64": "QQ=="}' * 33)
