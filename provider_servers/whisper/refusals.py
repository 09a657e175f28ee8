"""Answers of the backend that are no success, as errors of ours."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from automarket.errors import BackendFailed, InputIncomplete, OptionInvalid

if TYPE_CHECKING:
    from automarket.errors import AutoMarketError

MAX_RETRY_SECONDS = 10.0
_UNPROCESSABLE, _NOT_FOUND = 422, 404


def refusal(status: int, text: str, retry_after: str | None = None) -> AutoMarketError:
    """Give the error for an HTTP status and the text that came with it."""
    if status == _UNPROCESSABLE and (faults := _faults(text)):
        return _invalid(faults)
    facts = {"phase": "running", "upstream_code": str(status)}
    if status == _NOT_FOUND:
        hint = "check AUTOMARKET_WHISPER_BASE_URL and which image runs"
        return BackendFailed("what answers there is no whisper-asr-webservice", hint=hint, metadata=facts)
    said = " ".join(text[:200].split())
    message = f"the whisper backend answered {status}" + f": {said}" * bool(said)
    hint = "it gives its reason in the container's log only: automarket services logs whisper"
    return BackendFailed(message, hint=hint, retry_after=_seconds(retry_after), metadata=facts)


def _invalid(faults: dict[str, str]) -> AutoMarketError:
    name, fault = next(iter(faults.items()))
    if name == "audio_file":
        return InputIncomplete(f"the whisper backend did not take the sound: {fault}")
    fields = {f"header.model_options.{name}": fault for name, fault in faults.items()}
    return OptionInvalid(f"the whisper backend refused {name}: {fault}", fields=fields)


def _faults(text: str) -> dict[str, str]:
    """Read FastAPI's list of faults: what is wrong by the name of the parameter."""
    try:
        answer: Any = json.loads(text)
        detail = cast("list[dict[str, Any]]", answer["detail"])
        return {str(one["loc"][-1]): str(one["msg"])[:200] for one in detail}
    except (ValueError, KeyError, IndexError, TypeError):
        return {}


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(MAX_RETRY_SECONDS, max(0.0, float(retry_after or "")))
    except ValueError:
        return None
