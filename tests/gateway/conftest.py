from __future__ import annotations

import pytest

from tests.support.gateway import Here, Processes


@pytest.fixture
def here(short_dir):
    return Here(short_dir)


@pytest.fixture
def processes(short_dir):
    running = Processes(short_dir)
    yield running
    running.close()
