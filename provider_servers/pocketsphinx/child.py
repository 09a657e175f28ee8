"""A decoder as a process: python -P -m provider_servers.pocketsphinx.child.

Standard input: pieces of sound, each its length (4 bytes, little-endian) and so many bytes of samples; a length of 0
ends the sound, and the next one may begin. Standard output, one JSON value a line: true once the model is loaded; then
for each sound its utterances, each a list of words [text, start, end, confidence], and true at its end. The process
ends when its input does, so it never outlives the provider.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from provider_servers.pocketsphinx.engine import LENGTH, Listener, make_decoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provider_servers.pocketsphinx.engine import Utterance


def main() -> None:
    """Hear sounds until the input ends."""
    decoder = make_decoder()
    try:
        _say(True)
        while (piece := _piece()) is not None:
            listener = Listener(decoder)
            while piece:
                _say_all(listener.hear(piece))
                piece = _piece()
            if piece is None:
                return
            _say_all(listener.finish())
            _say(True)
    except BrokenPipeError:
        return  # nobody listens any more


def _piece() -> bytes | None:
    """Read one piece; None when the input ends."""
    head = sys.stdin.buffer.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    piece = sys.stdin.buffer.read(length)
    return piece if len(piece) == length else None


def _say_all(utterances: Iterable[Utterance]) -> None:
    for utterance in utterances:
        _say([*_rows(utterance)])


def _rows(utterance: Utterance) -> Iterator[tuple[str, float, float, float]]:
    for word in utterance.words:
        yield word.text, word.start, word.end, word.confidence


def _say(value: Any) -> None:
    sys.stdout.buffer.write(json.dumps(value).encode() + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
