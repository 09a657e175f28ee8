"""Docker's engine is stopped in the middle of a call and started again."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from automarket.errors import BackendFailed, DockerStopped
from automarket.service_status import ServiceState
from tests.services.engine import PrivateEngine
from tests.services.registry import import_program, is_registry
from tests.services.test_on_demand import ready
from tests.services.toy import Toys, containers, eventually
from tests.support.require import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.docker,
    # Docker's SDK does not close a socket by which it does not get through.
    pytest.mark.filterwarnings("ignore:.*socket.*:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:unclosed.*socket:ResourceWarning"),
]

IMAGE = "automarket-test/registry:1"


@pytest.fixture
def engine(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateEngine]:
    require("docker-registry")
    engine = PrivateEngine(short_dir)
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    engine.start()
    try:
        import_program(IMAGE)
        yield engine
    finally:
        engine.stop()
        engine.remove()


async def test_an_engine_that_is_stopped_ends_calls_and_one_that_is_back_takes_the_next(
    engine: PrivateEngine, tmp_path: Path
):
    toys = Toys(tmp_path, IMAGE)
    on_demand = toys.on_demand(is_ready=is_registry)
    await on_demand.open()
    seen: list[ServiceState] = []

    async def watch() -> None:
        async with aclosing(on_demand.watch()) as statuses:
            async for status in statuses:
                seen.append(status.state)  # noqa: PERF401 - it is read meanwhile

    watching = asyncio.create_task(watch())
    async with on_demand.lease() as lease:
        await ready(lease)
        working = asyncio.create_task(lease.run(asyncio.sleep(60)))
        await asyncio.sleep(0.5)
        stopping = asyncio.create_task(asyncio.to_thread(engine.stop))
        with pytest.raises(BackendFailed):
            await working
        await stopping

    status = await on_demand.status()
    assert status.state == ServiceState.FAILED
    assert not status.running
    assert "does not answer" in status.error
    assert status.hint
    await eventually(lambda: seen[-1] == ServiceState.FAILED, seconds=10)
    async with on_demand.lease() as lease:
        before = time.monotonic()
        with pytest.raises(DockerStopped) as caught:
            await ready(lease)
        assert time.monotonic() - before < 3
        assert "start the engine" in (caught.value.hint or "")

    await asyncio.to_thread(engine.start)
    async with on_demand.lease() as lease:
        await ready(lease)
        assert await lease.run(is_registry(lease.url))
    assert [one.status for one in containers()] == ["running"]
    await eventually(lambda: seen[-1] == ServiceState.READY, seconds=15)
    containers()[0].stop()
    await eventually(lambda: seen[-1] in (ServiceState.STOPPED, ServiceState.FAILED), seconds=15)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await on_demand.close()
