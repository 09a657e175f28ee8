"""Digests."""

from __future__ import annotations

import hashlib

import pytest

from automarket.digests import Hasher, check_digest, digest_bytes, digest_file
from automarket.errors import DigestInvalid

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_digest_is_the_same_in_pieces_at_once_and_from_a_file(tmp_path):
    data = bytes(range(256)) * 10_000
    path = tmp_path / "data"
    path.write_bytes(data)
    hasher = Hasher()
    for begin in range(0, len(data), 1000):
        hasher.update(data[begin : begin + 1000])
    assert hasher.digest == digest_bytes(data) == digest_file(path) == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_nothing_has_a_digest_too(tmp_path):
    (tmp_path / "empty").touch()
    assert Hasher().digest == digest_bytes(b"") == digest_file(tmp_path / "empty") == EMPTY


def test_the_hex_digits_of_a_digest_are_given():
    assert check_digest(EMPTY) == EMPTY.removeprefix("sha256:")


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "sha256:",
        EMPTY.removeprefix("sha256:"),
        EMPTY.upper(),
        EMPTY[:-1],
        EMPTY + "0",
        EMPTY + "\n",
        "sha256:../" + "a" * 61,
    ],
)
def test_what_is_no_digest_is_refused(wrong):
    with pytest.raises(DigestInvalid):
        check_digest(wrong)
