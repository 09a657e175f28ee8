"""Copies of files, step by step, with the kernel's help and without."""

from __future__ import annotations

import errno
import os
import random

import pytest

from automarket.assets import copying

MIB = 1024 * 1024


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(random.Random(1).randbytes(20 * MIB + 1))
    return path


def test_a_copy_tells_how_far_it_is_and_replaces_what_was_there(source, tmp_path):
    target = tmp_path / "target"
    target.write_bytes(bytes(32 * MIB))
    assert list(copying.copy_in_steps(source, target)) == [8 * MIB, 16 * MIB, 20 * MIB + 1]
    assert target.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("from_step", [1, 2])
def test_what_the_kernel_cannot_copy_or_not_to_its_end_is_read_and_written(source, tmp_path, monkeypatch, from_step):
    by_kernel, calls = os.copy_file_range, []

    def refuse(*arguments):
        calls.append(arguments)
        if len(calls) >= from_step:
            raise OSError(errno.EXDEV, "other file systems")
        return by_kernel(*arguments)

    monkeypatch.setattr(os, "copy_file_range", refuse)
    copying.copy_file(source, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes()
    assert len(calls) == 4


def test_a_disk_that_is_full_is_an_error(source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(OSError, match="no room"):
        copying.copy_file(source, tmp_path / "target")


def test_an_empty_file_has_no_steps(tmp_path):
    (tmp_path / "empty").touch()
    assert list(copying.copy_in_steps(tmp_path / "empty", tmp_path / "target")) == []
    assert (tmp_path / "target").read_bytes() == b""


def test_a_link_is_a_second_name_and_nothing_is_replaced(source, tmp_path):
    target = tmp_path / "target"
    assert copying.link(source, target)
    assert target.samefile(source)
    assert not copying.link(source, target)
