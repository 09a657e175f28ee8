"""Requests to one vendor, and what becomes of them: answers, refusals, and connections that break."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp

from automarket.errors import BackendFailed, ProviderNotConfigured, Retry
from provider_servers.runtime.http.connection_faults import said, tls_fault, was_closed
from provider_servers.runtime.http.multipart import Form
from provider_servers.runtime.http.reading import stalled
from provider_servers.runtime.http.transport import Attempt, is_success, read, send
from provider_servers.runtime.vendors.errors import broken, to_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from automarket.errors import AutoMarketError
    from provider_servers.runtime.vendors.refusals import Refusal
    from provider_servers.runtime.vendors.vendor import Vendor

ANSWER_SECONDS = 20.0
PATIENCE_HINT = "try again, or allow more time by the provider's settings timeout and idle_timeout"
AT_ONCE_SECONDS = 0.5
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_REFUSAL_BYTES = 256 * 1024
SLOW_BYTES_A_SECOND = 64 * 1024  # an upload that is slower than this is given up


@dataclass(frozen=True, slots=True)
class Upstream:
    """One vendor as it is reached.

    Attributes:
        vendor: who it is.
        connect: gives what makes the requests; it is not closed here.
        base_url: its address, without a slash at the end.
        read_refusal: gives what an answer that is no success says, from status, headers and body.
        headers: go with every request; they hold the key, so they are never shown.
        first_seconds: how long the head of an answer may take.
        idle_seconds: how long a stream may be silent.
        base_url_variable: the environment variable of the address, for hints.
        special: gives the error for a refusal of which this vendor's provider knows more, given the model; else None.
    """

    vendor: Vendor
    connect: Callable[[], aiohttp.ClientSession]
    base_url: str
    read_refusal: Callable[[int, Mapping[str, str], bytes], Refusal]
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    first_seconds: float = 600.0
    idle_seconds: float = 120.0
    base_url_variable: str = ""
    special: Callable[[Refusal, str], AutoMarketError | None] = lambda _refusal, _model: None

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Give the body of an answer.

        Raises:
            AutoMarketError: there is none, or it is no success.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._send("GET", path, params=params) as response:
                if not is_success(response):
                    raise await self.refused(response)
                return await self.body(response)
        except aiohttp.ClientError as error:
            raise self.unreachable(error) from None
        except TimeoutError:
            raise stalled(self.vendor.name, ANSWER_SECONDS) from None

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, *, model: str, options: Mapping[str, str] | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Post JSON; give an answer as `request` does."""
        async with self.request("POST", path, body=body, model=model, options=options) as response:
            yield response

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | Form | None = None,
        model: str = "",
        options: Mapping[str, str] | None = None,
        family: str = "text_to_text",
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Give an answer whose body is not read yet; leaving the block closes the connection unless it was read whole.

        Args:
            method: "GET", "POST", "DELETE".
            path: below the base address.
            params: of the query.
            body: JSON, or a form, whose files are read while they are sent.
            model: what is asked, for errors.
            options: our options by the vendor's names for them, for errors.
            family: the field of the header that holds the typed options, for errors.

        Raises:
            AutoMarketError: there is none, or it is no success.
        """
        try:
            async with self._send(method, path, params=params, body=body) as response:
                if not is_success(response):
                    raise await self.refused(response, model, options, family)
                yield response
        except aiohttp.ClientError as error:
            raise self.unreachable(error, model) from None

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: bytes | Form | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        with ExitStack() as files:
            response = await self._begin(method, path, params, body, files)
            try:
                yield response
            finally:
                response.close()

    async def _begin(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | Form | None,
        files: ExitStack,
    ) -> aiohttp.ClientResponse:
        headers = dict(self.headers) | ({"content-type": "application/json"} if isinstance(body, bytes) else {})
        url = self.base_url + path
        patience = self.first_seconds + (body.size / SLOW_BYTES_A_SECOND if isinstance(body, Form) else 0)
        for last in (False, True):
            attempt, begin = Attempt(), time.monotonic()
            try:
                data = body.open(files) if isinstance(body, Form) else body
                async with asyncio.timeout(patience):
                    return await send(
                        self.connect(), method, url, params=params, body=data, headers=headers, attempt=attempt
                    )
            except aiohttp.ClientError as error:
                # A connection that was kept for later and closed meanwhile: the vendor has not seen the request.
                is_late = time.monotonic() - begin > AT_ONCE_SECONDS
                if last or is_late or not attempt.is_reused or not was_closed(error):
                    raise
            except TimeoutError:
                raise stalled(self.vendor.name, patience, PATIENCE_HINT) from None
        raise AssertionError  # the second attempt returns or raises

    async def body(self, response: aiohttp.ClientResponse, limit: int = MAX_BODY_BYTES) -> bytes:
        """Give the whole body of an answer.

        Raises:
            BackendFailed: it is too large.
        """
        pieces: list[bytes] = []
        while piece := await read(response):
            pieces.append(piece)
            limit -= len(piece)
            if limit < 0:
                raise broken(self.vendor, "the answer is too large")
        return b"".join(pieces)

    async def pieces(self, response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
        """Give the body of an answer as it comes. Closing this does not close the answer, which is its owner's.

        Raises:
            BackendFailed: it is silent for too long, or the connection broke before its end.
        """
        while True:
            try:
                async with asyncio.timeout(self.idle_seconds):
                    piece = await read(response)
            except TimeoutError:
                raise stalled(self.vendor.name, self.idle_seconds, PATIENCE_HINT) from None
            except aiohttp.ClientError as error:
                raise self.unreachable(error) from None
            if not piece:
                return
            yield piece

    async def refused(
        self,
        response: aiohttp.ClientResponse,
        model: str = "",
        options: Mapping[str, str] | None = None,
        family: str = "text_to_text",
    ) -> AutoMarketError:
        """Give the error for an answer that is no success."""
        if 300 <= response.status < 400:
            return self._redirected(response)
        body = b""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                body = await self.body(response, MAX_REFUSAL_BYTES)
        except (TimeoutError, BackendFailed, aiohttp.ClientError):
            pass  # the status alone has to do
        refusal = self.read_refusal(response.status, response.headers, body)
        return self.special(refusal, model) or to_error(refusal, self.vendor, model, options, family)

    def _redirected(self, response: aiohttp.ClientResponse) -> ProviderNotConfigured:
        """Give the error for an answer from elsewhere; a key is not taken there."""
        target = urlsplit(str(response.headers.get("location", "")))
        where = f"{target.scheme}://{target.hostname}" if target.hostname else "another address"
        mend = self.base_url_variable or "the provider's base_url"
        return ProviderNotConfigured(
            f"{self.vendor.name} redirects to {where}, and a key does not follow",
            hint=f"set {mend} to the address itself, if you trust it",
            metadata={"provider": self.vendor.id, "upstream_code": str(response.status)},
        )

    def unreachable(self, error: aiohttp.ClientError, model: str = "") -> BackendFailed:
        """Give the error for a connection that was not made, or broke."""
        host = urlsplit(self.base_url).hostname or ""
        facts = {"provider": self.vendor.id, "model": model, "phase": "running", "retry": Retry.OTHER}
        if fault := tls_fault(error):
            hint = "if a proxy of yours opens TLS, name its certificates in SSL_CERT_FILE"
            message = f"{self.vendor.name} at {host} cannot be trusted: TLS says {fault}"
            return BackendFailed(message, hint=hint, metadata=facts)
        words = said(error)
        if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
            hint = "check HTTPS_PROXY, or list the host in NO_PROXY"
            return BackendFailed(f"the proxy does not lead to {host}: {words}", hint=hint, metadata=facts)
        if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
            hint = f"check the network, and {self.base_url_variable}" if self.base_url_variable else "check the network"
            return BackendFailed(f"{self.vendor.name} at {host} cannot be reached: {words}", hint=hint, metadata=facts)
        return BackendFailed(f"the connection to {self.vendor.name} broke: {words}", metadata=facts)
