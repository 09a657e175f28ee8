"""What Docker says, as the mesh's errors. Its API and Compose tell most faults only in their text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from automarket.errors import DiskFull, GpuMissing, ImageUnknown, PortTaken, ServiceStartFailed
from automarket.secrets import scrub

if TYPE_CHECKING:
    from automarket.errors import AutoMarketError
    from services.runtime.settings import BackendSettings

_LONGEST = 400
_PORT = re.compile(r"port is already allocated|address already in use|ports are not available", re.IGNORECASE)
_PORT_NUMBER = re.compile(r"\d\.\d:(\d{1,5})\b")
_GPU = re.compile(
    r"could not select device driver|nvidia-container-cli|CDI device|unknown or invalid runtime name: nvidia"
    r"|failed to discover GPU|no such device: nvidia",
    re.IGNORECASE,
)
_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_IMAGE = re.compile(
    r"manifest (for .* not found|unknown)|pull access denied|repository (name not known|does not exist|.* not found)"
    r"|no such image|not found: manifest|requested access to the resource is denied|name unknown"
    r"|invalid reference format|no matching manifest",
    re.IGNORECASE,
)
_REGISTRY = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|TLS handshake|Client\.Timeout|context deadline exceeded"
    r"|EOF|connection reset|server gave HTTP response|certificate|network is unreachable|toomanyrequests"
    r"|received unexpected HTTP status|proxyconnect",
    re.IGNORECASE,
)
_MEMORY = re.compile(r"minimum memory limit|invalid (size|memory)|memory.*(invalid|format|units)", re.IGNORECASE)


def explain_start(text: str, name: str, settings: BackendSettings) -> AutoMarketError:
    """Say why a backend's container could not be made or started."""
    if _PORT.search(text):
        found = _PORT_NUMBER.search(text)
        port = f"port {found[1]}" if found else "its port"
        hint = f"stop the program that listens there, or set {settings.variable('port')} to a free port"
        return PortTaken(f"backend {name} cannot start: {port} of this machine is taken", hint=hint)
    if _GPU.search(text):
        hint = f"install nvidia-container-toolkit and restart Docker, or set {settings.variable('gpu')}=false"
        return GpuMissing(f"backend {name} is to use a GPU, and Docker has none to give", hint=hint)
    if _SPACE.search(text):
        return _disk_full(name)
    if _IMAGE.search(text):
        return _image_unknown(text, name, settings)
    hint = f"set {settings.variable('memory')} to a size such as 4g" if _MEMORY.search(text) else None
    return ServiceStartFailed(f"backend {name} could not be started: {_sentence(text)}", hint=hint)


def explain_pull(text: str, image: str, name: str, settings: BackendSettings) -> AutoMarketError:
    """Say why an image could not be pulled."""
    if _SPACE.search(text):
        return _disk_full(name)
    if _IMAGE.search(text):
        return _image_unknown(f"{image}: {text}", name, settings)
    hint = (
        f"check the network, or bring the image here by `docker load`, or set {settings.variable('image')}"
        if _REGISTRY.search(text)
        else None
    )
    message = f"image {image} of backend {name} could not be pulled: {_sentence(text)}"
    return ServiceStartFailed(message, hint=hint, metadata={"phase": "pulling"})


def _disk_full(name: str) -> DiskFull:
    return DiskFull(f"backend {name} cannot start: Docker's disk is full", hint="docker system df; docker system prune")


def _image_unknown(text: str, name: str, settings: BackendSettings) -> ImageUnknown:
    hint = f"check {settings.variable('image')}; a private image needs `docker login` first"
    return ImageUnknown(f"backend {name} has no image: {_sentence(text)}", hint=hint)


def _sentence(text: str) -> str:
    """Give the last line that says something, without the noise around it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["Docker did not say why"]
    errors = [line for line in lines if "error" in line.lower()]
    line = (errors or lines)[-1]
    line = re.sub(r"^(ERROR: )?(for \S+\s+)?(Cannot start service \S+: )?(Error response from daemon: )?", "", line)
    return scrub(line)[:_LONGEST].rstrip(".")
