"""Docker for tests: the engine, images made without a registry, and no container left behind.

Mark such tests `pytestmark = [pytest.mark.slow, pytest.mark.docker]`; each of them then has an engine, and starts and
ends without containers of backends. What else there is: `backend_image("whisper")` for containers,
`serving_backend("whisper")` for a process on this host, and `container_notes("whisper")` for what a container logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.backends import HostBackend, container_notes, notes_in, serving_backend, set_faults
from tests.support.engine import can_start_engine, client, engine_answers, start_engine, stop_engine
from tests.support.images import backend_image, base_image
from tests.support.require import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "HostBackend",
    "backend_image",
    "base_image",
    "clean_containers",
    "client",
    "container_notes",
    "docker_engine",
    "notes_in",
    "serving_backend",
    "set_faults",
    "start_engine",
    "stop_engine",
]

_LABEL = "automarket.backend"
_PROJECT = "com.docker.compose.project"


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """See that an engine answers: one that runs, or one that is started here and left running."""
    if not engine_answers():
        if not can_start_engine():
            missing("docker", "no Docker engine answers, and none can be started here")
        start_engine()


@pytest.fixture
def clean_containers(docker_engine: None) -> Iterator[Callable[[], list[str]]]:
    """See that no container of a backend is there before and after a test; one that runs at its end fails it.

    Gives a function that removes them all and names those that ran, for tests that leave one on purpose.
    """
    _remove_containers()
    yield _remove_containers
    if not engine_answers():  # the test stopped it
        start_engine()
    if orphans := _remove_containers():
        pytest.fail(f"containers still ran at the end: {', '.join(orphans)}")


def _remove_containers() -> list[str]:
    """Remove what backends left: containers, networks and volumes; name the containers that ran."""
    with client() as docker:
        found = docker.containers.list(all=True, filters={"label": _LABEL})
        ran = [f"{one.name} ({one.status})" for one in found if one.status not in {"created", "exited", "dead"}]
        for one in found:
            one.remove(force=True, v=True)
        for rest in (docker.networks, docker.volumes):
            for one in rest.list(filters={"label": _PROJECT}):
                if one.attrs["Labels"][_PROJECT].startswith("automarket-"):
                    one.remove()
    return ran
