"""What a checkpoint of a remote call holds: how far it is, and what finds the work again."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from automarket.errors import ResumeInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provider_servers.runtime.remote.job import Ticket

_VERSION = 1


class Stage(StrEnum):
    """How far a call is."""

    SUBMITTING = "submitting"  # the submit is about to be made: it may have been, or not
    SUBMITTED = "submitted"


@dataclass(frozen=True, slots=True)
class State:
    """One checkpoint.

    Attributes:
        stage: how far the call is.
        model: of the model that it runs.
        at: when the submit was made, in seconds of the epoch.
        remembered: what the job wants to know of its submit.
        ticket: what finds the work; empty before it is known.
    """

    stage: Stage
    model: str
    at: float = field(default_factory=time.time)
    remembered: Mapping[str, Any] = field(default_factory=dict[str, Any])
    ticket: Ticket = field(default_factory=dict[str, Any])

    def write(self) -> bytes:
        """Give it as bytes."""
        value = {"v": _VERSION, "stage": self.stage, "model": self.model, "at": self.at}
        value |= {"remembered": dict(self.remembered), "ticket": self.ticket}
        return json.dumps(value, separators=(",", ":")).encode()


def read_state(data: bytes, model: str) -> State:
    """Read a checkpoint.

    Raises:
        ResumeInvalid: it is none, or none of this model.
    """
    try:
        value: Any = json.loads(data)
        given = cast("dict[str, Any]", value)
        is_ours = given["v"] == _VERSION and given["model"] == model
        state = State(
            Stage(given["stage"]), model, float(given["at"]), dict(given["remembered"]), dict(given["ticket"])
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        is_ours, state = False, None
    if not is_ours or state is None or (state.stage is Stage.SUBMITTED) != bool(state.ticket):
        raise ResumeInvalid(
            f"the state is no checkpoint of model {model}",
            hint="give the state of the last checkpoint of this call, as it came",
            fields={"header.resume.state": "not a checkpoint of this model"},
        )
    return state
