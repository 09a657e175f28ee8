"""HTTP sessions of aiohttp for vendors and backends: their TLS, their proxies, and reads as they arrive."""

from __future__ import annotations

import io
import socket
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import httpx

from automarket.assets.fetch import is_public
from automarket.errors import AddressRefused, ProviderNotConfigured

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import SimpleNamespace

    from aiohttp.abc import ResolveResult

CONNECT_SECONDS = 10.0
KEEP_SECONDS = 60.0
READ_BYTES = 256 * 1024
MAX_HEADER_BYTES = 64 * 1024
_SMALL_BYTES = 64 * 1024


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


class PublicNames(aiohttp.ThreadedResolver):
    """Finds the public addresses of names: what was checked before may mean another address by now."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the addresses of a name.

        Raises:
            AddressRefused: one is private.
            OSError: nobody knows the name.
        """
        found = await super().resolve(host, port, family)
        if not all(is_public(one["host"]) for one in found):
            raise AddressRefused(f"{host} is a private address, and such are not fetched")
        return found


def new_http(url: str, *, keeps: bool = True, public: bool = False) -> aiohttp.ClientSession:
    """Make what makes requests to one vendor, over connections that are kept for a while.

    Args:
        url: the vendor's base address, which decides on the proxy.
        keeps: otherwise each request has a connection of its own.
        public: names that lead to private addresses are refused; where there is a proxy, it decides.

    Raises:
        ProviderNotConfigured: the proxy is of a kind that is not spoken here.
    """
    # The certificates are httpx's, as for everything else here: SSL_CERT_FILE, else those that it carries.
    context = httpx.create_ssl_context() if url.startswith("https:") else True
    keeping: dict[str, Any] = {"keepalive_timeout": KEEP_SECONDS} if keeps else {"force_close": True}
    proxy = proxy_for(url)
    resolver = PublicNames() if public and proxy is None else None
    connector = aiohttp.TCPConnector(limit=0, ssl=context, resolver=resolver, **keeping)
    return _session(connector, proxy=proxy)


def new_local_http() -> aiohttp.ClientSession:
    """Make what makes requests to a backend: no proxy, which is for the world outside, and no connection kept."""
    return _session(aiohttp.TCPConnector(limit=0, force_close=True))


def _session(connector: aiohttp.TCPConnector, proxy: str | None = None) -> aiohttp.ClientSession:
    reused = aiohttp.TraceConfig()
    reused.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=connector,
        proxy=proxy,
        # Who waits for an answer has limits of its own.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        # What is compressed arrives later than its tokens.
        headers={"accept": "*/*", "accept-encoding": "identity", "user-agent": "automarket"},
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=READ_BYTES,
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        trace_configs=[reused],
    )


class Attempt:
    """One attempt at a request; `is_reused` tells whether its connection had served another before."""

    def __init__(self) -> None:
        self.is_reused = False


async def _note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _facts: Any) -> None:
    if isinstance(context.trace_request_ctx, Attempt):
        context.trace_request_ctx.is_reused = True


async def send(
    http: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    params: Mapping[str, str] | None = None,
    body: bytes | aiohttp.FormData | None = None,
    headers: Mapping[str, str] | None = None,
    attempt: Attempt | None = None,
) -> aiohttp.ClientResponse:
    """Send a request; give its answer, whose body is not read yet and which its owner closes.

    Redirects are not followed: a key goes nowhere but where it belongs. Closing an answer closes its connection unless
    all of it was read.

    Raises:
        aiohttp.ClientError: there is no answer.
    """
    data: Any = body
    if isinstance(body, bytes) and len(body) > _SMALL_BYTES:
        data = io.BytesIO(body)
    return await http.request(
        method, url, params=params, data=data, headers=headers, allow_redirects=False, trace_request_ctx=attempt
    )


def is_success(response: aiohttp.ClientResponse) -> bool:
    """Tell whether an answer is one of success."""
    return 200 <= response.status < 300


async def read(response: aiohttp.ClientResponse) -> bytes:
    """Give all of an answer's body that has come since the last read; wait for it if there is nothing.

    Nothing at all is the end. What came before a connection broke is given before the error is raised.

    Raises:
        aiohttp.ClientError: the connection broke.
    """
    content = response.content
    try:
        return await content.readany()
    except aiohttp.ClientError:
        # aiohttp holds what has come, but gives it to nobody once there is an error.
        rest: bytes = content._read_nowait(-1)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
        if rest:
            return rest
        raise
