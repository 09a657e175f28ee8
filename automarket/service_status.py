"""How the backend behind a provider is, as plain values; services, provider servers and clients share them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from automarket.secrets import scrub
from automarket.v1 import media_provider_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX = "SERVICE_STATE_"
_LONGEST_LINE = 2000
_MOST_CHARACTERS = 256 * 1024


class ServiceState(StrEnum):
    """How a backend is; the names are those of the contract's ServiceState."""

    UNKNOWN = "unknown"  # a newer mesh says what this program does not know
    ABSENT = "absent"
    PULLING = "pulling"
    CREATED = "created"
    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    BUSY = "busy"
    IDLE = "idle"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """How a backend is, in full.

    Attributes:
        state: its state.
        running: it runs.
        healthy: it runs and takes work.
        error: what is wrong, in a sentence; empty when nothing is.
        hint: what to do about it.
        fraction: how far the present state is, 0 to 1; None when unknown.
        message: for people: "pulling image 43 %".
        exit_code: of a backend that ended; None when unknown.
        out_of_memory: it ended because it needed more memory than it may have.
        log_lines: the last lines that it wrote, oldest first: 20 when it failed, else as many as were asked for.
        managed: the mesh started it, and may stop it.
        instances: each instance by itself, where the mesh was asked.
    """

    state: ServiceState = ServiceState.READY
    running: bool = True
    healthy: bool = True
    error: str = ""
    hint: str = ""
    fraction: float | None = None
    message: str = ""
    exit_code: int | None = None
    out_of_memory: bool = False
    log_lines: tuple[str, ...] = ()
    managed: bool = False
    instances: tuple[tuple[str, ServiceStatus], ...] = ()


_NUMBERS: dict[ServiceState, pb.ServiceState.ValueType] = {
    state: pb.ServiceState.Value(f"{_PREFIX}{'UNSPECIFIED' if state == ServiceState.UNKNOWN else state.name}")
    for state in ServiceState
}


def to_proto(status: ServiceStatus) -> pb.ServiceStatus:
    """Give a status as a message; lines are cut, and secrets that are known are hidden in them."""
    return pb.ServiceStatus(
        state=_NUMBERS[status.state],
        running=status.running,
        healthy=status.healthy,
        error=status.error,
        hint=status.hint,
        fraction=status.fraction,
        message=status.message,
        exit_code=status.exit_code,
        out_of_memory=status.out_of_memory,
        log_lines=_cut(status.log_lines),
        managed=status.managed,
    )


def _cut(lines: tuple[str, ...]) -> list[str]:
    """Cut lines so that the answers of several instances fit into one message: the oldest go first."""
    kept: list[str] = []
    room = _MOST_CHARACTERS
    for line in reversed(lines):
        short = scrub(line)[:_LONGEST_LINE]
        room -= len(short)
        if room < 0:
            break
        kept.append(short)
    return kept[::-1]


def from_proto(message: pb.ServiceStatus, instances: Iterable[pb.InstanceStatus] = ()) -> ServiceStatus:
    """Give a status from a message, with each instance by itself where they are given."""
    return ServiceStatus(
        state=_state(message.state),
        running=message.running,
        healthy=message.healthy,
        error=message.error,
        hint=message.hint,
        fraction=message.fraction if message.HasField("fraction") else None,
        message=message.message,
        exit_code=message.exit_code if message.HasField("exit_code") else None,
        out_of_memory=message.out_of_memory,
        log_lines=tuple(message.log_lines),
        managed=message.managed,
        instances=tuple((one.instance_id, from_proto(one.status)) for one in instances),
    )


def _state(number: pb.ServiceState.ValueType) -> ServiceState:
    name = pb.ServiceState.Name(number).removeprefix(_PREFIX).lower() if number in pb.ServiceState.values() else ""
    return ServiceState(name) if name in list(ServiceState) else ServiceState.UNKNOWN
