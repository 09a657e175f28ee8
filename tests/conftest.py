"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.media import MediaShelf

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Give a new folder with a short path: a Unix socket's path has at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="am-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def media() -> MediaShelf:
    """Give real media, made once and kept between runs: `media.speech_wav()`, `media.talk_mp4()` and so on."""
    return MediaShelf(Path(__file__).resolve().parent.parent / ".cache" / "test-media")
