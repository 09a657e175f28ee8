from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.attacked import Attacked


@pytest.fixture(scope="module")
def attacked(request):
    """Give a gateway under normal load, one for all tests of a module; LIMITS of the module are its limits."""
    folder = Path(tempfile.mkdtemp(prefix="am-"))
    gateway = Attacked(folder, getattr(request.module, "LIMITS", None))
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def unharmed(attacked):
    """Give the gateway, and check after the test that the normal load lost nothing by it."""
    async with attacked.unharmed():
        yield attacked
