"""An engine as a process: python -P -m provider_servers.faster_whisper.child PLAN, where PLAN is JSON.

Standard output, one JSON object a line: {"pulling": [bytes, of bytes]} while weights are fetched, {"loading": true},
{"ready": true}; then for each window {"language": code, "probability": p}, {"segment": [start, end, confidence, text,
words]} as they are found, and {"done": true}. An error is {"error": [reason, message, hint]}, and the process ends.

Standard input: windows, each a length (4 bytes, little-endian) and so many bytes of JSON, which says what is asked, and
how many bytes of samples follow or which file has them. The process ends when its input does, whatever it does then.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provider_servers.faster_whisper.engine import LENGTH, TIDY_SECONDS, Asking, Plan, hear, load
from provider_servers.faster_whisper.troubles import explained
from provider_servers.faster_whisper.weights import fetch, find

if TYPE_CHECKING:
    from collections.abc import Callable

_Window = tuple[Asking, bytes | Path]


def main() -> None:
    """Load a model and hear windows until the input ends."""
    say = _own_output()
    windows: queue.Queue[_Window] = queue.Queue(maxsize=1)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_listen, args=(windows,), daemon=True).start()
    plan = Plan(**json.loads(sys.argv[1]))
    try:
        model = _ready(plan, say)
        while True:
            asking, sound = windows.get()
            for found in hear(model, sound, asking):
                say(found)
            say({"done": True})
    except BrokenPipeError:
        return  # nobody listens any more
    except Exception as error:  # noqa: BLE001 - whatever the engine raises is told to the provider
        say({"error": explained(error, plan.source)})


def _ready(plan: Plan, say: Callable[[Any], None]) -> Any:
    folder = find(plan.source, plan.cache_dir)
    if folder is None:
        folder = fetch(plan.source, plan.cache_dir, lambda done, total: say({"pulling": [done, total]}))
    say({"loading": True})
    model = load(folder, plan)
    say({"ready": True})
    return model


def _own_output() -> Callable[[Any], None]:
    """Take standard output for answers alone: what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def say(value: Any) -> None:
        answers.write(json.dumps(value).encode() + b"\n")
        answers.flush()

    return say


def _listen(windows: queue.Queue[_Window]) -> None:
    """Take windows; when the input ends, so does the process, after a moment in which a download tidies up."""
    with os.fdopen(0, "rb", closefd=False) as given:
        while (window := _window(given.read)) is not None:
            windows.put(window)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(TIDY_SECONDS)
    os._exit(1)


def _window(read: Callable[[int], bytes]) -> _Window | None:
    head = read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    text = read(length)
    if len(text) < length:
        return None
    asked: dict[str, Any] = json.loads(text)
    size, file = int(asked.pop("bytes")), str(asked.pop("file"))
    samples = read(size)
    return (Asking(**asked), Path(file) if file else samples) if len(samples) == size else None


def _stop(*_: object) -> None:
    raise SystemExit(1)


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(0)  # the thread that listens must not hold up the end
