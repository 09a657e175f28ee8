"""Submitting work exactly once, and finding out what became of a submit whose answer was lost."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, OutcomeUnknown, RateLimited
from provider_servers.runtime.remote.vendor_api import Unanswered

if TYPE_CHECKING:
    from provider_servers.runtime.call import Call
    from provider_servers.runtime.remote.desk import Desk
    from provider_servers.runtime.remote.job import RemoteJob, Ticket
    from provider_servers.runtime.remote.states import State


class Submitter:
    """Submits the work of one call."""

    def __init__(self, call: Call, job: RemoteJob, desk: Desk) -> None:
        self._call = call
        self._job = job
        self._desk = desk
        self._waits = desk.waits

    def begin(self, state: State) -> asyncio.Task[Ticket]:
        """Begin to submit, or give the submit that an equal call has made.

        Raises:
            RequestIdReused: a call of that id asked for something else.
        """
        return self._desk.submit(self._call.request_id, self._mark(state), lambda: self._submit(state))

    def _mark(self, state: State) -> str:
        """Give what tells whether another call asks for the same."""
        asked = [self._call.model.id, self._call.options, dict(state.remembered)]
        return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()

    async def _submit(self, state: State) -> Ticket:
        """Submit the work exactly once: again only where the vendor did not take it."""
        for attempt in range(1, self._waits.submits + 1):
            is_last = attempt == self._waits.submits
            try:
                return await self._job.submit()
            except Unanswered as lost:
                if lost.reached:
                    return await self._find(state, lost.error)
                if is_last:
                    raise lost.error from None
                wait = self._waits.before_retry(attempt)
            except RateLimited as error:
                if is_last or (error.retry_after or 0) > self._waits.longest_retry:
                    raise
                wait = self._waits.before_retry(attempt, error.retry_after)
            await asyncio.sleep(wait)
        raise AssertionError  # the last attempt returns or raises

    async def _find(self, state: State, fault: AutoMarketError | None = None) -> Ticket:
        """Look up a submit whose answer was lost.

        Raises:
            OutcomeUnknown: nobody can tell what became of it.
        """
        for pause, _ in zip(self._waits.pauses(), range(self._waits.submits), strict=False):
            try:
                if found := await self._job.lookup(state):
                    return found
            except (Unanswered, AutoMarketError) as error:
                fault = fault or (error.error if isinstance(error, Unanswered) else error)
            await asyncio.sleep(pause)
        name, model = self._desk.name, self._call.model.id
        why = f": {fault.message}" if fault is not None else ""
        raise OutcomeUnknown(
            f"the request may have reached {name} or not, and {name} cannot tell{why}",
            hint=f"look at {name}'s own list of requests before you run it again: it may have been paid for",
            metadata={"model": model, "phase": "submitting"},
        )

    async def recalled(self, state: State) -> Ticket:
        """Give the ticket of a submit that nobody heard of: this process may have made it itself, or still be at it."""
        known = self._desk.submitted(self._call.request_id)
        if known is None:
            return await self._find(state)
        return await asyncio.shield(known)
