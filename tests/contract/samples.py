"""A call that each provider answers well. A provider without one here fails the suite: add it with the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_servers.runtime.testing import Sample

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.media import MediaShelf

SAMPLES: dict[str, Callable[[MediaShelf], list[Sample]]] = {
    "pocketsphinx": lambda media: [
        Sample({"audio": media.speech_wav()}, bad_options={"language": "fr"}),
        Sample({"audio": media.talk_mp4()}),
    ],
}
