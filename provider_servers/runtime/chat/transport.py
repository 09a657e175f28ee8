"""The HTTP client for vendors: their TLS, their proxies, one read at a time, and keys that go to one host alone."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httpcore
import httpx

from automarket.errors import ProviderNotConfigured
from provider_servers.runtime.chat.framing import ChunkMerger

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

CONNECT_SECONDS = 10.0
WRITE_SECONDS = 60.0
KEEP_SECONDS = 60.0
MAX_IDLE_CONNECTIONS = 64


class _MergedStream(httpcore.AsyncNetworkStream):
    """A connection whose answers have their chunks put together."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._merger = ChunkMerger()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        while data := await self._stream.read(max_bytes, timeout):
            if merged := self._merger.feed(data):
                return merged
        return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _MergedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _MergingBackend(httpcore.AsyncNetworkBackend):
    """Makes connections whose answers have their chunks put together."""

    def __init__(self) -> None:
        self._inner = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _MergedStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


def merging(carrier: httpx.AsyncHTTPTransport) -> httpx.AsyncHTTPTransport:
    """Have the chunks of answers put together that come in one read; without it each token is an event of its own."""
    # httpx has no public way to say how its pool connects.
    carrier._pool._network_backend = _MergingBackend()  # noqa: SLF001 # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
    return carrier


def proxy_for(url: str) -> str | None:
    """Give the proxy that the environment names for an address: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY.

    Raises:
        ProviderNotConfigured: it is of a kind that is not spoken here.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        hint = f"name an http:// or https:// proxy, or list {parts.hostname} in NO_PROXY"
        raise ProviderNotConfigured(f"a proxy of kind {urlsplit(proxy).scheme}:// is not spoken here", hint=hint)
    return proxy


def new_http(url: str) -> httpx.AsyncClient:
    """Make what makes requests to one vendor. Redirects are not followed: a key goes nowhere but where it belongs.

    Args:
        url: the vendor's base address, which decides on the proxy.

    Raises:
        ProviderNotConfigured: the proxy is of a kind that is not spoken here.
    """
    limits = httpx.Limits(
        max_connections=None, max_keepalive_connections=MAX_IDLE_CONNECTIONS, keepalive_expiry=KEEP_SECONDS
    )
    carrier = merging(httpx.AsyncHTTPTransport(limits=limits, proxy=proxy_for(url), retries=1))
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS, write=WRITE_SECONDS)
    # What is compressed arrives later than its tokens.
    headers = {"accept-encoding": "identity", "user-agent": "automarket"}
    return httpx.AsyncClient(
        transport=carrier, timeout=timeout, headers=headers, follow_redirects=False, trust_env=False
    )
