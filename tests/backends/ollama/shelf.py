"""The models that the stand-in has, and the library that it pulls from. Weights are zeros: the engine needs none."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

PIECES = 20


@dataclass(frozen=True)
class Entry:
    """A model of the library: what it can do, and the bytes of its two layers."""

    family: str
    parameters: str
    capabilities: tuple[str, ...] = ("completion",)
    layers: tuple[int, int] = (3_000_000, 500_000)


LIBRARY = {
    "llama3.2:latest": Entry("llama", "3.2B", ("completion", "tools")),
    "gemma3:latest": Entry("gemma3", "4.3B", ("completion", "vision")),
    "qwen3:latest": Entry("qwen3", "8.2B", ("completion", "tools", "thinking")),
    "smollm2:135m": Entry("llama", "135M"),
    "nomic-embed-text:latest": Entry("nomic-bert", "137M", ("embedding",)),
}


def full(name: str) -> str:
    """Give a model's full name."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


@dataclass
class Held:
    """A model that is here."""

    name: str
    modified_at: str


class Shelf:
    """What is here, kept in a folder where there is one, and what is in memory until when.

    Args:
        folder: models are kept there between starts; None keeps them in memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._held: dict[str, Held] = {}
        self.loaded_until: dict[str, float] = {}
        if folder is not None and (manifest := folder / "manifest.json").exists():
            self._held = {one["name"]: Held(**one) for one in json.loads(manifest.read_text())}

    def has(self, name: str) -> bool:
        return full(name) in self._held

    def tags(self) -> list[dict[str, Any]]:
        return [_described(one) for one in self._held.values()]

    def loaded(self) -> list[dict[str, Any]]:
        now = time.time()
        return [
            _described(self._held[name])
            | {"expires_at": datetime.fromtimestamp(until, UTC).isoformat(), "size_vram": 0, "context_length": 4096}
            for name, until in self.loaded_until.items()
            if until > now and name in self._held
        ]

    def entry(self, name: str) -> Entry:
        return LIBRARY[full(name)]

    def remove(self, name: str) -> None:
        del self._held[full(name)]
        self.loaded_until.pop(full(name), None)
        self._keep()

    async def pull(self, name: str, seconds: float) -> AsyncGenerator[dict[str, Any]]:
        """Fetch a model; give the lines of the answer, with zeros left out. Layers take turns, as they do for real."""
        yield {"status": "pulling manifest"}
        if (entry := LIBRARY.get(full(name))) is None:
            yield {"error": "pull model manifest: file does not exist"}
            return
        layers = [(_digest(name, number), size) for number, size in enumerate(entry.layers)]
        for step in range(PIECES + 1):
            for digest, size in layers[: 1 + (step > PIECES // 4)]:  # the second appears late
                done = size * step // PIECES
                try:
                    self._store(digest, done)
                except OSError as error:
                    yield {"error": f"write {error.filename}: {(error.strerror or '').lower()}"}
                    return
                line = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": size}
                yield line | ({"completed": done} if done else {})
            await asyncio.sleep(seconds / PIECES)
        for status in ("verifying sha256 digest", "writing manifest"):
            yield {"status": status}
        self._held[full(name)] = Held(full(name), _now())
        self._keep()
        yield {"status": "success"}

    def _store(self, digest: str, size: int) -> None:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            blob = self._folder / digest.replace(":", "-")
            with blob.open("ab") as file:
                try:
                    file.write(bytes(max(0, size - file.tell())))
                    file.flush()
                    os.fsync(file.fileno())
                except OSError as error:
                    raise OSError(error.errno, error.strerror, str(blob)) from error

    def _keep(self) -> None:
        if self._folder is not None:
            (self._folder / "manifest.json").write_text(json.dumps([asdict(one) for one in self._held.values()]))


def _described(held: Held) -> dict[str, Any]:
    entry = LIBRARY[held.name]
    return {
        "name": held.name,
        "model": held.name,
        "modified_at": held.modified_at,
        "size": sum(entry.layers),
        "digest": _digest(held.name, 0)[7:],
        "details": details(entry),
        "capabilities": list(entry.capabilities),
    }


def details(entry: Entry) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "gguf",
        "family": entry.family,
        "families": [entry.family],
        "parameter_size": entry.parameters,
        "quantization_level": "Q4_K_M",
    }


def _digest(name: str, number: int) -> str:
    return f"sha256:{hashlib.sha256(f'{full(name)}/{number}'.encode()).hexdigest()}"


def _now() -> str:
    return datetime.now(UTC).isoformat()
