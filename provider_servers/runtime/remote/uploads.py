"""Inputs on their way to a vendor: within the request when they are small, by the vendor's upload otherwise."""

from __future__ import annotations

import asyncio
import base64
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.assets.formats import by_media_type, detect
from automarket.digests import digest_file
from automarket.errors import RateLimited, UnavailableError
from provider_servers.runtime.remote.vendor_api import Unanswered
from provider_servers.runtime.remote.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

SMALL_BYTES = 64 * 1024
MOST_KEPT = 1000
HEAD_BYTES = 64 * 1024
_MARGIN_SECONDS = 300.0  # a URL is used so long before it dies, at the latest


@dataclass(frozen=True, slots=True)
class Uploaded:
    """Where an upload is, and for how many seconds it stays there."""

    url: str
    seconds: float = 3600.0


class Uploads:
    """What was uploaded to one vendor: the same bytes go up once while their URL lives.

    Args:
        waits: how often an upload is tried.
        small_bytes: up to so many go within the request, as a data URI; 0 where the vendor takes none.
    """

    def __init__(self, waits: Waits | None = None, small_bytes: int = SMALL_BYTES) -> None:
        self._waits = waits or Waits()
        self._small_bytes = small_bytes
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def url_for(
        self, file: Path, media_type: str, upload: Callable[[Path, str, str], Awaitable[Uploaded]], account: str = ""
    ) -> str:
        """Give a URL by which the vendor can read a file.

        Args:
            file: the file.
            media_type: what it is.
            upload: uploads it: file, media type, a name with the right suffix. It is called again when it fails.
            account: whose upload it is: another key does not get its URLs.

        Raises:
            AutoMarketError: it cannot be uploaded.
        """
        if file.stat().st_size <= self._small_bytes:
            return data_uri(await asyncio.to_thread(file.read_bytes), media_type)
        digest = await asyncio.to_thread(digest_file, file)
        key = f"{account} {media_type} {digest}"
        async with self._alone(key):
            found = self._known.get(key)
            if found is not None and found[1] > time.monotonic():
                return found[0]
            made = await self._tried(file, media_type, upload, file_name(digest, media_type))
            self._known[key] = (made.url, time.monotonic() + max(0.0, made.seconds - _MARGIN_SECONDS))
            self._known.move_to_end(key)
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
            return made.url

    def forget(self) -> None:
        """Forget all URLs: the key or the address has changed, or the vendor could not read one."""
        self._known.clear()

    async def _tried(
        self, file: Path, media_type: str, upload: Callable[[Path, str, str], Awaitable[Uploaded]], name: str
    ) -> Uploaded:
        for attempt in range(1, self._waits.uploads):
            asked = None
            try:
                return await upload(file, media_type, name)
            except Unanswered:
                pass
            except (UnavailableError, RateLimited) as error:
                asked = error.retry_after
            await asyncio.sleep(self._waits.before_retry(attempt, asked))
        try:
            return await upload(file, media_type, name)
        except Unanswered as lost:
            raise lost.error from None

    def _alone(self, key: str) -> _Alone:
        return _Alone(self._locks, key)


class _Alone:
    """Lets one upload of the same bytes be made at a time; others wait for its URL."""

    def __init__(self, locks: dict[str, tuple[asyncio.Lock, int]], key: str) -> None:
        self._locks = locks
        self._key = key

    async def __aenter__(self) -> None:
        lock, waiting = self._locks.get(self._key, (asyncio.Lock(), 0))
        self._locks[self._key] = (lock, waiting + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._locks[self._key][0].release()
        self._leave()

    def _leave(self) -> None:
        lock, waiting = self._locks[self._key]
        if waiting == 1:
            del self._locks[self._key]
        else:
            self._locks[self._key] = (lock, waiting - 1)


def type_of(file: Path, said: str) -> str:
    """Give the media type of a file: as its first bytes tell, else as it is said."""
    with file.open("rb") as source:
        known = detect(source.read(HEAD_BYTES))
    return known.media_type if known is not None else said or "application/octet-stream"


def data_uri(data: bytes, media_type: str) -> str:
    """Give bytes as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def file_name(digest: str, media_type: str) -> str:
    """Give a name for an upload: it tells nothing of the user's, and its suffix says what it is."""
    known = by_media_type(media_type)
    suffix = known.extensions[0] if known is not None else ""
    return f"{digest.rpartition(':')[2][:16]}{f'.{suffix}' if suffix else ''}"
