"""What providers with a backend are tested with: the stand-ins on this host, and a model whose words are noise."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.support.mesh import free_port
from tests.support.require import require
from tests.support.tiny_whisper import tiny_whisper
from tests.vendors.running import MEDIA_STAND_INS, STAND_INS, start

_ROOT = Path(__file__).resolve().parent.parent.parent
_NEEDS = {"whisper": "pocketsphinx", "chatterbox": "flite", "ollama": ""}
_READY = {"whisper": "/openapi.json", "chatterbox": "/api/model-info", "ollama": "/api/version"}
_START_SECONDS = 60


class Backends:
    """Backends that are started when a provider is to be made, and end with this object.

    Args:
        folder: for what they write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: set[str] = set()
        self._ends = ExitStack()

    def see_to(self, provider: str) -> None:
        """See that a provider finds its backend: by its settings in the environment."""
        if provider in self._running:
            return
        if provider in _READY:
            self._start(provider)
        elif provider in STAND_INS | MEDIA_STAND_INS:
            for name, value in start(provider, self._ends.callback):
                self._set(name, value)
        elif provider == "faster-whisper":
            require("faster-whisper")
            self._set("AUTOMARKET_FASTER_WHISPER_MODELS", str(tiny_whisper(_ROOT / ".cache" / "tiny-whisper")))
        self._running.add(provider)

    def close(self) -> None:
        """End them."""
        self._ends.close()

    def _start(self, name: str) -> None:
        if _NEEDS[name]:
            require(_NEEDS[name])
        port, log = free_port(), self._folder / f"{name}.log"
        command = [sys.executable, "-m", f"tests.backends.{name}.app", "--port", str(port)]
        file = self._ends.enter_context(log.open("w"))
        process = self._ends.enter_context(subprocess.Popen(command, stdout=file, stderr=file, cwd=_ROOT))
        self._ends.callback(process.kill)
        url, begin = f"http://127.0.0.1:{port}", time.monotonic()
        while not _answers(url + _READY[name]):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() - begin < _START_SECONDS, log.read_text()
            time.sleep(0.05)
        self._set(f"AUTOMARKET_{name.upper()}_BASE_URL", url)
        self._set(f"AUTOMARKET_{name.upper()}_STATE_DIR", str(self._folder))

    def _set(self, name: str, value: str) -> None:
        os.environ[name] = value
        self._ends.callback(os.environ.pop, name)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, verify=False).is_success
    except httpx.TransportError:
        return False
