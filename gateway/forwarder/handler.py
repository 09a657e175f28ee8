"""The public methods: which of them exist, and where each goes."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import DecodeError

from automarket.errors import InvalidRequestError, TargetMissing, UnavailableError
from automarket.v1 import model_service_pb2
from gateway.forwarder.forward import Destination, Forwarder
from gateway.relay.choice import choose
from gateway.relay.metadata import target_from_metadata
from gateway.targets import target_from_proto

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from automarket.rpc.requests import RequestReader
    from gateway.forwarder.upstreams import Upstreams
    from gateway.relay.feed import RoutingFeed
    from gateway.relay.target import Target

MODELS = "/automarket.v1.ModelService/"
ASSETS = "/automarket.v1.AssetService/"
CONTROL = (
    "/automarket.v1.DiscoveryService/",
    "/automarket.v1.MediaProviderService/",
    "/grpc.reflection.",
)


class ForwardingHandler(grpc.GenericRpcHandler):
    """Takes every call to a public service, of whatever kind, as a stream of serialised messages."""

    def __init__(self, feed: RoutingFeed, upstreams: Upstreams) -> None:
        self._feed = feed
        self._upstreams = upstreams
        self._forwarder = Forwarder(upstreams)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Give the handler of a method, or None for one that is not public."""
        method = handler_call_details.method
        if not method.startswith((MODELS, ASSETS, *CONTROL)):
            return None

        def handle(requests: RequestReader[bytes], context: Any) -> AsyncGenerator[bytes]:
            if method.startswith(MODELS):
                return self._to_provider(method, requests, context)
            return self._forwarder.forward(method, requests, context, lambda _: self._fixed(method))

        return cast("Any", grpc).stream_stream_rpc_method_handler(handle)

    def _fixed(self, method: str) -> Destination:
        table = self._feed.table
        if method.startswith(ASSETS):
            return Destination(self._found(table.asset_store, "asset store"), "asset store")
        return Destination(self._found(table.control, "control"), "control")

    def _found(self, address: str, name: str) -> str:
        if not address:
            raise Destination("", name).unreachable()
        return address

    async def _to_provider(self, method: str, requests: RequestReader[bytes], context: Any) -> AsyncGenerator[bytes]:
        first: bytes | None = None
        target = target_from_metadata(context.invocation_metadata() or ())
        if target is None:
            first = await anext(requests, None)
            target = _target_in(first)

        def decide(tried: frozenset[str]) -> Destination:
            if not self._feed.table.control:
                raise UnavailableError("the gateway has just started", hint="try again", retry_after=0.5)
            route = choose(self._feed.table, target, self._upstreams.balance, tried)
            return Destination(route.address, f"provider {route.provider_id}", route)

        async with aclosing(self._forwarder.forward(method, requests, context, decide, first)) as messages:
            async for message in messages:
                yield message


def _target_in(first: bytes | None) -> Target:
    """Read the target, which is field 1 of every first message whatever its type."""
    if first is None:
        raise TargetMissing("the call carried no message", hint="send the header first")
    try:
        return target_from_proto(model_service_pb2.GetModelRequest.FromString(first).target)
    except DecodeError:
        raise InvalidRequestError("the first message is not a message of this method") from None
