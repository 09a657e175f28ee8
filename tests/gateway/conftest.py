from __future__ import annotations

import pytest

from tests.support.gateway import Here, Processes, stock_channel, until_raw_served


@pytest.fixture
def here(short_dir):
    return Here(short_dir)


@pytest.fixture
def processes(short_dir):
    running = Processes(short_dir)
    yield running
    running.close()


@pytest.fixture(params=["unix", "tcp"])
def there(request, short_dir):
    """Give control and the public port in this process, over Unix sockets and over TCP."""
    return Here(short_dir, tcp=request.param == "tcp")


@pytest.fixture
async def hop(there):
    """Give a stock channel through the public port to a stock server, over Unix sockets and over TCP."""
    async with there.running(), there.raw_peer(), stock_channel(there.public) as channel:
        await until_raw_served(channel)
        there.notes.clear()
        yield channel
