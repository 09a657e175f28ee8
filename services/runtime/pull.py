"""Pulling an image, with the bytes of all its layers."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.errors import ServiceStartFailed
from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.engine import part
from services.runtime.explain import explain_pull

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from services.runtime.engine import Engine
    from services.runtime.settings import BackendSettings

_DOWNLOAD_SHARE = 0.8  # of the work; the rest is unpacking
_EVERY_SECONDS = 0.25
_HERE = ("Already exists", "Pull complete")
_LOADED = ("Verifying Checksum", "Download complete", "Extracting")
_MB, _GB = 1e6, 1e9


@dataclass(slots=True)
class Layer:
    """One layer: bytes on the wire, and how many of them are here and unpacked."""

    total: int = 0
    loaded: int = 0
    unpacked: int = 0
    here: bool = False


class Tally:
    """Adds up the layers of an image from the engine's messages. What it shows never falls."""

    def __init__(self) -> None:
        self._layers: dict[str, Layer] = {}
        self._best = 0.0

    def hear(self, message: Mapping[str, Any]) -> bool:
        """Take a message; tell whether it is about progress."""
        status, name = str(message.get("status", "")), str(message.get("id", ""))
        if not name or status.startswith("Pulling from"):
            return False
        layer = self._layers.setdefault(name, Layer())
        before = (layer.total, layer.loaded, layer.unpacked, layer.here)
        detail = part(message, "progressDetail")
        layer.total = max(layer.total, int(detail.get("total") or 0))
        if status == "Downloading":
            layer.loaded = max(layer.loaded, int(detail.get("current") or 0))
        elif status in _LOADED:
            layer.loaded = layer.total
            if status == "Extracting":
                layer.unpacked = max(layer.unpacked, min(layer.total, int(detail.get("current") or 0)))
        elif status in _HERE:
            layer.here, layer.loaded, layer.unpacked = True, layer.total, layer.total
        return before != (layer.total, layer.loaded, layer.unpacked, layer.here)

    @property
    def loaded(self) -> int:
        """Bytes that are here."""
        return sum(layer.loaded for layer in self._layers.values())

    @property
    def total(self) -> int:
        """Bytes of all layers whose size the engine has told so far."""
        return sum(layer.total for layer in self._layers.values())

    @property
    def fraction(self) -> float:
        """How far the pull is, 0 to 1. Layers whose size is not known yet count as the mean of the others."""
        known = [layer for layer in self._layers.values() if layer.total or layer.here]
        if known and self.total:
            done = sum(_DOWNLOAD_SHARE * one.loaded + (1 - _DOWNLOAD_SHARE) * one.unpacked for one in known)
            self._best = max(self._best, done / self.total * len(known) / len(self._layers))
        return min(self._best, 1.0)

    def status(self, image: str) -> ServiceStatus:
        """Say how far the pull is."""
        fraction = self.fraction
        message = f"pulling image {image}"
        if self.total:
            unit, size = ("GB", _GB) if self.total >= _GB else ("MB", _MB)
            sized = all(layer.total or layer.here for layer in self._layers.values())
            of = "of" if sized else "of at least"
            message += f" {fraction:.0%}, {self.loaded / size:.1f} {of} {self.total / size:.1f} {unit}"
        return ServiceStatus(
            ServiceState.PULLING, running=False, healthy=False, fraction=fraction, message=message.replace("%", " %")
        )


async def pull(
    engine: Engine, image: str, *, name: str, settings: BackendSettings, silence: float
) -> AsyncGenerator[ServiceStatus]:
    """Pull an image for backend `name` and say how far it is, a few times a second. Closing it ends the pull.

    Raises:
        ImageUnknown: the registry has no such image, or gives it to nobody who is not logged in.
        ServiceStartFailed: the registry is not reached, the engine broke off, or nothing came for `silence` seconds.
        DiskFull: there is no room for it.
    """
    tally, clock = Tally(), asyncio.get_running_loop()
    yield tally.status(image)
    told, progress = 0.0, clock.time()
    async with aclosing(engine.pull(image)) as messages:
        while True:
            try:
                async with asyncio.timeout_at(progress + silence):
                    message = await anext(messages)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                raise _silent(image, name, silence) from error
            if "error" in message:
                raise explain_pull(str(message["error"]), image, name, settings)
            if tally.hear(message):
                progress = clock.time()
            if clock.time() - told >= _EVERY_SECONDS:
                told = clock.time()
                yield tally.status(image)
    if not await engine.image_id(image):
        raise ServiceStartFailed(f"image {image} of backend {name} is not here after its pull", hint="try again")


def _silent(image: str, name: str, silence: float) -> ServiceStartFailed:
    message = f"image {image} of backend {name} could not be pulled: nothing came for {silence:.0f} s"
    return ServiceStartFailed(message, hint="check the network", metadata={"phase": "pulling"})
