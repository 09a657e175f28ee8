"""What is known of the last calls, for GetDiagnostics: in memory, bounded, no inputs and no outputs."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, CallCancelled, Code, DeadlineExceeded, InternalFault, RequestUnknown
from automarket.rpc.telemetry import current_trace_id
from automarket.secrets import scrub
from automarket.v1 import media_provider_service_pb2 as pb

if TYPE_CHECKING:
    from collections import deque

MAX_CALLS = 256


@dataclass(slots=True)
class Record:
    """One call."""

    request_id: str
    trace_id: str
    log_lines: deque[str]
    start: float
    end: float | None = None
    code: Code | None = None
    reason: str = ""

    def finish(self, error: BaseException | None, *, late: bool = False) -> None:
        """Note how it ended; a call that is cancelled when it is late ended by its deadline."""
        self.end = time.time()
        if error is None:
            self.code = Code.OK
            return
        known = error if isinstance(error, AutoMarketError) else None
        ended = DeadlineExceeded if late else CallCancelled
        cls = type(known) if known else InternalFault if isinstance(error, Exception) else ended
        self.code, self.reason = cls.code, cls.reason
        if known:
            self.log_lines.extend(map(scrub, known.log_lines))


class Diagnostics:
    """The last calls of one server."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id
        self._records: OrderedDict[str, Record] = OrderedDict()

    def begin(self, request_id: str, log_lines: deque[str]) -> Record:
        """Note that a call begins; the oldest one is forgotten."""
        record = Record(request_id, current_trace_id(), log_lines, time.time())
        self._records[request_id] = record
        self._records.move_to_end(request_id)
        if len(self._records) > MAX_CALLS:
            self._records.popitem(last=False)
        return record

    def answer(self, request_id: str) -> pb.GetDiagnosticsResponse:
        """Give what is known of a call.

        Raises:
            RequestUnknown: it is not among the last ones.
        """
        record = self._records.get(request_id)
        if record is None:
            hint = f"only the last {MAX_CALLS} calls are kept, in memory"
            raise RequestUnknown(f"the call {request_id[:80]!r} is not known here", hint=hint)
        response = pb.GetDiagnosticsResponse(
            request_id=record.request_id,
            instance_id=self._instance_id,
            trace_id=record.trace_id,
            outcome=record.code.name if record.code is not None else "",
            reason=record.reason,
            log_lines=record.log_lines,
        )
        response.start_time.FromNanoseconds(int(record.start * 1e9))
        if record.end is not None:
            response.end_time.FromNanoseconds(int(record.end * 1e9))
        return response
