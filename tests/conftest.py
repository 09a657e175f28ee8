"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.docker import clean_containers, docker_engine
from tests.support.engine import machine_lock
from tests.support.media import MediaShelf

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clean_containers", "docker_engine"]

_TESTS = Path(__file__).resolve().parent
_DOCKER_SECONDS = 600
"""How long a test with Docker may take: the first one of a machine makes the images, too."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests what their markers mean, and put those first that take long."""
    for item in items:
        docker = item.get_closest_marker("docker")
        if not item.get_closest_marker("soak") and any(map(item.get_closest_marker, ("alone", "docker", "slow"))):
            # These measure time on a machine that others share: one that fails is run once more, and shown as such.
            item.add_marker(pytest.mark.flaky(reruns=1))
        if docker and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_DOCKER_SECONDS))
    _put_long_ones_first(items)


def _put_long_ones_first(items: list[pytest.Item]) -> None:
    """Order files so that a process is not left at the end with much to do: those with slow tests, then others.

    Xdist has to be told to keep this order, --no-loadscope-reorder, and to leave a file to one process, --dist
    loadfile: what its tests share is set up once. (Xdist's groups have no effect with pytest 9.2, whose items keep
    their names.)
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None):
    """Let one test with Docker run at a time on this machine; waiting is outside of the test's timeout."""
    if not item.get_closest_marker("docker"):
        return (yield)
    with machine_lock("containers"):
        return (yield)


@pytest.fixture(autouse=True)
def _containers(request: pytest.FixtureRequest) -> None:
    """See that tests with Docker have an engine, and leave nothing behind there."""
    if request.node.get_closest_marker("docker"):
        request.getfixturevalue("clean_containers")


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """Give a new folder with a short path: a Unix socket's path has at most 107 bytes."""
    with _short_dir() as path:
        yield path


@pytest.fixture(scope="module")
def module_dir() -> Iterator[Path]:
    """Give such a folder for all tests of a module."""
    with _short_dir() as path:
        yield path


@contextmanager
def _short_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="am-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def media() -> MediaShelf:
    """Give real media, made once and kept between runs: `media.speech_wav()`, `media.talk_mp4()` and so on."""
    return MediaShelf(Path(__file__).resolve().parent.parent / ".cache" / "test-media")
