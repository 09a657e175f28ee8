"""What Ollama answers when something is wrong, as errors of the mesh. It says what in `{"error": "a sentence"}`."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from automarket.errors import (
    AutoMarketError,
    BackendFailed,
    ContextTooLong,
    InvalidRequestError,
    ModelUnknown,
    ProviderBusy,
    ProviderNotConfigured,
)
from provider_servers.runtime.vendors.errors import token_counts

if TYPE_CHECKING:
    from collections.abc import Mapping

BUSY_SECONDS = 5.0
_CLOUD = (HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.FORBIDDEN)
_CONTEXT = "leave out earlier messages, or give the model a longer context by the option context_tokens"
_LIBRARY = "names are at https://ollama.com/library; `name:tag` takes one build of a model"


def status_error(status: int, body: bytes, model: str = "") -> AutoMarketError:
    """Give the error for an answer that is not 200."""
    said = _sentence(body)
    facts = {"upstream_code": str(status), "model": model}
    if (error := _by_words(said, facts)) is not None:
        return error
    if status == HTTPStatus.NOT_FOUND:
        return ModelUnknown(said or f"model {model!r} is not there", hint=_LIBRARY, metadata=facts)
    if status in _CLOUD:
        hint = "models of Ollama's cloud need an account: sign in with `ollama signin` where the backend runs"
        return ProviderNotConfigured(said or f"the backend refuses with {status}", hint=hint, metadata=facts)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        message, hint = said or "the backend has too much to do", "try again later, or name another model as a fallback"
        return ProviderBusy(message, hint=hint, retry_after=BUSY_SECONDS, metadata=facts)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InvalidRequestError(said or f"the backend refuses the request with {status}", metadata=facts)
    return _failed(said or f"the backend answered {status}", facts)


def _by_words(said: str, facts: Mapping[str, str]) -> AutoMarketError | None:
    """Give the error for what is told by words, whatever the status; None for all else."""
    if "exceeds the available context" in said or "exceeds the context length" in said:
        return ContextTooLong(f"Ollama: {said}", hint=_CONTEXT, metadata={**facts, **token_counts(said)})
    if "failed to process inputs: image" in said:
        return InvalidRequestError(f"Ollama: {said}", hint="send a PNG or a JPEG", metadata=facts)
    return None


def line_error(line: Mapping[str, Any], model: str) -> AutoMarketError:
    """Give the error for a line of a stream that says one; what was sent before it stays good."""
    return _failed(str(line["error"]), {"upstream_code": "200", "model": model})


def pull_error(said: str, model: str) -> AutoMarketError:
    """Give the error for a pull that failed."""
    facts = {"model": model, "phase": "pulling"}
    if "file does not exist" in said or "not found" in said:
        return ModelUnknown(f"Ollama's library has no model {model!r}", hint=_LIBRARY, metadata=facts)
    if "no space left" in said:
        hint = "give the backend's volume more room, or remove models from it"
        return BackendFailed(f"model {model} cannot be pulled: {said}", hint=hint, metadata=facts)
    hint = "the backend needs the network for models that it does not have yet"
    return BackendFailed(f"model {model} cannot be pulled: {said}", hint=hint, metadata=facts)


def _failed(said: str, facts: Mapping[str, str]) -> BackendFailed:
    hint = "take a smaller model, or give the backend more memory" if "more system memory" in said else None
    return BackendFailed(f"Ollama: {said}", hint=hint, metadata={"phase": "running", **facts})


def _sentence(body: bytes) -> str:
    """Give the sentence of an error's body, or the body's beginning when it is something else."""
    try:
        value = json.loads(body)
    except ValueError:
        return body[:200].decode(errors="replace").strip()
    if not isinstance(value, dict):
        return ""
    error = cast("dict[str, Any]", value).get("error", "")
    if isinstance(error, str) and error.startswith("{"):  # what the engine inside said, in its own form
        return _sentence(error.encode())
    said = cast("dict[str, Any]", error).get("message", "") if isinstance(error, dict) else error
    return str(said)[:400]
