"""The flite command: text in, 16 kHz mono speech out, one child process a sentence.

https://github.com/festvox/flite, Debian package `flite`, version 2.2. Flite writes a file whose header it mends at the
end, so each sentence goes through a scratch file.
"""

from __future__ import annotations

import asyncio
import wave
from asyncio.subprocess import DEVNULL
from typing import TYPE_CHECKING

from automarket.errors import BackendFailed
from provider_servers.flite.child import running
from provider_servers.flite.engine import EngineFacts
from provider_servers.flite.plain import to_ascii
from provider_servers.runtime.sentences import split

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from provider_servers.flite.engine import Manner

_FACTS = EngineFacts(
    id="flite",
    name="Flite",
    description="Small, quick English voices that need no network and no accelerator. Speaks sentence by sentence.",
    sample_rate=16000,
    voices=("rms", "slt", "awb", "kal16"),  # flite's other voices are 8 kHz, or tell nothing but the time
    languages=("en", "en-us"),
    speeds=(0.25, 4.0),
)


class FliteEngine:
    """Speaks by the flite command.

    Args:
        command: the flite program.
    """

    facts = _FACTS

    def __init__(self, command: str) -> None:
        self._command = command

    def pieces(self, text: str) -> list[str]:
        """Give the sentences of `text`, in ASCII: the voices read nothing else."""
        return split(to_ascii(text))

    async def speak(self, pieces: Sequence[str], manner: Manner, folder: Path) -> AsyncGenerator[bytes]:
        """Give the sound of each piece when it is made."""
        source, sound = folder / "sentence.txt", folder / "sentence.wav"
        stretch = f"duration_stretch={1 / manner.speed:.4f}"
        # The text goes by file: a command line is there for every user of the machine to see.
        command = (self._command, "-voice", manner.voice, "--setf", stretch, "-f", str(source), "-o", str(sound))
        for piece in pieces:
            await asyncio.to_thread(source.write_text, piece, encoding="ascii")
            async with running(command, folder, stdin=DEVNULL, stdout=DEVNULL):
                pass
            yield await asyncio.to_thread(_take, sound)


def _take(sound: Path) -> bytes:
    try:
        with wave.open(str(sound)) as reader:
            samples, layout = reader.readframes(reader.getnframes()), reader.getparams()
        sound.unlink()
    except (OSError, EOFError, wave.Error) as error:
        raise BackendFailed(f"flite left no sound that can be read: {error}") from error
    if (layout.framerate, layout.nchannels, layout.sampwidth) != (_FACTS.sample_rate, 1, 2):
        raise BackendFailed(f"flite made sound of {layout.framerate} Hz where {_FACTS.sample_rate} Hz was due")
    return samples
