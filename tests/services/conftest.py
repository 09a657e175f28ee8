"""Fixtures of the services' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.services.toy import Toys, toy_image

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def toys(clean_containers: object, tmp_path: Path) -> Toys:
    """Make services of toys: each test has its own folder of locks, and an engine without containers."""
    return Toys(tmp_path, toy_image())
