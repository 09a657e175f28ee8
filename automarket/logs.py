"""Structured logs on standard error: JSON lines, or plain lines on a terminal, each with its trace.

Fields come through `extra=`: log.info("call", extra={"method": ..., "code": ...}). Secrets are hidden, see
`automarket.secrets`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from automarket.secrets import hide_environment, scrub, scrubbed

if TYPE_CHECKING:
    from collections.abc import Callable

LEVEL_VARIABLE = "AUTOMARKET_LOG_LEVEL"

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Give the fields that a log call added, secrets hidden."""
    return {key: scrubbed(key, value) for key, value in vars(record).items() if key not in _PLAIN}


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object.

    Args:
        service: the name of the process.
        ids: gives the trace_id and span_id that a line belongs to, nothing where there is none.
    """

    def __init__(self, service: str, ids: Callable[[], dict[str, str]] = dict) -> None:
        super().__init__()
        self._service = service
        self._ids = ids

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": scrub(record.getMessage()),
        }
        line |= {key: value for key, value in fields_of(record).items() if key not in line}
        line |= self._ids()
        if record.exc_info:
            line["exception"] = scrub(self.formatException(record.exc_info))
        return json.dumps(line, default=_as_text, ensure_ascii=False)


def _as_text(value: object) -> str:
    return scrub(str(value))


class PlainFormatter(logging.Formatter):
    """Writes a record as one line for people.

    Args:
        ids: gives the trace_id and span_id that a line belongs to, nothing where there is none.
    """

    def __init__(self, ids: Callable[[], dict[str, str]] = dict) -> None:
        super().__init__()
        self._ids = ids

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        extra = " ".join(f"{key}={value}" for key, value in fields_of(record).items())
        trace = f" trace={ids['trace_id']}" if (ids := self._ids()) else ""
        line = f"{stamp} {record.levelname.lower():<7} {record.name}: {record.getMessage()} {extra}".rstrip() + trace
        return scrub(f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line)


def configure(service: str, ids: Callable[[], dict[str, str]] = dict) -> None:
    """Send all logs of this process to standard error, from the level in AUTOMARKET_LOG_LEVEL (default info).

    Args:
        service: the name of the process.
        ids: gives the trace_id and span_id that a line belongs to, nothing where there is none.
    """
    hide_environment()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter(ids) if sys.stderr.isatty() else JsonFormatter(service, ids))
    level = os.environ.get(LEVEL_VARIABLE, "info").upper()
    logging.basicConfig(
        level=level if level in logging.getLevelNamesMapping() else "INFO", handlers=[handler], force=True
    )
    # These say nothing that the mesh's own logs do not say better.
    for noisy in ("httpx", "httpcore", "grpc"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
