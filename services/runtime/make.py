"""Which service a backend's settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.runtime.compose_service import DockerComposeService
from services.runtime.external import ExternalService

if TYPE_CHECKING:
    from services.runtime.service import IsReady, Service
    from services.runtime.settings import BackendSettings, BackendSpec


def make_service(spec: BackendSpec, settings: BackendSettings, *, is_ready: IsReady) -> Service:
    """Give the service of a backend: what runs at `base_url` when that is set, else a container of our own."""
    if settings.base_url:
        seconds = settings.start_seconds or spec.start_seconds
        return ExternalService(spec.name, settings.base_url, is_ready=is_ready, start_seconds=seconds)
    return DockerComposeService(spec, settings, is_ready=is_ready)
