"""What goes wrong between this process and the server, as errors of ours."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from automarket.errors import AutoMarketError, BackendFailed, DiskFull, InputUnsuitable, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Generator

LOST = {"connection": "lost"}
"""Metadata of the error for a connection that broke: nobody has answered, so the container may say more of it."""

UPSTREAM_CODE = "upstream_code"
_NOT_LOADED = "503"

_LONGEST_DETAIL = 200


@contextmanager
def faults(url: str) -> Generator[None]:
    """Turn what breaks on the way, and answers that are not of the API's form, into BackendFailed."""
    try:
        yield
    except httpx.InvalidURL as error:
        raise _lost(url, error) from error
    except httpx.TransportError as error:
        raise _lost(url, error) from error
    except (httpx.HTTPError, LookupError, TypeError, ValueError) as error:
        message = f"chatterbox at {url} gave an answer that is not of its API's form"
        raise BackendFailed(message, hint="is it another program that listens there?") from error


def may_pass(error: BackendFailed) -> bool:
    """Tell whether the same request may work when it is made once more.

    It may when the connection broke or the container ended, unless it wanted more memory than there is; not when the
    server failed at its work.
    """
    known = error.metadata
    if "out_of_memory" in known:
        return False
    if answered(error):
        return known[UPSTREAM_CODE] == _NOT_LOADED
    return "backend" in known or LOST.items() <= known.items()


def answered(error: BackendFailed) -> bool:
    """Tell whether the server said so itself."""
    return UPSTREAM_CODE in error.metadata


def check(response: httpx.Response) -> None:
    """Raise what a response says that is no success; its body has been read.

    Raises:
        BackendFailed: the server has no model, or failed.
        NotFoundError: it has no file of that name.
        InputUnsuitable: it refuses the request.
    """
    if response.is_success:
        return
    code, detail = response.status_code, _detail(response.text)
    metadata = {UPSTREAM_CODE: str(code)}
    if code == 503:
        hint = "wait until it is loaded; one that was unloaded comes back with a restart of the backend"
        raise BackendFailed(f"chatterbox has no model: {detail}", hint=hint, retry_after=2.0, metadata=metadata)
    if code == 404:
        raise NotFoundError(f"chatterbox: {detail}", metadata=metadata)
    if response.is_client_error:
        raise InputUnsuitable(f"chatterbox refused the request: {detail}", metadata=metadata)
    raise BackendFailed(f"chatterbox failed with {code}: {detail}", metadata=metadata)


def not_kept(fault: str) -> AutoMarketError:
    """Give the error for a voice sample that the server did not keep, from what it says of it."""
    fault = fault[:_LONGEST_DETAIL]
    message = f"chatterbox did not keep the voice sample: {fault}"
    if "No space left" in fault:
        return DiskFull(message, hint="make room on the disk of its volume")
    if "[Errno" in fault:
        return BackendFailed(message)
    return InputUnsuitable(message, fields={"header.inputs.voice": fault})


def _lost(url: str, error: Exception) -> BackendFailed:
    words = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.InvalidURL):
        message = f"nothing answers at {url}: {words}"
    else:
        message = f"the connection to chatterbox at {url} broke: {words}"
    return BackendFailed(message, metadata=LOST)


def _detail(body: str) -> str:
    """Give the reason in an error's body: {"detail": "..."}, or a list of what is wrong with which field."""
    try:
        found: Any = json.loads(body)["detail"]
        if isinstance(found, list):
            found = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in found[:3])  # pyright: ignore[reportUnknownVariableType] - any JSON
    except (ValueError, LookupError, TypeError):
        found = body
    return " ".join(str(found).split())[:_LONGEST_DETAIL]
