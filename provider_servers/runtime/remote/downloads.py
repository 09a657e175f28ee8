"""Outputs from a vendor's URLs into files, at once: streamed, size-checked, resumed where the connection breaks."""

from __future__ import annotations

import asyncio
import base64
import binascii
import errno
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp
from yarl import URL

from automarket.assets.fetch import is_public
from automarket.errors import AddressRefused, BackendFailed, DiskFull, MediaLimit
from provider_servers.runtime.http.connection_faults import said
from provider_servers.runtime.http.transport import read
from provider_servers.runtime.remote.waits import Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

IDLE_SECONDS = 60.0
MAX_OUTPUT_BYTES = 16 * 1024**3
MOST_REDIRECTS = 5
_GONE = (401, 403, 404, 410)
_REDIRECTS = (301, 302, 303, 307, 308)
_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)")
_PART, _PAST_THE_END = 206, 416


class Expired(Exception):
    """The URL leads nowhere any more."""


class _Broken(Exception):
    """One attempt failed, and another one may not."""

    def __init__(self, what: str, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.retry_after = retry_after


@dataclass(slots=True)
class _Part:
    """What is there of a file: `tag` tells whether the vendor's is still the same."""

    file: Path
    size: int = 0
    whole: int | None = None
    tag: str = ""
    media_type: str = ""


@dataclass(frozen=True, slots=True)
class Downloads:
    """Downloads from one vendor.

    Attributes:
        vendor: its name, for errors.
        connect: gives what makes requests to an address.
        trusted: hosts with ports that may have private addresses: those that the user has set.
        waits: how often a download is tried.
        max_bytes: of one output.
    """

    vendor: str
    connect: Callable[[str], aiohttp.ClientSession]
    trusted: Collection[str] = ()
    waits: Waits = field(default_factory=Waits)
    max_bytes: int = MAX_OUTPUT_BYTES

    async def fetch(self, url: str, file: Path, headers: Mapping[str, str] | None = None) -> str:
        """Write what a URL gives to a file; give its media type, without parameters, empty where nobody says it.

        Args:
            url: http, https, or a data URI.
            file: where it goes.
            headers: for that host alone.

        Raises:
            Expired: the URL leads nowhere any more.
            BackendFailed: it cannot be read, however often it is tried.
            MediaLimit, DiskFull, AddressRefused
        """
        if url.startswith("data:"):
            return await self._inline(url, file)
        part = _Part(file)
        fault = ""
        for attempt in range(1, self.waits.downloads + 1):
            try:
                await self._attempt(url, part, dict(headers or {}))
            except _Broken as broken:
                fault = str(broken)
                if attempt < self.waits.downloads:
                    await asyncio.sleep(self.waits.before_retry(attempt, broken.retry_after))
            else:
                return part.media_type
        message = f"an output of {self.vendor} cannot be downloaded: {fault}"
        raise BackendFailed(message, hint="it was paid for: try again soon", metadata={"phase": "downloading"})

    async def _attempt(self, url: str, part: _Part, headers: dict[str, str]) -> None:
        try:
            response = await self._answer(url, part, headers)
            try:
                await self._take(response, part)
            finally:
                response.close()
        except aiohttp.ClientError as error:
            raise _Broken(said(error)) from None
        except TimeoutError:
            raise _Broken(f"nothing came for {IDLE_SECONDS:g} s") from None
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull("the disk has no room for what the vendor made") from None
            raise
        except ValueError:
            raise _Broken("its address cannot be read") from None
        if part.whole is not None and part.size != part.whole:
            raise _Broken(f"{part.size:,} of {part.whole:,} bytes came")

    async def _answer(self, url: str, part: _Part, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """Give an answer that has bytes; redirects are followed, without headers where they lead elsewhere."""
        if part.size and part.tag:
            headers = {**headers, "range": f"bytes={part.size}-", "if-range": part.tag}
        host = urlsplit(url).netloc
        for _ in range(MOST_REDIRECTS):
            await self._check(url)
            async with asyncio.timeout(IDLE_SECONDS):
                response = await self.connect(url).get(url, headers=headers, allow_redirects=False)
            if response.status not in _REDIRECTS:
                return response
            response.close()
            url = str(response.url.join(URL(response.headers.get("location", ""))))
            if urlsplit(url).netloc != host:
                headers = {name: value for name, value in headers.items() if name in ("range", "if-range")}
        raise _Broken("it redirects in circles")

    async def _check(self, url: str) -> None:
        """Check that a URL does not lead into the user's own network: a model's author may have written it."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise AddressRefused(f"{self.vendor} gives an output by a URL of kind {parts.scheme!r}")
        if parts.netloc in self.trusted:
            return
        try:
            port = parts.port or (443 if parts.scheme == "https" else 80)
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port)
        except (OSError, ValueError):
            return  # a proxy may know it; otherwise the connection says so
        if not all(is_public(str(one[4][0])) for one in found):
            raise AddressRefused(f"{self.vendor} gives an output at {parts.hostname}, which is a private address")

    async def _take(self, response: aiohttp.ClientResponse, part: _Part) -> None:
        if response.status in _GONE:
            raise Expired
        if response.status == _PAST_THE_END or (response.status == _PART and not _fits(response, part)):
            part.size, part.tag = 0, ""
            raise _Broken("the part that was asked for is not there")
        if response.status not in (200, _PART):
            wait = response.headers.get("retry-after", "")
            raise _Broken(f"it answered {response.status}", float(wait) if wait.isdecimal() else None)
        is_packed = response.headers.get("content-encoding", "identity") != "identity"  # and is unpacked on the way
        if response.status != _PART:
            part.size = 0
            part.whole = None if is_packed else response.content_length
        part.media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        part.tag = "" if is_packed else _tag(response)
        self._check_size(part.whole or 0)
        with part.file.open("ab" if part.size else "wb") as file:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    piece = await read(response)
                if not piece:
                    return
                part.size += len(piece)
                self._check_size(part.size)
                await asyncio.to_thread(file.write, piece)

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise MediaLimit(f"an output of {self.vendor} has more than {self.max_bytes:,} bytes")

    async def _inline(self, url: str, file: Path) -> str:
        head, comma, data = url.removeprefix("data:").partition(",")
        media_type, *parameters = head.split(";")
        try:
            raw = base64.b64decode(data, validate=True) if "base64" in parameters else unquote_to_bytes(data)
        except (binascii.Error, ValueError):
            raw = b""
        if not comma or not raw:
            raise BackendFailed(f"{self.vendor} gives an output as a data URI that is none")
        await asyncio.to_thread(file.write_bytes, raw)
        return media_type.strip().lower()


def _fits(response: aiohttp.ClientResponse, part: _Part) -> bool:
    """Tell whether an answer begins where the file ends."""
    found = _RANGE.fullmatch(response.headers.get("content-range", ""))
    return found is not None and int(found[1]) == part.size


def _tag(response: aiohttp.ClientResponse) -> str:
    """Give what tells a content from another one: a strong tag, or when it was changed."""
    tag = response.headers.get("etag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("last-modified", "")
