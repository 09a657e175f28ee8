"""A child process that speaks through libespeak-ng: JSON on standard input, bare 16-bit samples on standard output.

The library is C with state of its own: in a process of its own, a crash or a cancel is clean. The parent runs this file
by its path, since starting it as a module would import the provider and gRPC first; so it imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

SAMPLE_RATE = 22050
WORDS_A_MINUTE = 175

_SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, in this thread
_BUFFER_MILLISECONDS = 200
_NO_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT: a fault is an answer, not an end
_RATE = 1  # espeakRATE
_BY_CHARACTER = 1  # POS_CHARACTER
_UTF8 = 1  # espeakCHARS_UTF8

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main() -> int:
    """Speak what standard input asks for; give the exit code."""
    job: dict[str, Any] = json.load(sys.stdin)
    library = ctypes.CDLL(job["library"])
    rate = library.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MILLISECONDS, job["data"].encode(), _NO_EXIT)
    if rate != SAMPLE_RATE:
        sys.stderr.write(f"espeak-ng gave sample rate {rate} where {SAMPLE_RATE} was due; its data: {job['data']}\n")
        return 1
    if library.espeak_SetVoiceByName(job["voice"].encode()) != 0:
        sys.stderr.write(f"espeak-ng has no voice {job['voice']}\n")
        return 1
    library.espeak_SetParameter(_RATE, round(WORDS_A_MINUTE * job["speed"]), 0)
    callback = _CALLBACK(_write)
    library.espeak_SetSynthCallback(callback)
    for piece in job["pieces"]:
        _speak(library, piece.encode())
    sys.stdout.buffer.flush()
    return 0


def _speak(library: ctypes.CDLL, text: bytes) -> None:
    size = ctypes.c_size_t(len(text) + 1)
    code = library.espeak_Synth(text, size, 0, _BY_CHARACTER, 0, _UTF8, None, None)
    if code != 0:
        raise RuntimeError(f"espeak_Synth gave {code}")
    sys.stdout.buffer.flush()


def _write(samples: Any, count: int, _events: Any) -> int:
    """Take samples from the library; 1 tells it to stop, since nobody reads any more."""
    if not samples or count <= 0:
        return 0
    try:
        sys.stdout.buffer.write(ctypes.string_at(samples, count * 2))
    except BrokenPipeError:
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
