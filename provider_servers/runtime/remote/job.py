"""What an author says of one piece of work at a vendor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from automarket.media.info import MediaInfo
    from provider_servers.runtime.events import Generated, Spoken, Usage
    from provider_servers.runtime.remote.states import State

Ticket: TypeAlias = "dict[str, Any]"
"""What finds the work again: the vendor's id, its URLs. JSON, at most 32 KiB."""


class Phase(Enum):
    """Where the work is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"  # well or not: `result` tells


class Cancel(Enum):
    """What a vendor answers to a cancel."""

    TAKEN = auto()  # it is cancelled
    REQUESTED = auto()  # it is asked to stop: its end tells
    TOO_LATE = auto()  # it is done: the result counts
    UNKNOWN = auto()  # the vendor does not know the work
    NONE = auto()  # the vendor has no cancel


@dataclass(frozen=True, slots=True)
class Status:
    """Where the work is, as the vendor last said it.

    Attributes:
        phase: where it is.
        queue_position: how many are before it; None when nobody says.
        fraction: 0 to 1, None when unknown.
        message: for people.
        log_lines: all lines so far, where `logs_are_whole`; otherwise those since the last status.
        logs_are_whole: the vendor repeats its lines with every status.
        spoken: text that was made since the last status: it is given at once.
    """

    phase: Phase
    queue_position: int | None = None
    fraction: float | None = None
    message: str = ""
    log_lines: tuple[str, ...] = ()
    logs_are_whole: bool = True
    spoken: tuple[Spoken, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """One output of the vendor.

    Attributes:
        output: the name of the model's output that it is.
        url: where it is: http, https or a data URI.
        media_type: as the vendor says; empty lets the answer say it.
        generated: what is known of it.
        headers: what the download needs, e.g. a key; never sent to another host.
    """

    output: str
    url: str = field(repr=False)
    media_type: str = ""
    generated: Generated | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Result:
    """What the work came to: media to download, or text as events; and whatever the author wants to remember of it.

    `spoken` leaves out what states have said already.
    """

    made: tuple[Made, ...] = ()
    spoken: tuple[Spoken, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])


class RemoteJob(ABC):
    """One call at a vendor. It is made anew for a call that goes on; then `prepare` and `submit` are not called."""

    @abstractmethod
    async def prepare(self) -> None:
        """Make the vendor's input: read options and inputs, upload what has to be. Spends nothing.

        Raises:
            AutoMarketError: the request is not one that the vendor takes.
        """

    @abstractmethod
    async def submit(self) -> Ticket:
        """Submit the work, once, and give what finds it again.

        Raises:
            Unanswered: there is no answer, or none that tells whether it was taken.
            AutoMarketError: the vendor did not take it.
        """

    @abstractmethod
    async def status(self, ticket: Ticket) -> Status:
        """Ask where the work is."""

    def watch(self, ticket: Ticket) -> AsyncGenerator[Status] | None:  # noqa: ARG002 - most vendors have none
        """Give the states as the vendor streams them; None where it has no stream. Polls go on where it breaks off."""
        return None

    @abstractmethod
    async def result(self, ticket: Ticket) -> Result | None:
        """Fetch the result of work that is done; None where the vendor says that it is not.

        Raises:
            Unanswered, RateLimited, VendorOverloaded: nobody can tell now; it is asked for again.
            JobCancelled: the vendor says that it was cancelled.
            AutoMarketError: the work failed.
        """

    async def cancel(self, ticket: Ticket) -> Cancel:  # noqa: ARG002 - the default has none
        """Cancel the work at the vendor."""
        return Cancel.NONE

    async def lookup(self, state: State) -> Ticket | None:  # noqa: ARG002 - most vendors have none
        """Find a submit whose answer was lost, by when it was made and what was sent; None where nobody can tell.

        Give a ticket only where it is certain: what is taken for ours is cancelled, or its result given.
        """
        return None

    def remembered(self) -> Mapping[str, Any]:
        """Give what a checkpoint has to remember of the submit, for `lookup`: JSON, at most 16 KiB."""
        return {}

    def usage(self, result: Result, outputs: Sequence[MediaInfo]) -> Sequence[Usage]:  # noqa: ARG002
        """Say what was used, and what it cost where that is known; `outputs` are the facts of what was made."""
        return ()
