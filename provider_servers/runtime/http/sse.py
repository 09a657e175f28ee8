"""Server-sent events, cut at any byte (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import msgspec

from provider_servers.runtime.http.lines import MAX_LINE_BYTES, LineCutter, too_long

_BOM = b"\xef\xbb\xbf"
_PLAIN, _END = b"data: ", b"\n\n"


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One event.

    Attributes:
        data: its lines joined by LF.
        name: empty where it has none.
        whole: the blank line that ends it has come; otherwise its data may have been cut.
    """

    data: bytes
    name: bytes = b""
    whole: bool = True


class SseReader:
    """Takes bytes as they come and gives the events that are whole. Comments, ids and events without data are skipped.

    Args:
        max_bytes: of a line, and of an event's data.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._cutter = LineCutter(max_bytes)
        self._max_bytes = max_bytes
        self._begun = False
        self._name = b""
        self._data: list[bytes] = []

    def feed(self, data: bytes) -> list[SseEvent]:
        """Take bytes; give the events that end in them.

        Raises:
            BackendFailed: a line or an event is too long.
        """
        events: list[SseEvent] = []
        if self._data or self._cutter.holds or not data.startswith(_PLAIN):
            end = data.find(_END) + len(_END)
            if end < len(_END) or not data.startswith(_PLAIN, end):
                return self._events(self._cutter.feed(data))
            events, data = self._events(self._cutter.feed(data[:end])), data[end:]
        return events + self._plain(data)

    def _plain(self, data: bytes) -> list[SseEvent]:
        """Take events that are one line of data each, as most streams have them: all at once."""
        end = data.rfind(_END)
        parts = data[len(_PLAIN) : end].split(_END + _PLAIN) if end > 0 else []
        # Nothing else may be between them: no further line, no name, no comment.
        is_plain = b"\r" not in data and data.count(b"\n", 0, end) == 2 * (len(parts) - 1)
        if not parts or not is_plain or self._name or len(data) > self._max_bytes:
            return self._events(self._cutter.feed(data))
        self._begun = True
        events = list(map(SseEvent, parts))
        rest = data[end + len(_END) :]
        return events + self._events(self._cutter.feed(rest)) if rest else events

    def finish(self) -> list[SseEvent]:
        """Say that there is no more; give an event whose blank line is missing, as some servers leave it out."""
        events = self._events([self._cutter.finish(), b""])
        return [SseEvent(event.data, event.name, whole=False) for event in events]

    def _events(self, lines: list[bytes]) -> list[SseEvent]:
        if not self._begun and lines:
            self._begun = True
            lines[0] = lines[0].removeprefix(_BOM)
        events: list[SseEvent] = []
        waiting, name = self._data, self._name
        for line in lines:
            if line.startswith(b"data:"):
                waiting.append(line[6:] if line.startswith(b" ", 5) else line[5:])
                if len(waiting) > 1 and sum(map(len, waiting)) > self._max_bytes:
                    raise too_long(self._max_bytes)
            elif not line:
                if waiting:
                    events.append(SseEvent(waiting[0] if len(waiting) == 1 else b"\n".join(waiting), name))
                    waiting.clear()
                name = b""
            elif line.startswith(b"event:"):
                name = line[6:].removeprefix(b" ")
            elif line == b"data":
                waiting.append(b"")
        self._name = name
        return events
