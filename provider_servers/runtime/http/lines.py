"""Lines of a stream, cut at any byte; LF, CR and CRLF end one."""

from __future__ import annotations

from automarket.errors import BackendFailed

MAX_LINE_BYTES = 8 * 1024 * 1024


class LineCutter:
    """Takes bytes as they come and gives the lines that are whole, without their ends.

    Args:
        max_bytes: of a line.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._after_cr = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; give the lines that end in them.

        Raises:
            BackendFailed: a line is too long.
        """
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if b"\n" not in data:
            self._rest += data
            if len(self._rest) > self._max_bytes:
                raise too_long(self._max_bytes)
            return []
        lines = data.split(b"\n")
        longest = len(data) + len(self._rest)
        if self._rest:
            lines[0] = bytes(self._rest) + lines[0]
        self._rest = bytearray(lines.pop())
        if longest > self._max_bytes and max(map(len, lines)) > self._max_bytes:
            raise too_long(self._max_bytes)
        return lines

    @property
    def holds(self) -> bool:
        """Whether it holds the beginning of a line, or of its end."""
        return bool(self._rest) or self._after_cr

    def finish(self) -> bytes:
        """Say that there is no more; give what stands after the last line's end."""
        rest, self._rest = bytes(self._rest), bytearray()
        return rest


class NdjsonReader:
    """Takes bytes of newline-delimited JSON as they come and gives the lines that are whole and not blank."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._cutter = LineCutter(max_bytes)

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; give the lines that end in them.

        Raises:
            BackendFailed: a line is too long.
        """
        return [line for line in self._cutter.feed(data) if line.strip()]

    def finish(self) -> list[bytes]:
        """Say that there is no more; give a last line that has no end."""
        rest = self._cutter.finish()
        return [rest] if rest.strip() else []


def too_long(max_bytes: int) -> BackendFailed:
    """Give the error for a line, or an event, that has no end."""
    message = f"the stream holds a line of over {max_bytes:,} bytes"
    return BackendFailed(message, metadata={"phase": "running"})
