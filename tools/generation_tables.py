"""Writes the tables of docs/generation.md from what the code says; with --check it only tells whether they are true.

A table stands between `<!-- table NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automarket.families import FAMILIES
from automarket.option_words import takes
from provider_servers.runtime.family_options import families, family_schemas
from provider_servers.runtime.vendor_fields import FIELDS
from provider_servers.runtime.vendor_options import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

PAGE = Path(__file__).resolve().parent.parent / "docs" / "generation.md"
_TABLE = re.compile(r"(<!-- table (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_USUAL_TEXT = 100_000

# What vendors call the options of models whose options are written by hand. What is not here has the family's name.
_CALLED = {
    "elevenlabs": {
        "duration": "duration_seconds",
        "format": "output_format",
        "voice": "voice_id",
        "speed": "voice_settings.speed",
        "language": "language_code",
    },
    "openai": {
        "count": "n",
        "aspect_ratio": "size",
        "width": "size",
        "height": "size",
        "format": "output_format",
        "word_timestamps": "timestamp_granularities[]",
        "text-to-speech format": "response_format",
    },
}


def main() -> int:
    """Write the tables, or check them; give the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    made = _TABLE.sub(lambda found: f"{found[1]}{table(found[2])}{found[4]}", text)
    if "--check" in sys.argv[1:]:
        return int(made != text)
    PAGE.write_text(made, encoding="utf-8")
    return 0


def table(name: str) -> str:
    """Give a table by its name: a family, "names", or a vendor."""
    if name in families():
        return _lines(("option", "takes", "what it is"), _family(name))
    if name == "names":
        return _lines(("option", "vendors' fields"), _names())
    if name == "replicate":
        return _lines(("model", "does", "its name at every provider"), _replicate())
    return _lines(("model", "does", "options: the vendor's field, what it takes (the default)"), _vendor(name))


def _lines(heading: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _family(name: str) -> Iterator[tuple[str, ...]]:
    for option, schema in family_schemas(name).items():
        yield f"`{option}`", _takes(schema), schema["description"].rstrip(".")


def _names() -> Iterator[tuple[str, ...]]:
    for option, fields in sorted(FIELDS.items()):
        yield f"`{option}`", ", ".join(f"`{field}`" for field in fields)


def _vendor(name: str) -> Iterator[tuple[str, ...]]:
    for model, capability, rows in _MODELS[name]():
        told = "; ".join(map(_told, rows))
        yield f"`{model}`", capability, told or "none of the family's"


def _told(row: Row) -> str:
    field = f" = `{row.field}`" if row.field and row.field != row.option else ""
    default = f" ({_short(row.default)})" if row.default not in (None, "") else ""
    return f"`{row.option}`{field} {row.takes}{default}"


def _short(value: Any) -> str:
    text = ", ".join(map(str, value.values())) if isinstance(value, dict) else str(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - a value of a JSON Schema
    return text if len(text) <= 30 else f"{text[:30]}..."


def _takes(schema: Mapping[str, Any]) -> str:
    if schema.get("maxLength") == _USUAL_TEXT:
        return "text"
    return takes(schema).replace("|", "\\|").replace("one of ", "")


def _fal() -> Iterator[tuple[str, str, list[Row]]]:
    for name, endpoint in importlib.import_module("provider_servers.fal.endpoints").built_in().items():
        if not endpoint.gone:
            rows = [Row(row.option, row.field, _row_takes(row), row.default) for row in endpoint.options.rows()]
            yield name, endpoint.model.capabilities[0], rows


def _row_takes(row: Row) -> str:
    of_media = row.takes.removeprefix("container: ").partition(", sample_rate_hertz")[0]
    return of_media.replace("a whole number of ", "").replace("a number of ", "").replace("one of ", "")


def _elevenlabs() -> Iterator[tuple[str, str, list[Row]]]:
    models = importlib.import_module("provider_servers.elevenlabs.models")
    for name in ("eleven_multilingual_v2", models.SOUND_MODEL, models.HEARING[0]):
        yield from _by_hand(models.named(name, 0.0), _CALLED["elevenlabs"])


def _replicate() -> Iterator[tuple[str, ...]]:
    for one in importlib.import_module("provider_servers.replicate.known").KNOWN:
        yield f"`{one.slug}`", one.capability, f"`{one.canonical_id}`" if one.canonical_id else ""


def _openai() -> Iterator[tuple[str, str, list[Row]]]:
    media_models = importlib.import_module("provider_servers.openai.media_models").media_models
    for name in ("gpt-image-2", "gpt-image-1.5", "gpt-4o-mini-tts", "gpt-transcribe", "whisper-1"):
        for model in media_models(name):
            yield from _by_hand(model, _CALLED["openai"])


def _creatify() -> Iterator[tuple[str, str, list[Row]]]:
    for offer in importlib.import_module("provider_servers.creatify.models").OFFERS.values():
        yield from _by_hand(offer.model, offer.names)


def _by_hand(model: Any, called: Mapping[str, str]) -> Iterator[tuple[str, str, list[Row]]]:
    """Give a model whose options are written by hand: those that its families share."""
    shared = {option for one in model.capabilities for option in _fields(one)}
    rows = [
        Row(
            name,
            called.get(f"{model.capabilities[0]} {name}", called.get(name, "")),
            _row_takes(Row(name, "", takes(rule))),
            rule.get("default"),
        )
        for name, rule in model.options.items()
        if name in shared
    ]
    yield model.id, model.capabilities[0], rows


def _fields(capability: str) -> list[str]:
    from automarket.v1.transform_pb2 import TransformHeader

    family = FAMILIES.get(capability)
    message = TransformHeader.DESCRIPTOR.fields_by_name[family].message_type if family else None
    return list(message.fields_by_name) if message else []


_MODELS: dict[str, Callable[[], Iterator[tuple[str, str, list[Row]]]]] = {
    "fal": _fal,
    "openai": _openai,
    "elevenlabs": _elevenlabs,
    "creatify": _creatify,
}

if __name__ == "__main__":
    sys.exit(main())
