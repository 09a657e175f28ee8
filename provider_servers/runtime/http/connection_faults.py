"""What aiohttp's errors say of a connection that was not made, or broke."""

from __future__ import annotations

import ssl

import aiohttp

from provider_servers.runtime.http.transport import CONNECT_SECONDS

# The first that fits counts: some are kinds of others. Their own texts may hold the address with all that is in it.
_SENTENCES: tuple[tuple[type[aiohttp.ClientError], str], ...] = (
    (aiohttp.ConnectionTimeoutError, f"no connection within {CONNECT_SECONDS:g} s"),
    (aiohttp.ServerDisconnectedError, "it was closed before there was an answer"),
    (aiohttp.ClientPayloadError, "it was closed within an answer"),
)


def said(error: aiohttp.ClientError) -> str:
    """Give what an error says, in words for people."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"it answered {error.status}"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"what came is no HTTP: {error.message}"
    known = next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), "")
    return known or str(error) or type(error).__name__


def was_closed(error: aiohttp.ClientError) -> bool:
    """Tell whether a connection had closed before anything of an answer came."""
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return isinstance(error.message, str)  # otherwise it is the beginning of a head
    return isinstance(error, aiohttp.ClientOSError) and not isinstance(error, aiohttp.ClientConnectorError)


def tls_fault(error: BaseException | None) -> str:
    """Give what TLS says of a failure, or nothing where it is not to blame."""
    while error is not None:
        if not isinstance(error, aiohttp.ClientError):  # those of aiohttp only wrap what TLS says
            if isinstance(error, ssl.SSLCertVerificationError):
                return error.verify_message
            if isinstance(error, ssl.SSLError):
                return (error.reason or str(error)).lower().replace("_", " ")
        error = error.__cause__ or error.__context__
    return ""
