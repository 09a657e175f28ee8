"""Forwarding one call: serialised messages both ways, one at a time, with headers, trailers, deadline and cancel.

Where a call goes is decided by `destination`; nothing here knows what the messages mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
from opentelemetry import trace

from automarket.errors import AutoMarketError, Code, DeadlineExceeded, ProviderLost, StoreUnavailable, UnavailableError
from automarket.rpc.status import details_of
from automarket.rpc.streams import EOF, write
from automarket.rpc.telemetry import inject
from gateway.forwarder.upstreams import Upstreams, stream_call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from automarket.rpc.requests import RequestReader
    from gateway.relay.choice import Route

log = logging.getLogger("automarket.gateway")

# Metadata that belongs to one hop, or that a provider has no business with.
_DROPPED = frozenset({"user-agent", "content-type", "te", "traceparent", "tracestate", "authorization"})
# Prefixes of the same, and of what only the gateway itself may say.
_DROPPED_PREFIXES = (":", "grpc-", "automarket-resolved-", "automarket-identity")
_STATUS_DETAILS = "grpc-status-details-bin"
# What grpc-core reports of a peer that died or froze; a status that a peer of ours sent itself has details.
_LOST = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
# At a deadline either end may be the first to say so, the one behind as CANCELLED.
LATE = "the deadline passed before the work was done"
# The same by its words, where a peer in another language may mean something else by the code.
_LOST_WORDS = ("internal error from core", "stream removed", "rst_stream", "connection reset", "socket closed")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call goes: an address, and the route when it is a provider's."""

    address: str
    name: str
    route: Route | None = None

    def metadata(self) -> list[tuple[str, str]]:
        """Say in call metadata what was chosen."""
        if self.route is None:
            return []
        return [
            ("automarket-resolved-model", self.route.model_id),
            ("automarket-resolved-provider", self.route.provider_id),
        ]

    def lost(self, *, begun: bool) -> AutoMarketError:
        """Say that the server behind was lost during the call."""
        phase = "running" if begun else "before the first event"
        if self.route is not None:
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
        return self.unreachable()

    def unreachable(self) -> AutoMarketError:
        """Say that nobody answers."""
        cls = StoreUnavailable if self.name == "asset store" else UnavailableError
        return cls(f"the {self.name} is not there now", hint="try again", retry_after=1.0)


class Forwarder:
    """Forwards calls over shared connections."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    async def forward(
        self,
        method: str,
        requests: RequestReader[bytes],
        context: Any,
        choose: Callable[[frozenset[str]], Destination],
        first: bytes | None = None,
    ) -> AsyncGenerator[bytes]:
        """Forward one call.

        Args:
            method: full name of the method.
            requests: the client's messages.
            context: the server's context of the call.
            choose: gives where to go, without the instances that were tried already.
            first: a message that was read already.

        Raises:
            AutoMarketError: nobody can be reached, or the server behind was lost.
        """
        destination, channel = await self._connect(choose)
        instance = destination.route.instance_id if destination.route else destination.name
        left = context.time_remaining()
        # gRPC rounds a time-out up by at most 1 % when it sends it: what the provider sees is never longer than ours.
        timeout = None if left is None else left * 0.98
        deadline = None if timeout is None else time.monotonic() + timeout
        metadata = [*_passed(context.invocation_metadata()), *destination.metadata()]
        call = stream_call(channel, method, inject(cast("Any", metadata)), timeout)
        self._upstreams.count(instance, 1)
        sending = asyncio.create_task(_send(call, requests, first))
        trace.get_current_span().set_attributes({key.replace("-", "."): value for key, value in destination.metadata()})
        begun = False
        try:
            await context.send_initial_metadata(_passed(await call.initial_metadata()))
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                while (message := await call.read()) is not EOF:
                    begun = True
                    yield message
            late = deadline is not None and time.monotonic() > deadline - 0.05
            broken = DeadlineExceeded(LATE) if late else destination.lost(begun=begun)
            await self._finish(call, requests, context, broken)
        finally:
            self._upstreams.count(instance, -1)
            call.cancel()
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sending

    async def _connect(self, choose: Callable[[frozenset[str]], Destination]) -> tuple[Destination, grpc.aio.Channel]:
        """Go to the first choice that answers; one that does not has had nothing sent to it."""
        tried: set[str] = set()
        last: Destination | None = None
        while True:
            try:
                destination = choose(frozenset(tried))
            except AutoMarketError:
                if last is None:
                    raise
                raise last.lost(begun=False) from None
            channel = await self._upstreams.connect(destination.address)
            if channel is not None:
                return destination, channel
            if destination.route is None:
                raise destination.unreachable()
            log.warning("nobody answers", extra={"provider": destination.route.provider_id})
            tried.add(destination.route.instance_id)
            last = destination

    async def _finish(self, call: Any, requests: RequestReader[bytes], context: Any, broken: AutoMarketError) -> None:
        """End the call as the server behind did, or as `broken` when that server said nothing."""
        code: grpc.StatusCode = await call.code()
        trailers = await call.trailing_metadata()
        text = await call.details() or Code(code.value[0]).name
        if details_of(trailers) is None and _is_broken(code, text):
            raise broken
        context.set_trailing_metadata(_passed(trailers))
        await requests.drain()
        if code != grpc.StatusCode.OK:
            await context.abort(code, text)


def _is_broken(code: grpc.StatusCode, text: str) -> bool:
    return code in _LOST or (code != grpc.StatusCode.OK and any(word in text.lower() for word in _LOST_WORDS))


async def _send(call: Any, requests: RequestReader[bytes], first: bytes | None) -> None:
    """Pass the client's messages on; one is written before the next is read."""
    with contextlib.suppress(grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
        if first is not None:
            await write(call, first)
        async for message in requests:
            await write(call, message)
        await call.done_writing()


def _passed(metadata: Any) -> tuple[tuple[str, str | bytes], ...]:
    """Give the metadata that crosses the gateway; status details do, although their key begins with "grpc-"."""
    pairs: list[tuple[str, str | bytes]] = [(key, value) for key, value in metadata or ()]
    return tuple(pair for pair in pairs if pair[0] == _STATUS_DETAILS or not _is_dropped(pair[0]))


def _is_dropped(key: str) -> bool:
    return key in _DROPPED or key.startswith(_DROPPED_PREFIXES)
