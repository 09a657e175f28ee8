"""Weights on this machine: found in the cache, or fetched from Hugging Face. Blocks; runs in a child process."""

from __future__ import annotations

import importlib
import os
import threading
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

WEIGHTS = "model.bin"
_NEEDED = ("config.json", "tokenizer.json", WEIGHTS)
_WANTED = ("config.json", "preprocessor_config.json", "tokenizer.json", "vocabulary.*", WEIGHTS)
_REPORT_SECONDS = 0.25


def find(source: str, cache_dir: str) -> Path | None:
    """Give the folder of a model that is here already: `source` itself, or its place in Hugging Face's cache."""
    if (folder := Path(source).expanduser()).is_dir():
        return folder
    place = _place(source, cache_dir)
    try:
        snapshot = place / "snapshots" / (place / "refs" / "main").read_text().strip()
    except OSError:
        return None
    return snapshot if all((snapshot / name).exists() for name in _NEEDED) else None


def _place(source: str, cache_dir: str) -> Path:
    """Give a repository's folder in the cache; the variables are those of Hugging Face's library."""
    own = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    cache = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or own) / "hub"
    return Path(cache_dir or cache).expanduser() / f"models--{source.replace('/', '--')}"


def fetch(source: str, cache_dir: str, report: Callable[[int, int], None]) -> Path:
    """Fetch a model; `report` is told bytes that are here, and bytes in all.

    The weights come last: where they are, the rest is. What Hugging Face's library raises goes through.
    """
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")  # plain HTTP can be stopped, and cleans up after itself
    hub: Any = importlib.import_module("huggingface_hub")
    info = hub.HfApi().model_info(source, files_metadata=True)
    sizes = {
        one.rfilename: one.size or 0
        for one in info.siblings
        if any(fnmatch(one.rfilename, pattern) for pattern in _WANTED)
    }
    if WEIGHTS not in sizes:
        message = f"it is no CTranslate2 conversion, as it has no {WEIGHTS}"
        raise NotADirectoryError(message)
    with _watched(_place(source, cache_dir) / "blobs", sum(sizes.values()), report):
        for name in sizes.keys() - {WEIGHTS}:
            hub.hf_hub_download(source, name, cache_dir=cache_dir or None)
        return Path(hub.hf_hub_download(source, WEIGHTS, cache_dir=cache_dir or None)).parent


@contextmanager
def _watched(blobs: Path, total: int, report: Callable[[int, int], None]) -> Generator[None]:
    """Report the size of what is on disk, whoever writes it: another process may fetch the same, and this one wait."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_REPORT_SECONDS):
            report(min(total, _bytes_in(blobs)), total)

    report(min(total, _bytes_in(blobs)), total)
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _bytes_in(folder: Path) -> int:
    total = 0
    for file in folder.glob("*"):
        try:
            total += file.stat().st_size
        except FileNotFoundError:  # it has just got its last name
            continue
    return total
