"""From what Docker says of a container to the states of a backend."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from automarket.errors import BackendFailed
from automarket.service_status import ServiceState, ServiceStatus
from services.runtime.engine import part

if TYPE_CHECKING:
    from services.runtime.engine import Attributes

BACKEND_LABEL = "automarket.backend"
STARTED_BY_LABEL = "automarket.started-by"
GROUP_LABEL = "automarket.exclusive-group"
SETTINGS_LABEL = "automarket.settings"
FAILED_LINES = 20
_LONGEST_OUTPUT = 200

_ASKED_TO_END = (0, 130, 143)  # by itself, or by SIGINT or SIGTERM
_KILLED = 137
_NO_SPACE = "No space left on device"
_REASONS = {
    125: "Docker could not run it",
    126: "its command cannot be executed",
    127: "its command does not exist",
    132: "it uses instructions that this processor has not got",
    134: "it aborted",
    139: "it crashed",
}


def labels(attributes: Attributes) -> dict[str, str]:
    """Give a container's labels."""
    return part(attributes, "Config", "Labels")


def health(attributes: Attributes) -> str:
    """Give what Docker's health check says: "healthy", "unhealthy", "starting", or "" when there is none."""
    return part(attributes, "State", "Health").get("Status") or ""


def health_output(attributes: Attributes) -> str:
    """Give the last line that the health check wrote the last time."""
    log: list[dict[str, Any]] = part(attributes, "State", "Health").get("Log") or []
    lines = str(log[-1].get("Output") or "").strip().splitlines() if log else []
    return lines[-1].strip()[:_LONGEST_OUTPUT] if lines else ""


def start_of(attributes: Attributes) -> tuple[str, str]:
    """Give what names one run of a container: its id, and when it was started."""
    return attributes["Id"], attributes["State"]["StartedAt"]


def is_running(attributes: Attributes | None) -> bool:
    """Tell whether it runs: paused and restarting containers do, too, in Docker's words."""
    return attributes is not None and bool(attributes["State"]["Running"])


def is_paused(attributes: Attributes) -> bool:
    """Tell whether it is paused."""
    return bool(attributes["State"]["Paused"])


def is_vanishing(attributes: Attributes) -> bool:
    """Tell whether it is being removed."""
    return attributes["State"]["Status"] in ("removing", "dead")


def lacks_network(attributes: Attributes) -> bool:
    """Tell whether it has lost its network."""
    if not is_running(attributes) or attributes["HostConfig"]["NetworkMode"] in ("host", "none"):
        return False
    return not attributes["NetworkSettings"]["Networks"]


def published_port(attributes: Attributes, port: int) -> int | None:
    """Give the port of this machine that leads to a port of the container."""
    found: list[dict[str, str]] = part(attributes, "NetworkSettings", "Ports").get(f"{port}/tcp") or []
    return int(found[0]["HostPort"]) if found else None


def status_of(attributes: Attributes | None, name: str, *, ready: bool, managed: bool, memory: str) -> ServiceStatus:
    """Say how a backend is, without its log lines.

    Args:
        attributes: what Docker says of its container; None when there is none.
        name: the backend.
        ready: it takes work.
        managed: this mesh started it.
        memory: the setting that gives it more memory, for hints.
    """
    if attributes is None:
        return _at_rest(ServiceState.ABSENT, f"{name} is not on this machine yet")
    if is_running(attributes):
        return replace(_running(attributes, name, ready=ready), managed=managed)
    state = attributes["State"]["Status"]
    if state == "created":
        return replace(_at_rest(ServiceState.CREATED, f"{name} is there and was not started"), managed=managed)
    if is_vanishing(attributes):
        return replace(_at_rest(ServiceState.STOPPING, f"{name} is being removed"), managed=managed)
    return replace(_ended(attributes, name, memory), managed=managed)


def _at_rest(state: ServiceState, message: str) -> ServiceStatus:
    return ServiceStatus(state, running=False, healthy=False, message=message)


def _running(attributes: Attributes, name: str, *, ready: bool) -> ServiceStatus:
    container = attributes["Name"].lstrip("/")
    if is_paused(attributes):
        error, hint = f"the container of backend {name} is paused", f"docker unpause {container}"
        return ServiceStatus(ServiceState.FAILED, healthy=False, error=error, hint=hint)
    if lacks_network(attributes):
        error, hint = f"the container of backend {name} has lost its network", f"docker restart {container}"
        return ServiceStatus(ServiceState.FAILED, healthy=False, error=error, hint=hint)
    if attributes["State"]["Status"] == "restarting":
        return ServiceStatus(ServiceState.STARTING, healthy=False, message=f"{name} is being restarted")
    if ready:
        return ServiceStatus(ServiceState.READY, message=f"{name} is ready")
    if health(attributes) == "unhealthy":
        error = f"backend {name} runs and does not answer: its health check says {health_output(attributes)!r}"
        return ServiceStatus(ServiceState.FAILED, healthy=False, error=error, hint=f"docker logs {container}")
    return ServiceStatus(ServiceState.LOADING, healthy=False, message=f"{name} is loading")


def _ended(attributes: Attributes, name: str, memory: str) -> ServiceStatus:
    state = attributes["State"]
    code, out_of_memory = int(state["ExitCode"]), bool(state["OOMKilled"])
    if out_of_memory:
        error = f"backend {name} ended: it needed more memory than it may have"
        hint = f"set {memory} to more than {_limit(attributes)}, or choose a smaller model"
        failed = _at_rest(ServiceState.FAILED, "")
        return replace(failed, error=error, hint=hint, exit_code=code, out_of_memory=True)
    if state.get("Error"):
        failed = _at_rest(ServiceState.FAILED, "")
        return replace(failed, error=f"backend {name} could not be started: {state['Error'][:300]}", exit_code=code)
    if code in _ASKED_TO_END:
        return replace(_at_rest(ServiceState.STOPPED, f"{name} is stopped"), exit_code=code)
    why = "it was killed" if code == _KILLED else _REASONS.get(code, "its log says why")
    hint = "the next call starts it again" if code == _KILLED else f"docker logs {attributes['Name'].lstrip('/')}"
    failed = _at_rest(ServiceState.FAILED, "")
    return replace(failed, error=f"backend {name} ended with exit code {code}: {why}", hint=hint, exit_code=code)


def _limit(attributes: Attributes) -> str:
    size = int(attributes["HostConfig"].get("Memory") or 0)
    return f"{size / 2**30:.1f}g" if size >= 2**30 else f"{size // 2**20}m"


def with_lines(status: ServiceStatus, lines: tuple[str, ...]) -> ServiceStatus:
    """Add the last lines that it wrote; where they tell of a full disk, the hint says what makes room."""
    if status.state == ServiceState.FAILED and any(_NO_SPACE in line for line in lines):
        return replace(status, log_lines=lines, hint="its disk is full: docker system df; docker system prune")
    return replace(status, log_lines=lines)


def failure(status: ServiceStatus, name: str) -> BackendFailed:
    """Give what has become of a backend that worked, as the error of the calls it had."""
    message = status.error or f"backend {name} was stopped during the call"
    metadata = {"backend": name, "phase": "running"}
    if status.exit_code is not None:
        metadata["exit_code"] = str(status.exit_code)
    if status.out_of_memory:
        metadata["out_of_memory"] = "true"
    return BackendFailed(message, hint=status.hint or None, metadata=metadata, log_lines=status.log_lines)
