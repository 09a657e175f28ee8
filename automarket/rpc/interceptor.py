"""What happens around every call that a server of the mesh takes: errors become statuses, and the call is seen.

One interceptor for all four kinds of calls. Streaming handlers, which are generators, are iterated here, in the task of
the call: so their errors are seen, and a call that is cancelled closes its handler at once, wherever it stands.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import grpc.aio
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from automarket.errors import AutoMarketError, CallCancelled, Code, DeadlineExceeded, InternalFault, MethodUnknown
from automarket.rpc import telemetry
from automarket.rpc.record import CallRecord
from automarket.rpc.requests import RequestReader, checked, refusing_garbage
from automarket.rpc.status import BUG_MESSAGE, DETAILS_KEY, from_rpc_error, to_status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger("automarket.rpc")


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Maps errors, continues the caller's trace, counts and logs calls."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handler of a call."""
        found: Any = await continuation(handler_call_details)
        handler = _UNKNOWN if found is None else found
        record = CallRecord(handler_call_details.method, known=found is not None)
        # gRPC calls the handler in this very task, so what is made current here is current there.
        telemetry.adopt(handler_call_details.invocation_metadata or ())
        return _HANDLERS[handler.request_streaming, handler.response_streaming](
            _served(handler, record),
            request_deserializer=record.counting_in(refusing_garbage(handler.request_deserializer)),
            response_serializer=record.counting_out(handler.response_serializer),
        )


_HANDLERS: dict[tuple[bool, bool], Any] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


async def _unknown(_requests: Any, _context: Any) -> None:
    raise MethodUnknown("this server has no such method", hint="ask it by reflection which services it has")


_UNKNOWN: Any = _HANDLERS[True, True](_unknown)


def _served(handler: Any, record: CallRecord) -> Any:
    behavior = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream

    async def serve(request: Any, context: Any) -> Any:
        with telemetry.span(record.method.lstrip("/"), SpanKind.SERVER), record:
            reader = RequestReader[Any](context) if handler.request_streaming else None
            try:
                answer = behavior(reader or checked(request), context)
                result = await (_send(answer, context) if handler.response_streaming else answer)
                record.ended(_own_code(context))
                return result  # noqa: TRY300 - the record is part of what may not fail
            except BaseException as error:  # noqa: BLE001 - every one becomes a status, a log line and a metric
                await _end(error, record, reader, context)
            finally:
                if reader is not None:
                    reader.close()

    return serve


async def _send(answer: Any, context: Any) -> None:
    """Send what a streaming handler gives. One that is no generator writes to the context itself."""
    if inspect.isawaitable(answer):
        await answer
        return
    async with aclosing(answer) as responses:
        async for response in responses:
            await context.write(response)


async def _end(error: BaseException, record: CallRecord, reader: RequestReader[Any] | None, context: Any) -> NoReturn:
    """End a call that failed, with its status and details where anybody is left to read them."""
    if isinstance(error, grpc.aio.AbortError):  # the handler has sent a status of its own
        record.ended(_own_code(context))
        raise error
    if _is_gone(error):
        ended = DeadlineExceeded if _is_late(context) else CallCancelled
        record.ended(ended.code, ended.reason)
        if isinstance(error, grpc.aio.InternalError):  # gRPC would log it as a fault of ours
            raise asyncio.CancelledError from error
        raise error
    mapped = _mapped(error, context)
    record.ended(mapped.code, mapped.reason)
    telemetry.mark_failed(trace.get_current_span(), mapped)
    if isinstance(mapped, InternalFault):
        log.error("a fault of the server's own", exc_info=error, extra={"method": record.method})
    if reader is not None:
        await reader.drain()
    status = to_status(mapped)
    with suppress(grpc.aio.InternalError):  # the caller has gone meanwhile
        await context.abort(_GRPC_CODES[status.code], status.message, ((DETAILS_KEY, status.details),))
    raise asyncio.CancelledError


def _is_gone(error: BaseException) -> bool:
    """Tell whether the caller went away: the task is being cancelled, or gRPC could not send or read any more.

    A CancelledError without that comes from something inside the handler: gRPC would send no status at all for it.
    """
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(error, GeneratorExit | grpc.aio.InternalError)


def _is_late(context: Any) -> bool:
    left: float | None = context.time_remaining()
    return left is not None and left < 0.01


def _mapped(error: BaseException, context: Any) -> AutoMarketError:
    if isinstance(error, AutoMarketError):
        return error
    if isinstance(error, grpc.aio.AioRpcError):  # a call that the handler made itself
        return from_rpc_error(error)
    if isinstance(error, asyncio.CancelledError):
        return CallCancelled("the call was cancelled on the server")
    if isinstance(error, TimeoutError) and _is_late(context):
        return DeadlineExceeded("the deadline passed before the work was done")
    if isinstance(error, NotImplementedError) and _own_code(context) == Code.UNIMPLEMENTED:
        return MethodUnknown("this server does not offer that method")
    return InternalFault(BUG_MESSAGE, metadata={"trace_id": telemetry.current_trace_id()})


def _own_code(context: Any) -> Code:
    """Give the code that the handler set itself, OK where it set none."""
    code: grpc.StatusCode | None = context.code()
    return Code(code.value[0]) if code else Code.OK


_GRPC_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
