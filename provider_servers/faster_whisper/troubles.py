"""What goes wrong with weights and engine, as reason, message and hint of an error of the mesh."""

from __future__ import annotations

import errno
import os

from automarket.errors import (
    AutoMarketError,
    BackendFailed,
    DiskFull,
    EngineMissing,
    ModelUnknown,
    ProviderNotConfigured,
)
from provider_servers.faster_whisper.settings import PREFIX

_OWN = f"or name a folder that has one in {PREFIX}MODELS"
_OFFLINE = ("OfflineModeIsEnabled",)
_UNKNOWN = (
    "RepositoryNotFoundError",
    "GatedRepoError",
    "HFValidationError",
    "RevisionNotFoundError",
    "NotADirectoryError",
)
_UNREACHED = ("ConnectError", "ConnectTimeout", "ReadTimeout", "ReadError", "LocalEntryNotFoundError")


def explained(error: Exception, source: str) -> tuple[str, str, str]:
    """Give reason, message and hint for what was raised while the weights of a model were fetched, loaded or used."""
    made = _made(error, source)
    return made.reason, made.message, made.hint or ""


def _made(error: Exception, source: str) -> AutoMarketError:
    said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    kinds = {cls.__name__ for cls in type(error).__mro__}
    if kinds & set(_OFFLINE):
        hint = f"unset HF_HUB_OFFLINE, {_OWN}"
        return EngineMissing(f"{source} is not on this machine, and HF_HUB_OFFLINE forbids to fetch it", hint=hint)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"make room, or set {PREFIX}CACHE_DIR to a larger disk"
        return DiskFull(f"the disk has no room for {source}", hint=hint)
    if kinds & set(_UNREACHED) or isinstance(error, ConnectionError):
        host = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
        hint = f"the model is fetched once; connect this machine for that, {_OWN}"
        return BackendFailed(f"{source} is not on this machine, and {host} is not reached: {said}", hint=hint)
    if kinds & set(_UNKNOWN):
        hint = "check the name; one that is not public needs HF_TOKEN"
        return ModelUnknown(f"Hugging Face gives no model {source}: {said}", hint=hint)
    if isinstance(error, (RuntimeError, ValueError)) and any(word in said for word in ("compute type", "CUDA")):
        hint = f"set {PREFIX}DEVICE=cpu or {PREFIX}COMPUTE_TYPE=default"
        return ProviderNotConfigured(f"the engine cannot run as it is set: {said}", hint=hint)
    return BackendFailed(f"faster-whisper failed with {source}: {type(error).__name__}: {said}")
