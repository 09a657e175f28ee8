"""Requests to one vendor, and what becomes of them: answers, refusals, and connections that break."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from automarket.errors import BackendFailed, ProviderNotConfigured, Retry
from provider_servers.runtime.chat.errors import broken, to_error
from provider_servers.runtime.chat.reading import stalled

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from automarket.errors import AutoMarketError
    from provider_servers.runtime.chat.refusals import Refusal
    from provider_servers.runtime.chat.vendor import Vendor

ANSWER_SECONDS = 20.0
PATIENCE_HINT = "try again, or allow more time by the provider's settings timeout and idle_timeout"
AT_ONCE_SECONDS = 0.5
MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_REFUSAL_BYTES = 256 * 1024
_NO_ANSWER = "Server disconnected without sending a response."


@dataclass(frozen=True, slots=True)
class Upstream:
    """One vendor as it is reached.

    Attributes:
        vendor: who it is.
        http: makes the requests; it is not closed here.
        base_url: its address, without a slash at the end.
        read_refusal: gives what an answer that is no success says, from status, headers and body.
        headers: go with every request; they hold the key, so they are never shown.
        first_seconds: how long the head of an answer may take.
        idle_seconds: how long a stream may be silent.
        base_url_variable: the environment variable of the address, for hints.
    """

    vendor: Vendor
    http: httpx.AsyncClient
    base_url: str
    read_refusal: Callable[[int, Mapping[str, str], bytes], Refusal]
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    first_seconds: float = 600.0
    idle_seconds: float = 120.0
    base_url_variable: str = ""

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> bytes:
        """Give the body of an answer.

        Raises:
            AutoMarketError: there is none, or it is no success.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._send("GET", path, params=params) as response:
                if not response.is_success:
                    raise await self.refused(response)
                return await self.body(response)
        except TimeoutError:
            raise stalled(self.vendor.name, ANSWER_SECONDS) from None
        except httpx.HTTPError as error:
            raise self.unreachable(error) from None

    @asynccontextmanager
    async def post(
        self, path: str, body: bytes, *, model: str, options: Mapping[str, str] | None = None
    ) -> AsyncGenerator[httpx.Response]:
        """Give an answer whose body is not read yet; leaving the block closes the connection unless it was read whole.

        Args:
            path: below the base address.
            body: JSON.
            model: what is asked, for errors.
            options: our options by the vendor's names for them, for errors.

        Raises:
            AutoMarketError: there is none, or it is no success.
        """
        try:
            async with self._send("POST", path, body=body) as response:
                if not response.is_success:
                    raise await self.refused(response, model, options)
                yield response
        except httpx.HTTPError as error:
            raise self.unreachable(error, model) from None

    @asynccontextmanager
    async def _send(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> AsyncGenerator[httpx.Response]:
        response = await self._begin(method, path, params, body)
        try:
            yield response
        finally:
            await response.aclose()

    async def _begin(
        self, method: str, path: str, params: Mapping[str, str] | None, body: bytes | None
    ) -> httpx.Response:
        headers = dict(self.headers) | ({"content-type": "application/json"} if body is not None else {})
        url = self.base_url + path
        begin = time.monotonic()
        for last in (False, True):
            request = self.http.build_request(method, url, params=params, content=body, headers=headers)
            try:
                async with asyncio.timeout(self.first_seconds):
                    return await self.http.send(request, stream=True)
            except TimeoutError:
                raise stalled(self.vendor.name, self.first_seconds, PATIENCE_HINT) from None
            except httpx.RemoteProtocolError as error:
                # A connection that was kept for later and closed meanwhile: the vendor has not seen the request.
                if last or str(error) != _NO_ANSWER or time.monotonic() - begin > AT_ONCE_SECONDS:
                    raise
        raise AssertionError  # the second attempt returns or raises

    async def body(self, response: httpx.Response, limit: int = MAX_BODY_BYTES) -> bytes:
        """Give the whole body of an answer.

        Raises:
            BackendFailed: it is too large.
        """
        pieces: list[bytes] = []
        async for piece in response.aiter_bytes():
            pieces.append(piece)
            limit -= len(piece)
            if limit < 0:
                raise broken(self.vendor, "the answer is too large")
        return b"".join(pieces)

    async def refused(
        self, response: httpx.Response, model: str = "", options: Mapping[str, str] | None = None
    ) -> AutoMarketError:
        """Give the error for an answer that is no success."""
        if response.is_redirect:
            return self._redirected(response)
        body = b""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                body = await self.body(response, MAX_REFUSAL_BYTES)
        except (TimeoutError, BackendFailed, httpx.HTTPError):
            pass  # the status alone has to do
        return to_error(self.read_refusal(response.status_code, response.headers, body), self.vendor, model, options)

    def _redirected(self, response: httpx.Response) -> ProviderNotConfigured:
        """Give the error for an answer from elsewhere; a key is not taken there."""
        target = urlsplit(str(response.headers.get("location", "")))
        where = f"{target.scheme}://{target.hostname}" if target.hostname else "another address"
        mend = self.base_url_variable or "the provider's base_url"
        return ProviderNotConfigured(
            f"{self.vendor.name} redirects to {where}, and a key does not follow",
            hint=f"set {mend} to the address itself, if you trust it",
            metadata={"provider": self.vendor.id, "upstream_code": str(response.status_code)},
        )

    def unreachable(self, error: httpx.HTTPError, model: str = "") -> BackendFailed:
        """Give the error for a connection that was not made, or broke."""
        host = urlsplit(self.base_url).hostname or ""
        facts = {"provider": self.vendor.id, "model": model, "phase": "running", "retry": Retry.OTHER}
        if fault := _tls_fault(error):
            hint = "if a proxy of yours opens TLS, name its certificates in SSL_CERT_FILE"
            message = f"{self.vendor.name} at {host} cannot be trusted: TLS says {fault}"
            return BackendFailed(message, hint=hint, metadata=facts)
        said = str(error) or type(error).__name__
        if isinstance(error, httpx.ProxyError):
            hint = "check HTTPS_PROXY, or list the host in NO_PROXY"
            return BackendFailed(f"the proxy does not lead to {host}: {said}", hint=hint, metadata=facts)
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            hint = f"check the network, and {self.base_url_variable}" if self.base_url_variable else "check the network"
            return BackendFailed(f"{self.vendor.name} at {host} cannot be reached: {said}", hint=hint, metadata=facts)
        return BackendFailed(f"the connection to {self.vendor.name} broke: {said}", metadata=facts)


def _tls_fault(error: BaseException | None) -> str:
    """Give what TLS says of a failure, or nothing where it is not to blame."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if isinstance(error, ssl.SSLError):
            return (error.reason or str(error)).lower().replace("_", " ")
        error = error.__cause__ or error.__context__
    return ""
