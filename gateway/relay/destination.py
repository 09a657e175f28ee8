"""Where a call goes: to an instance of a provider, to control, or to the asset store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from automarket.errors import AutoMarketError, MethodUnknown, ProviderLost, StoreUnavailable, UnavailableError
from gateway.relay.headers import literal

if TYPE_CHECKING:
    from gateway.relay.choice import Route
    from gateway.relay.table import Table

MODELS: Final = "/automarket.v1.ModelService/"
HEALTH: Final = "/grpc.health.v1.Health/"
_ASSETS: Final = "/automarket.v1.AssetService/"
_CONTROL: Final = (
    "/automarket.v1.DiscoveryService/",
    "/automarket.v1.JobService/",
    "/automarket.v1.MediaProviderService/",
    "/automarket.v1.UsageService/",
    "/grpc.reflection.",
    MODELS,  # calls that are followed as jobs; no others come here
)
FOLLOW: Final = "automarket-follow"
FOLLOW_AS_JOB: Final = "job"
_FOLLOWED: Final = (f"{MODELS}Transform", f"{MODELS}Generate")
_LONGEST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Destination:
    """An address, and the route when it is a provider's."""

    address: str
    name: str
    route: Route | None = None

    def fields(self) -> bytes:
        """Give the header fields that tell the server behind what was chosen."""
        if self.route is None:
            return b""
        return literal(b"automarket-resolved-model", self.route.model_id.encode()) + literal(
            b"automarket-resolved-provider", self.route.provider_id.encode()
        )

    def lost(self, *, begun: bool) -> AutoMarketError:
        """Say that the server behind was lost during the call."""
        if self.route is None:
            return self.unreachable()
        phase = "running" if begun else "before the first event"
        return ProviderLost(
            f"provider {self.route.provider_id} was lost during the call ({phase})",
            hint="try again; the mesh starts it anew or chooses another one",
            retry_after=1.0,
            metadata={
                "provider": self.route.provider_id,
                "model": self.route.model_id,
                "instance": self.route.instance_id,
                "phase": phase,
            },
        )

    def unreachable(self) -> AutoMarketError:
        """Say that nobody answers."""
        cls = StoreUnavailable if self.name == "asset store" else UnavailableError
        return cls(f"the {self.name} is not there now", hint="try again", retry_after=1.0)


def is_followed(path: str, metadata: list[tuple[str, str]]) -> bool:
    """Tell whether a call is to be a job, which control runs."""
    return path in _FOLLOWED and (FOLLOW, FOLLOW_AS_JOB) in metadata


def fixed(table: Table, path: str) -> Destination:
    """Give the destination of a method that is not a provider's.

    Raises:
        MethodUnknown: there is no such method here.
        UnavailableError, StoreUnavailable: who serves it is not known yet.
    """
    if path.startswith(_ASSETS):
        found = Destination(table.asset_store, "asset store")
    elif path.startswith(_CONTROL):
        found = Destination(table.control, "control")
    else:
        raise MethodUnknown(
            f"this mesh has no method {path[:_LONGEST_SHOWN]}", hint="the methods are those of automarket.v1"
        )
    if not found.address:
        raise found.unreachable()
    return found
