"""What all backends in Docker share: starting, watching and stopping a container, for callers who share it."""

from services.runtime.compose_service import DockerComposeService
from services.runtime.external import ExternalService
from services.runtime.lease import Lease
from services.runtime.make import make_service
from services.runtime.on_demand import OnDemand
from services.runtime.service import IsReady, Service
from services.runtime.settings import BackendSettings, BackendSpec

__all__ = [
    "BackendSettings",
    "BackendSpec",
    "DockerComposeService",
    "ExternalService",
    "IsReady",
    "Lease",
    "OnDemand",
    "Service",
    "make_service",
]
