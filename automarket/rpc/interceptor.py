"""What happens around every call that a server of the mesh takes: errors become statuses, and the call is seen.

One interceptor for all four kinds of calls. It works inside the generators of streaming calls, since wrapping only the
call itself would see none of their errors.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
from opentelemetry.trace import SpanKind

from automarket.errors import AutoMarketError, CallCancelled, Code, DeadlineExceeded
from automarket.rpc import metrics, telemetry
from automarket.rpc.requests import RequestReader
from automarket.rpc.status import DETAILS_KEY, from_rpc_error, to_status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

log = logging.getLogger("automarket.rpc")

_QUIET = ("/grpc.health.", "/grpc.reflection.")


class _Outcome:
    """How a call went, for logs and metrics."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.code = Code.OK
        self.reason = ""
        self.begin = time.monotonic()
        metrics.active_calls.add(1, {"method": method})

    def failed(self, code: Code, reason: str) -> None:
        self.code, self.reason = code, reason

    def close(self) -> None:
        seconds = time.monotonic() - self.begin
        attributes = {"method": self.method, "code": self.code.name}
        metrics.active_calls.add(-1, {"method": self.method})
        metrics.calls.add(1, attributes)
        metrics.call_duration.record(seconds, attributes)
        if not self.method.startswith(_QUIET):
            extra: dict[str, Any] = {"method": self.method, "code": self.code.name, "ms": round(seconds * 1000, 1)}
            log.info("call", extra=extra | ({"reason": self.reason} if self.reason else {}))


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Maps errors, continues the caller's trace, counts and logs calls."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a call."""
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        telemetry.adopt(handler_call_details.invocation_metadata or ())
        make = _HANDLERS[handler.request_streaming, handler.response_streaming]
        wrap = _streaming if handler.response_streaming else _single
        return make(
            wrap(handler, method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


_HANDLERS: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _behavior(handler: Any) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def _single(handler: Any, method: str) -> Any:
    async def call(request: Any, context: Any) -> Any:
        reader = RequestReader[Any](context) if handler.request_streaming else None
        outcome = _Outcome(method)
        try:
            with telemetry.span(method.lstrip("/"), SpanKind.SERVER):
                return await _behavior(handler)(reader or request, context)
        except BaseException as error:
            await _end(error, outcome, reader, context)
            raise
        finally:
            outcome.close()

    return call


def _streaming(handler: Any, method: str) -> Any:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        reader = RequestReader[Any](context) if handler.request_streaming else None
        outcome = _Outcome(method)
        # Not the current span: a generator may be closed from another context, where it could not be taken back.
        with telemetry.detached_span(method.lstrip("/"), SpanKind.SERVER) as mark:
            try:
                async with aclosing(_behavior(handler)(reader or request, context)) as responses:
                    async for response in responses:
                        yield response
            except BaseException as error:
                mark(error)
                await _end(error, outcome, reader, context)
                raise
            finally:
                if reader is not None:
                    reader.close()
                outcome.close()

    return call


async def _end(error: BaseException, outcome: _Outcome, reader: RequestReader[Any] | None, context: Any) -> None:
    """End a call that failed, with its status and details."""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        left = context.time_remaining()
        late = left is not None and left <= 0
        ended = DeadlineExceeded if late else CallCancelled
        outcome.failed(ended.code, ended.reason)
        return
    if isinstance(error, grpc.aio.AbortError):  # the handler has set its own status
        outcome.failed(Code(context.code() or Code.UNKNOWN), "")
        return
    if isinstance(error, grpc.aio.AioRpcError):  # a call that the handler made itself
        error = from_rpc_error(error)
    if not isinstance(error, AutoMarketError):
        log.error("unexpected error", exc_info=error, extra={"method": outcome.method})
    if reader is not None:
        await reader.drain()
    status = to_status(error)
    outcome.failed(status.code, error.reason if isinstance(error, AutoMarketError) else "INTERNAL_FAULT")
    context.set_trailing_metadata(((DETAILS_KEY, status.details),))
    await context.abort(_GRPC_CODES[status.code], status.message)


_GRPC_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
