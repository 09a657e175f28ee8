"""libespeak-ng from the wheel `espeakng-loader`: text in, 22.05 kHz mono speech out, one child process a call.

https://github.com/espeak-ng/espeak-ng, version 1.52. For machines where the flite command is not installed.
"""

from __future__ import annotations

import json
import sys
from asyncio.subprocess import PIPE
from typing import TYPE_CHECKING

from provider_servers.flite import espeak_child
from provider_servers.flite.child import running
from provider_servers.flite.engine import EngineFacts
from provider_servers.runtime.sentences import split

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from provider_servers.flite.engine import Manner

_READ_BYTES = 32 * 1024
_SLOWEST, _FASTEST = 0.5, 2.5  # the library speaks 80 to 450 words a minute


class EspeakEngine:
    """Speaks by libespeak-ng.

    Args:
        library: the shared library.
        data: its folder `espeak-ng-data`.
    """

    def __init__(self, library: Path, data: Path) -> None:
        self._library = library
        self._data = data
        self.facts = EngineFacts(
            id="espeak-ng",
            name="eSpeak NG",
            description="A small synthesiser for over a hundred languages. Plain to hear, but no human voice.",
            sample_rate=espeak_child.SAMPLE_RATE,
            voices=("default", *sorted(path.name for path in (data / "voices" / "!v").iterdir())),
            languages=_languages(data / "lang"),
            speeds=(_SLOWEST, _FASTEST),
        )

    def pieces(self, text: str) -> list[str]:
        """Give the sentences of `text`."""
        return split(text)

    async def speak(self, pieces: Sequence[str], manner: Manner, folder: Path) -> AsyncGenerator[bytes]:
        """Give the sound as it is made."""
        variant = "" if manner.voice == "default" else f"+{manner.voice}"
        job = {
            "library": str(self._library),
            "data": str(self._data),
            "voice": manner.language + variant,
            "speed": manner.speed,
            "pieces": list(pieces),
        }
        command = (sys.executable, "-P", espeak_child.__file__)
        async with running(command, folder, stdin=PIPE, stdout=PIPE) as process:
            assert process.stdin is not None  # noqa: S101 - both are pipes
            assert process.stdout is not None  # noqa: S101
            process.stdin.write(json.dumps(job).encode())
            process.stdin.close()
            held = b""
            while data := await process.stdout.read(_READ_BYTES):
                data = held + data
                whole = len(data) - len(data) % 2  # a read may end inside a sample
                held = data[whole:]
                if whole:
                    yield data[:whole]


def _languages(folder: Path) -> tuple[str, ...]:
    """Give the tags of the language files: lines such as "language en-us 2"."""
    tags: set[str] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            lines = (line.split() for line in path.read_bytes().decode("latin-1").splitlines())
            tags |= {words[1].lower() for words in lines if len(words) > 1 and words[0] == "language"}
    first = ("en-us", "en")
    return (*first, *sorted(tags.difference(first)))
