"""Outputs on their way into memory or a temporary file."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from automarket.client.spool import MEMORY_BYTES, Spool
from automarket.digests import digest_bytes
from automarket.errors import DigestMismatch

BIG = bytes(range(256)) * (MEMORY_BYTES // 256 + 1)


class Owner:
    pass


async def filled(data: bytes) -> Spool:
    spool = Spool()
    for start in range(0, len(data), 1024 * 1024):
        await spool.write(start, data[start : start + 1024 * 1024])
    return spool


async def test_a_small_output_stays_in_memory():
    spool = await filled(b"abc")
    assert spool.finish(digest_bytes(b"abc")) == b"abc"


async def test_a_large_output_goes_to_a_file_that_lives_as_long_as_its_owner():
    spool = await filled(BIG)
    path = spool.finish(digest_bytes(BIG))
    assert isinstance(path, Path)
    assert path.read_bytes() == BIG
    owner = Owner()
    spool.keep_file_for(owner)
    del spool
    gc.collect()
    assert path.exists()
    del owner
    gc.collect()
    assert not path.exists()


async def test_a_file_that_nobody_asked_for_is_removed_with_its_spool():
    spool = await filled(BIG)
    path = spool.finish("")
    assert isinstance(path, Path)
    del spool
    gc.collect()
    assert not path.exists()


async def test_other_bytes_than_were_sent_are_found():
    with pytest.raises(DigestMismatch):
        (await filled(b"abc")).finish(digest_bytes(b"abd"))


async def test_a_gap_is_found():
    spool = await filled(b"abc")
    with pytest.raises(DigestMismatch, match="byte 5 where byte 3"):
        await spool.write(5, b"x")
