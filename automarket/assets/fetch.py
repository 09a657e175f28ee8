"""Fetching a URL that somebody else wrote: every address that it leads to is checked before anything is sent there.

The connection goes to the address that was checked, so that a name cannot mean another one the second time.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import certifi
import httpx

from automarket.errors import (
    AddressRefused,
    DiskFull,
    InputTooLarge,
    InvalidRequestError,
    NotFoundError,
    UnavailableError,
)

if TYPE_CHECKING:
    from typing import IO

MAX_REDIRECTS = 5
TIMEOUT_SECONDS = 30.0

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GONE = (401, 403, 404, 410)


class Spool:
    """A temporary file that goes with its owner: this value first, then whoever it is given to."""

    def __init__(self) -> None:
        with tempfile.NamedTemporaryFile(prefix="automarket-", delete=False) as file:
            self.path = Path(file.name)
        self._remove = weakref.finalize(self, self.path.unlink, missing_ok=True)

    def give_to(self, owner: object) -> None:
        """Let the file live as long as `owner`."""
        self._remove.detach()
        weakref.finalize(owner, self.path.unlink, missing_ok=True)

    def discard(self) -> None:
        """Remove the file now."""
        self._remove()


async def fetch(url: str, *, max_bytes: int, allow_private: bool) -> Spool:
    """Fetch a URL into a file. Raises as `AssetLoader.from_url` does."""
    target = _parsed(url)
    # No redirect is followed unseen, and no proxy is used: it would choose the address itself.
    trust = await asyncio.to_thread(trusted)
    async with httpx.AsyncClient(verify=trust, trust_env=False, timeout=TIMEOUT_SECONDS) as client:
        for _ in range(MAX_REDIRECTS + 1):
            request = await _request(client, target, allow_private=allow_private)
            secret = httpx.BasicAuth(target.username, target.password) if target.userinfo else None
            try:
                response = await client.send(request, stream=True, auth=secret)
            except httpx.HTTPError as error:
                raise _unreachable(target, error) from None
            try:
                if (onward := response.headers.get("location")) and response.is_redirect:
                    target = _parsed(str(target.join(onward)))
                    continue
                _check_answer(response, target)
                return await _spooled(response, target, max_bytes)
            finally:
                await response.aclose()
    raise UnavailableError(f"{_shown(target)} redirects more than {MAX_REDIRECTS} times")


def trusted() -> ssl.SSLContext:
    """Trust whom this machine trusts (SSL_CERT_FILE counts), and whom the web does."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _parsed(url: str) -> httpx.URL:
    try:
        target = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise InvalidRequestError("that is not a URL", hint="https://host/path") from None
    if target.scheme not in ("http", "https") or not target.host:
        raise AddressRefused(f"{target.scheme or 'no'} URLs are not fetched", hint="use https")
    return target


async def _request(client: httpx.AsyncClient, target: httpx.URL, *, allow_private: bool) -> httpx.Request:
    """Make the request, to an address that was checked; the name goes into the header and the TLS handshake."""
    address = (await addresses_of(target, allow_private=allow_private))[0]
    headers = {"Host": target.netloc.decode("ascii"), "User-Agent": "automarket", "Accept": "*/*"}
    pinned = target.copy_with(host=address, userinfo=b"")
    return client.build_request("GET", pinned, headers=headers, extensions={"sni_hostname": target.host})


async def addresses_of(target: httpx.URL, *, allow_private: bool) -> list[str]:
    """Give the addresses that a URL leads to.

    Raises:
        AddressRefused: one of them is not public.
        UnavailableError: nobody knows the host.
    """
    port = target.port or (443 if target.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(target.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(f"the host {target.host} is not known", hint=error.strerror) from None
    addresses = [str(one[4][0]) for one in found]
    if not allow_private and not all(map(is_public, addresses)):
        raise AddressRefused(
            f"{target.host} is a private address, and such are not fetched",
            hint="allow_private=True, when the URL is your own",
        )
    return addresses


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public Internet, also where it wraps another one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


def _check_answer(response: httpx.Response, target: httpx.URL) -> None:
    if response.status_code in _GONE:
        raise NotFoundError(f"{_shown(target)} answered {response.status_code}", hint="check the URL")
    if response.status_code != 200:
        raise UnavailableError(f"{_shown(target)} answered {response.status_code}")


async def _spooled(response: httpx.Response, target: httpx.URL, max_bytes: int) -> Spool:
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise _too_large(target, max_bytes)
    spool = Spool()
    try:
        await _fill(spool, response, target, max_bytes)
    except httpx.HTTPError as error:
        spool.discard()
        raise _unreachable(target, error) from None
    except BaseException:
        spool.discard()
        raise
    return spool


async def _fill(spool: Spool, response: httpx.Response, target: httpx.URL, max_bytes: int) -> None:
    total = 0
    with spool.path.open("wb") as file:
        async for data in response.aiter_bytes():
            total += len(data)
            if total > max_bytes:
                raise _too_large(target, max_bytes)
            await asyncio.to_thread(_write, file, data)


def _write(file: IO[bytes], data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull("the disk has no room for what the URL gives") from None
        raise


def _too_large(target: httpx.URL, max_bytes: int) -> InputTooLarge:
    return InputTooLarge(f"{_shown(target)} has more than {max_bytes:,} bytes", hint="raise max_bytes")


def _unreachable(target: httpx.URL, error: httpx.HTTPError) -> UnavailableError:
    return UnavailableError(f"{_shown(target)} cannot be fetched: {type(error).__name__}", retry_after=1.0)


def _shown(target: httpx.URL) -> str:
    """Give a URL without what may be secret: user, query, fragment."""
    return f"{target.scheme}://{target.host}{target.path}"[:200]
