"""Digests: assets are named by the SHA-256 of their bytes, written "sha256:" and 64 lower-case hex digits."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from automarket.errors import DigestInvalid

if TYPE_CHECKING:
    from pathlib import Path

_PREFIX = "sha256:"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_STEP_BYTES = 1024 * 1024


class Hasher:
    """Digests bytes that come piece by piece."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        self._hash.update(data)

    @property
    def digest(self) -> str:
        """The digest of all bytes so far."""
        return _PREFIX + self._hash.hexdigest()


def digest_bytes(data: bytes) -> str:
    """Give the digest of `data`."""
    return _PREFIX + hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """Give the digest of a file, read in steps of 1 MiB. Blocks; use a thread in asynchronous code."""
    hasher = Hasher()
    with path.open("rb") as file:
        while data := file.read(_STEP_BYTES):
            hasher.update(data)
    return hasher.digest


def check_digest(digest: str) -> str:
    """Give the hex digits of a digest.

    Raises:
        DigestInvalid: it is not "sha256:" and 64 lower-case hex digits.
    """
    match = _DIGEST.fullmatch(digest)
    if match is None:
        raise DigestInvalid(f"{digest[:80]!r} is not a digest", hint='"sha256:" and 64 lower-case hex digits')
    return match[1]
