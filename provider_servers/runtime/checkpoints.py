"""Checkpoints of one call: the author waits until its caller has stored what it needs to come back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from automarket.errors import CheckpointUnconfirmed, CheckpointUnknown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from automarket.v1 import transform_pb2


class Checkpoints:
    """What is given to the caller and what it has confirmed; one at a time.

    Args:
        keeps: the caller confirms each checkpoint; otherwise nothing is waited for.
    """

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._sequence = 0  # of the event that waits to be confirmed
        self._stored: asyncio.Future[None] | None = None
        self._has_ended = False

    async def give(
        self, message: transform_pb2.Checkpoint, emit: Callable[[transform_pb2.Checkpoint], Awaitable[None]]
    ) -> None:
        """Give a checkpoint to the caller, and wait until it is stored.

        Raises:
            CheckpointUnconfirmed: the caller says no more, so it never will be.
        """
        if not self._keeps:
            await emit(message)
            return
        self._stored = asyncio.get_running_loop().create_future()
        if self._has_ended:
            self.end()
        else:
            await emit(message)
        await self._stored

    def sent(self, sequence: int) -> None:
        """Note the number that the checkpoint got on its way out."""
        self._sequence = sequence

    def confirm(self, sequence: int) -> None:
        """Take the caller's word that it has stored a checkpoint.

        Raises:
            CheckpointUnknown: none with that number waits.
        """
        waits = self._stored is not None and not self._stored.done() and self._sequence
        if not waits or sequence != self._sequence:
            expected = f"expected {self._sequence}" if waits else "no checkpoint waits"
            message = f"event {sequence} is no checkpoint that waits to be confirmed"
            hint = "confirm each checkpoint once" if self._keeps else "only callers with on_loss KEEP confirm them"
            raise CheckpointUnknown(message, hint=hint, fields={"checkpoint_stored.sequence": expected})
        self._sequence = 0
        if self._stored is not None:
            self._stored.set_result(None)

    def end(self) -> None:
        """Take note that the caller says no more."""
        self._has_ended = True
        if self._stored is not None and not self._stored.done():
            self._stored.set_exception(
                CheckpointUnconfirmed(
                    "the request stream ended before the caller had confirmed a checkpoint",
                    hint="keep it open and answer each checkpoint with checkpoint_stored, or call without on_loss KEEP",
                )
            )
