"""The option `format` of models that make sound: its schema, its check and the media types that it leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from automarket.assets.formats import by_name
from automarket.assets.roles import Role
from automarket.errors import CastInvalid, OptionInvalid
from automarket.media.demands import check_spec
from automarket.media.encodings import AUDIO, MAX_CHANNELS, MAX_RATE, MIN_RATE
from automarket.media.info import AudioFormat, CastSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

SOUND_FORMAT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "container": {"type": "string", "enum": list(AUDIO)},
        "sample_rate_hertz": {"type": "integer", "minimum": MIN_RATE, "maximum": MAX_RATE},
        "channels": {"type": "integer", "minimum": 1, "maximum": MAX_CHANNELS},
    },
    "additionalProperties": False,
    "description": "What the sound has to look like; what is not set stays as it is.",
}


def sound_media_type(container: str) -> str:
    """Give the media type of a container; bare samples have none of their own."""
    known = by_name(container)
    return known.media_type if known else "audio/pcm"


SOUND_MEDIA_TYPES = tuple(dict.fromkeys(map(sound_media_type, AUDIO)))


def read_sound_format(options: Mapping[str, Any], family: str) -> AudioFormat:
    """Give the option `format` of a call.

    Args:
        options: all options of the call.
        family: the field of the header that holds the typed options, e.g. "text_to_speech".

    Raises:
        OptionInvalid: the container cannot hold sound of that sample rate or number of channels.
    """
    wanted = options.get("format", {})
    form = AudioFormat(wanted.get("container"), wanted.get("sample_rate_hertz"), wanted.get("channels"))
    try:
        check_spec(CastSpec(Role.AUDIO, audio=form))
    except CastInvalid as error:
        fields = {name.replace("spec.audio", f"header.{family}.format"): what for name, what in error.fields.items()}
        raise OptionInvalid(f"option format: {error.message}", hint=error.hint, fields=fields) from None
    return form
