"""Asking whether a backend takes work."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from automarket.errors import AutoMarketError

if TYPE_CHECKING:
    from services.runtime.service import IsReady

PROBE_SECONDS = 2.0


async def takes_work(is_ready: IsReady, url: str) -> bool:
    """Tell whether it takes work; one that does not answer in time does not."""
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await is_ready(url)
    except (httpx.HTTPError, OSError, ValueError, LookupError, AutoMarketError):
        return False


async def listens(url: str) -> bool:
    """Tell whether something listens at a URL: a backend that works and answers nobody still does."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except TimeoutError:
        return True  # its line is full
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True
