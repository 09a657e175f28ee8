"""Settings of a relay worker, from the command line or from AUTOMARKET_GATEWAY_* variables."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.relay.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = "AUTOMARKET_GATEWAY_"
_TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How a worker runs.

    Attributes:
        listen: the public address, host:port or unix:/path.
        routes: where control pushes the routing table, unix:/path.
        insecure: a public address beyond this machine is allowed.
        reuse_port: other workers listen at the same port.
        drain_seconds: time for calls under way when the worker is told to stop.
        limits: what a client may cost.
    """

    routes: str
    listen: str = "127.0.0.1:50051"
    insecure: bool = False
    reuse_port: bool = False
    drain_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)


def read_settings(arguments: Sequence[str] | None = None) -> RelaySettings:
    """Read the command line; what is not there comes from the environment."""
    parser = argparse.ArgumentParser(prog="gateway", description="Relay calls to where the routing table says.")
    parser.add_argument("--listen", **_from_environment("LISTEN", "127.0.0.1:50051"), help="host:port or unix:/path")
    parser.add_argument("--routes", **_from_environment("ROUTES"), help="where control pushes the table: unix:/path")
    parser.add_argument("--drain-seconds", type=float, **_from_environment("DRAIN_SECONDS", "30"))
    for name, text in (("insecure", "allow an address beyond this machine"), ("reuse-port", "share the port")):
        default = os.environ.get(_PREFIX + name.upper().replace("-", "_"), "").lower() in _TRUE
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=default, help=text)
    given = parser.parse_args(arguments)
    try:
        limits = Limits.from_environment()
    except ValueError as error:
        parser.error(str(error))
    return RelaySettings(
        routes=given.routes,
        listen=given.listen,
        insecure=given.insecure,
        reuse_port=given.reuse_port,
        drain_seconds=given.drain_seconds,
        limits=limits,
    )


def _from_environment(name: str, default: str | None = None) -> dict[str, Any]:
    value = os.environ.get(_PREFIX + name, default)
    return {"required": True} if value is None else {"default": value}
