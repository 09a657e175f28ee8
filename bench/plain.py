"""A plain forwarder on grpc.aio, kept to compare with: what anybody would write who forwards serialised messages.

It knows one upstream, and no routing, limits, failover or metrics. Run as a process:
python -m bench.plain --listen unix:/p --upstream unix:/q
"""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING, Any, cast

import grpc
import grpc.aio
import uvloop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

EOF = cast("Any", grpc.aio).EOF
OPTIONS = [("grpc.max_receive_message_length", -1)]


class Handler(grpc.GenericRpcHandler):
    """Takes every method as a stream of serialised messages each way."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Give what forwards a call of this method."""
        begin = self._channel.stream_stream(handler_call_details.method)

        async def forward(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
            call = begin(metadata=context.invocation_metadata(), timeout=context.time_remaining())
            sending = asyncio.create_task(_send(requests, call))
            try:
                await context.send_initial_metadata(await call.initial_metadata())
                while (message := await call.read()) is not EOF:
                    yield message
                context.set_trailing_metadata(await call.trailing_metadata())
                if (code := await call.code()) != grpc.StatusCode.OK:
                    await context.abort(code, await call.details())
            finally:
                sending.cancel()
                call.cancel()

        return cast("Any", grpc).stream_stream_rpc_method_handler(forward)


async def _send(requests: AsyncIterator[bytes], call: Any) -> None:
    async for message in requests:
        await call.write(message)
    await call.done_writing()


async def serve(listen: str, upstream: str) -> None:
    """Serve until the process is ended."""
    async with grpc.aio.insecure_channel(upstream, options=OPTIONS) as channel:
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers((Handler(channel),))
        server.add_insecure_port(listen)
        await server.start()
        await server.wait_for_termination()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.listen, arguments.upstream))


if __name__ == "__main__":
    main()
