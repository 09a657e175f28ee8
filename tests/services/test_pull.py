"""Pulling images: bytes of all layers, one pull for all who wait, and why there is none."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from automarket.errors import ImageUnknown, ServiceStartFailed
from automarket.service_status import ServiceState
from services.runtime.engine import Engine
from services.runtime.pull import Tally
from tests.services.registry import forget, is_registry, push
from tests.services.toy import containers
from tests.support.mesh import free_port
from tests.support.registry import serving_registry
from tests.support.throttling_proxy import ThrottlingProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from services.runtime import OnDemand
    from tests.services.toy import Toys

MB = 1_000_000


def message(status: str, name: str, current: int = 0, total: int = 0) -> dict[str, object]:
    return {"status": status, "id": name, "progressDetail": {"current": current, "total": total} if total else {}}


def test_a_pull_never_falls_and_ends_at_one():
    tally, seen = Tally(), [0.0]
    for one in (
        {"status": "Pulling from library/x", "id": "1"},
        message("Pulling fs layer", "a"),
        message("Pulling fs layer", "b"),
        message("Already exists", "c"),
        message("Downloading", "a", 5, 10),
        message("Downloading", "a", 10, 10),
        message("Download complete", "a"),
        message("Downloading", "b", 10, 1000),  # a layer that is much larger than the others
        message("Extracting", "a", 10, 10),
        message("Pull complete", "a"),
        message("Downloading", "b", 5, 1000),  # a layer that is fetched again
        message("Downloading", "b", 1000, 1000),
        message("Verifying Checksum", "b"),
        message("Extracting", "b", 500, 1000),
        message("Pull complete", "b"),
    ):
        tally.hear(one)
        assert tally.fraction >= seen[-1]
        seen.append(tally.fraction)
    assert seen[-1] == 1.0
    assert len(set(seen)) > 5
    assert tally.total == tally.loaded == 1010


def test_only_what_moves_is_progress():
    tally = Tally()
    assert tally.hear(message("Downloading", "a", 5, 10))
    assert not tally.hear(message("Downloading", "a", 5, 10))
    assert not tally.hear(message("Retrying in 5 seconds", "a"))


@pytest.fixture
async def shop(toys: Toys, tmp_path: Path) -> AsyncGenerator[tuple[OnDemand, ThrottlingProxy, str]]:
    """Give a backend whose image is in a registry that gives 6 MB/s."""
    async with serving_registry(tmp_path / "registry") as port:
        line = ThrottlingProxy(port, 6 * MB)
        async with line.running() as line_port:
            await asyncio.to_thread(push, port, "shop", 2, 6 * MB)
            image = f"127.0.0.1:{line_port}/shop:1"
            on_demand = toys.on_demand(toys.settings(image=image), is_ready=is_registry)
            yield on_demand, line, image
            await on_demand.close()
    forget(image)


@pytest.mark.slow
@pytest.mark.docker
async def test_a_pull_shows_its_bytes_and_is_shared_by_all_who_wait(shop: tuple[OnDemand, ThrottlingProxy, str]):
    on_demand, line, _ = shop

    async def call() -> list[float]:
        fractions: list[float] = []
        async with on_demand.lease() as lease, aclosing(lease.ready()) as statuses:
            async for status in statuses:
                if status.state == ServiceState.PULLING:
                    assert status.fraction is not None
                    fractions.append(status.fraction)
                    if status.fraction:
                        assert "MB" in status.message, status.message
                        assert f"{status.fraction:.0%}".replace("%", " %") in status.message
        return fractions

    for fractions in await asyncio.gather(*(call() for _ in range(4))):
        assert fractions == sorted(fractions)
        assert len(set(fractions)) >= 5
        assert fractions[-1] > 0.7
    assert 18 * MB < line.returned < 25 * MB, "it was pulled once"
    assert len(containers()) == 1


@pytest.mark.slow
@pytest.mark.docker
async def test_a_pull_goes_on_when_those_who_waited_have_gone(shop: tuple[OnDemand, ThrottlingProxy, str]):
    on_demand, line, _ = shop
    async with on_demand.lease() as lease, aclosing(lease.ready()) as statuses:
        async for status in statuses:
            if status.state == ServiceState.PULLING and status.fraction:
                break
    assert (await on_demand.status()).state == ServiceState.PULLING
    async with on_demand.lease() as lease, aclosing(lease.ready()) as statuses:
        async for _status in statuses:
            pass
    assert line.returned < 25 * MB, "nothing was pulled twice"


@pytest.mark.slow
@pytest.mark.docker
async def test_closing_ends_a_pull(shop: tuple[OnDemand, ThrottlingProxy, str]):
    on_demand, line, image = shop
    async with on_demand.lease() as lease, aclosing(lease.ready()) as statuses:
        async for status in statuses:
            if status.state == ServiceState.PULLING and status.fraction:
                break
    async with asyncio.timeout(5):
        await on_demand.close()
    await asyncio.sleep(1)
    passed = line.returned
    await asyncio.sleep(1)
    assert line.returned == passed, "the engine pulls on"
    engine = Engine()
    assert await engine.image_id(image) == ""
    await engine.close()


@pytest.mark.slow
@pytest.mark.docker
async def test_an_unknown_image_and_a_registry_out_of_reach_are_told_apart(toys: Toys, tmp_path: Path):
    async with serving_registry(tmp_path / "registry") as port:
        unknown = toys.service(toys.settings(image=f"127.0.0.1:{port}/nothing:1"))
        with pytest.raises(ImageUnknown, match="nothing") as caught:
            async for _ in unknown.start():
                pass
        assert "AUTOMARKET_TOY_IMAGE" in (caught.value.hint or "")
        await unknown.close()
    far = toys.service(toys.settings(image=f"127.0.0.1:{free_port()}/nothing:1"))
    with pytest.raises(ServiceStartFailed, match="could not be pulled") as failed:
        async for _ in far.start():
            pass
    assert "network" in (failed.value.hint or "")
    await far.close()
    assert containers() == []
