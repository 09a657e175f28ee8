"""Exit codes, the same for all commands."""

from __future__ import annotations

from enum import IntEnum

from automarket.errors import (
    AutoMarketError,
    ExhaustedError,
    InvalidRequestError,
    MeshUnreachable,
    NotFoundError,
    StateError,
    UnavailableError,
)


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NO_MESH = 3
    NOT_FOUND = 4
    REFUSED = 5
    NOT_READY = 6
    TRY_AGAIN = 7
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILED: "failed",
    Exit.USAGE: "wrong arguments",
    Exit.NO_MESH: "no mesh is running",
    Exit.NOT_FOUND: "no such file, asset, model, provider or capability",
    Exit.REFUSED: "the input or an option has to be changed",
    Exit.NOT_READY: "something has to be installed, configured or stopped first",
    Exit.TRY_AGAIN: "busy or not there now: try again",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}

_BY_CLASS: tuple[tuple[type[AutoMarketError], Exit], ...] = (
    (MeshUnreachable, Exit.NO_MESH),
    (NotFoundError, Exit.NOT_FOUND),
    (InvalidRequestError, Exit.REFUSED),
    (StateError, Exit.NOT_READY),
    (ExhaustedError, Exit.TRY_AGAIN),
    (UnavailableError, Exit.TRY_AGAIN),
)


def exit_of(error: AutoMarketError) -> Exit:
    """Give the exit code for an error."""
    return next((code for cls, code in _BY_CLASS if isinstance(error, cls)), Exit.FAILED)


def epilog() -> str:
    """Say what the exit codes mean."""
    return "Exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANINGS.items()) + "."
