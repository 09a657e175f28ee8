"""Which file of the server holds the voice that is to speak."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, BackendFailed, OptionInvalid
from provider_servers.chatterbox.sample import SHORTEST_TURBO_SECONDS, too_short

if TYPE_CHECKING:
    from provider_servers.chatterbox.client import ChatterboxClient
    from provider_servers.chatterbox.sample import VoiceSample

USUAL = "Emily.wav"
_SHOWN = 30


class Voices:
    """What is known of the voices of the server. It is asked again when that turns out to be wrong."""

    def __init__(self) -> None:
        self._own: tuple[str, ...] = ()
        self._kept: dict[str, str] = {}
        self._spoilt = Counter[str]()

    async def own(self, client: ChatterboxClient, wanted: str) -> str:
        """Give the file of one of the server's own voices.

        Args:
            client: the server.
            wanted: its name, with or without the file's ending; empty leaves the choice to us.

        Raises:
            OptionInvalid: there is no such voice; the hint names those that there are.
        """
        names = _spellings(self._own)
        if (wanted or USUAL).casefold() not in names:
            self._own = await client.voices()
            names = _spellings(self._own)
        if not self._own:
            raise BackendFailed("chatterbox has no voices of its own", hint="put some into its folder voices")
        if not wanted:
            return names.get(USUAL.casefold(), self._own[0])
        if wanted.casefold() not in names:
            raise unknown_voice(wanted, self._own)
        return names[wanted.casefold()]

    async def clone(self, client: ChatterboxClient, sample: VoiceSample) -> str:
        """Give the file of a sample, which is uploaded if the server has it not.

        Raises:
            InputUnsuitable: it is too short for the model that is loaded.
            DiskFull: the server has no room for it.
        """
        if sample.name in self._kept:
            return self._kept[sample.name]
        if sample.seconds <= SHORTEST_TURBO_SECONDS and (await client.model_info()).kind == "turbo":
            raise too_short(sample.seconds, SHORTEST_TURBO_SECONDS, "Chatterbox Turbo needs more than")
        # An upload that fails may leave a part of the file, which the server would take for the whole: a new name.
        failed = self._spoilt[sample.name]
        name = f"{sample.name}-{failed}.wav" if failed else f"{sample.name}.wav"
        if name not in await client.reference_files():
            try:
                name = await client.upload_reference(name, sample.wav)
            except AutoMarketError:
                self._spoilt[sample.name] += 1
                raise
        self._kept[sample.name] = name
        return name

    def forget(self) -> None:
        """Forget what is known: the server says that it is not so."""
        self._own = ()
        self._kept.clear()


def unknown_voice(wanted: str, there: tuple[str, ...]) -> OptionInvalid:
    """Give the error for a voice that the server has not."""
    shown = ", ".join(name.rpartition(".")[0] for name in there[:_SHOWN])
    fields = {"header.text_to_speech.voice": f"{wanted!r} is no voice of the server"}
    return OptionInvalid(f"option voice: there is no voice {wanted!r}", hint=f"there are: {shown}", fields=fields)


def _spellings(files: tuple[str, ...]) -> dict[str, str]:
    """Give the files by their names in lower case, with and without their endings."""
    return {spelt.casefold(): name for name in files for spelt in (name.rpartition(".")[0], name)}
