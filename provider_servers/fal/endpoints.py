"""Endpoints of fal.ai as models: what their schemas say of inputs, options and outputs.

`models.json` holds what is known of the endpoints that are offered: the fields of their inputs with ranges, choices and
defaults, as the vendor's own client types them. An endpoint that is asked for by its id is read from its own document:
see `openapi`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from automarket.assets.roles import Role
from provider_servers.runtime.describe import Model, Output, Slot
from provider_servers.runtime.vendor_options import VendorOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS = 50_000
# What a field takes whose name ends like a URL's: the slot by the field's name.
_MEDIA = (
    ("end_image", Role.IMAGE, re.compile(r"(end|tail|last|final)_(image|frame)")),
    ("mask", Role.IMAGE, re.compile(r"mask")),
    ("face", Role.IMAGE, re.compile(r"face|swap_image")),
    ("video", Role.VIDEO, re.compile(r"video")),
    ("audio", Role.AUDIO, re.compile(r"audio|voice|speech|song|music|sound")),
    ("image", Role.IMAGE, re.compile(r"image|photo|picture|frame")),
)
_URL = re.compile(r"_urls?$")
_TEXTS = ("prompt", "text", "gen_text", "input", "script", "lyrics")
_ORDER = ("text", "video", "image", "images", "face", "end_image", "speech", "audio", "mask")
_TYPES = {
    Role.IMAGE: ("image/png", "image/jpeg", "image/webp"),
    Role.VIDEO: (),
    Role.AUDIO: ("audio/mpeg", "audio/wav", "audio/ogg", "audio/mp4"),
    Role.SPEECH: ("audio/mpeg", "audio/wav", "audio/ogg", "audio/mp4"),
}
MAKES = {
    "images": Output("image", Role.IMAGE, ("image/jpeg", "image/png"), streamed=False),
    "image": Output("image", Role.IMAGE, ("image/png", "image/jpeg"), streamed=False),
    "video": Output("video", Role.VIDEO, ("video/mp4",), streamed=False),
    "audio": Output("audio", Role.AUDIO, ("audio/mpeg", "audio/wav"), streamed=False),
    "audio_file": Output("audio", Role.AUDIO, ("audio/mpeg", "audio/wav"), streamed=False),
    "output": Output("text", Role.TEXT, ("text/plain",), streamed=False),
    "text": Output("text", Role.TEXT, ("text/plain",), streamed=False),
}
_UPSCALES = re.compile(r"upscal|esrgan|enhance|super-?res")
# Role of the output, slots that are needed, what the id says, what that is; the first that fits.
_CAPABILITIES: tuple[tuple[Role, frozenset[str], str, str], ...] = (
    (Role.VIDEO, frozenset(("video", "audio")), "", "lip-sync"),
    (Role.VIDEO, frozenset(("video", "face")), "", "face-swap"),
    (Role.VIDEO, frozenset(("image", "audio")), "", "avatar-generation"),
    (Role.VIDEO, frozenset(("video",)), _UPSCALES.pattern, "video-upscale"),
    (Role.VIDEO, frozenset(("video",)), "", "video-to-video"),
    (Role.VIDEO, frozenset(("image",)), "", "image-to-video"),
    (Role.VIDEO, frozenset(), "", "text-to-video"),
    (Role.IMAGE, frozenset(("video",)), "", "video-to-image"),
    (Role.IMAGE, frozenset(("image",)), _UPSCALES.pattern, "image-upscale"),
    (Role.IMAGE, frozenset(("image",)), "", "image-to-image"),
    (Role.IMAGE, frozenset(("images",)), "", "image-to-image"),
    (Role.IMAGE, frozenset(), "", "text-to-image"),
    (Role.AUDIO, frozenset(("video",)), "", "video-to-audio"),
    (Role.AUDIO, frozenset(("audio",)), "", "audio-to-audio"),
    (Role.AUDIO, frozenset(), "tts|speech|voice", "text-to-speech"),
    (Role.AUDIO, frozenset(), "music|song", "text-to-music"),
    (Role.AUDIO, frozenset(), "sound|sfx", "text-to-sound"),
    (Role.AUDIO, frozenset(), "", "text-to-audio"),
    (Role.TEXT, frozenset(("image",)), "", "image-to-text"),
    (Role.TEXT, frozenset(("audio",)), "", "speech-to-text"),
    (Role.TEXT, frozenset(("video",)), "", "video-to-text"),
    (Role.TEXT, frozenset(), "", "text-to-text"),
)


class Facts(msgspec.Struct):
    """What is known of an endpoint.

    Attributes:
        fields: JSON Schemas of its input, by name.
        required: those that have to be given.
        makes: the field of its output that holds what it makes.
        slots: slots of fields, where their names do not tell.
        frame_rate: pictures a second of its videos, where no field says it; 0 where that is not known.
        gone: the endpoint that takes its place, where the vendor has it no more.
    """

    fields: dict[str, dict[str, Any]]
    makes: str
    required: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    canonical_id: str = ""
    name: str = ""
    description: str = ""
    capability: str = ""
    slots: dict[str, str] = {}
    frame_rate: float = 0
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint: the model that it is, and how a call of it becomes the vendor's input.

    Attributes:
        model: as it is offered.
        options: how options are said.
        text: the field that takes the text; empty where none does.
        media: fields by slot; `lists` are the slots whose field takes several.
        makes: the field of the output that holds what it makes.
        gone: the endpoint that takes its place, where the vendor has it no more.
        needs: options that have to be given.
        has_seed: a field takes a seed.
        frame_rate: pictures a second of its videos, where no field says it; 0 where that is not known.
    """

    model: Model
    options: VendorOptions
    makes: str
    text: str = ""
    media: Mapping[str, str] = field(default_factory=dict[str, str])
    lists: frozenset[str] = frozenset()
    gone: str = ""
    needs: tuple[str, ...] = ()
    has_seed: bool = False
    frame_rate: float = 0

    def names(self) -> dict[str, str]:
        """Give the paths of our request by the vendor's fields, for errors."""
        family = self.model.capabilities[0].replace("-", "_")
        rows = {row.field: f"{family}.{row.option}" for row in self.options.rows() if row.field}
        own = {name: f"model_options.{name}" for name in self.model.options}
        slots = {name: f"inputs.{slot}" for slot, name in self.media.items()}
        return own | rows | slots | ({self.text: "inputs.text"} if self.text else {})


@cache
def built_in() -> dict[str, Endpoint]:
    """Give the endpoints that are offered, by id; those that are gone come last."""
    data = resources.files("provider_servers.fal").joinpath("models.json").read_bytes()
    known = msgspec.json.decode(data, type=dict[str, Facts])
    return {name: read_endpoint(name, facts) for name, facts in known.items()}


def read_endpoint(name: str, facts: Facts) -> Endpoint:
    """Make a model of an endpoint."""
    output = MAKES[facts.makes]
    media = _media(facts)
    needed = {slot for one, (slot, _, _) in media.items() if one in facts.required}
    capability = facts.capability or next(
        what for role, takes, said, what in _CAPABILITIES
        if role is output.role and takes <= needed and re.search(said, name)
    )  # fmt: skip
    if capability in ("lip-sync", "avatar-generation"):
        media = {one: ("speech", Role.SPEECH, many) if slot == "audio" else (slot, role, many)
                 for one, (slot, role, many) in media.items()}  # fmt: skip
    text = next((one for one in _TEXTS if one in facts.fields), "") if capability.startswith("text-to-") else ""
    slots = [_text_slot(facts.fields[text], required=text in facts.required)] if text else []
    slots += [
        _media_slot(slot, role, many, required=one in facts.required) for one, (slot, role, many) in media.items()
    ]
    fields = {one: rule for one, rule in facts.fields.items() if one != text and one not in media}
    options = VendorOptions(capability, fields, frame_rate=facts.frame_rate or None, hidden=_hidden(fields))
    model = Model(
        name,
        (capability,),
        tuple(sorted(slots, key=lambda slot: _ORDER.index(slot.name) if slot.name in _ORDER else len(_ORDER))),
        (replace(output, name="speech", role=Role.SPEECH) if capability == "text-to-speech" else output,),
        options.schemas,
        canonical_id=facts.canonical_id,
        aliases=facts.aliases,
        name=facts.name or name.removeprefix("fal-ai/"),
        description=f"Gone: the vendor has {facts.gone} instead." if facts.gone else facts.description,
        long_running=True,
        resumable=True,
        from_vendor_schema=True,
    )
    return Endpoint(
        model,
        options,
        facts.makes,
        text,
        {slot: one for one, (slot, _, _) in media.items()},
        frozenset(slot for slot, _, many in media.values() if many),
        facts.gone,
        tuple(one for one in facts.required if one in model.options),
        "seed" in facts.fields,
        facts.frame_rate,
    )


def _hidden(fields: Mapping[str, dict[str, Any]]) -> frozenset[str]:
    """Give the fields that nobody may set: the vendor's own, and whether outputs come as data URIs."""
    inline = fields.get("sync_mode", {}).get("type") == "boolean"
    return frozenset(("request_id", "sync_mode") if inline else ("request_id",))


def _media(facts: Facts) -> dict[str, tuple[str, Role, bool]]:
    """Give slot, role and whether it takes several, by field; of two for one slot the second keeps its own name."""
    found: dict[str, tuple[str, Role, bool]] = {}
    taken: set[str] = set()
    for one, rule in sorted(facts.fields.items(), key=lambda pair: pair[0] not in facts.required):
        many = rule.get("type") == "array"
        if not _URL.search(one) or rule.get("type") not in ("string", "array"):
            continue
        known = next(((slot, role) for slot, role, said in _MEDIA if said.search(one)), None)
        if named := facts.slots.get(one):
            known = (named, next(role for slot, role, _ in _MEDIA if slot == named))
        if known is None:
            continue
        slot, role = known
        slot = f"{slot}s" if many else slot
        slot = _URL.sub("", one) if slot in taken else slot
        taken.add(slot)
        found[one] = (slot, role, many)
    return found


def _text_slot(rule: Mapping[str, Any], *, required: bool) -> Slot:
    return Slot(
        "text", Role.TEXT, optional=not required, max_characters=rule.get("maxLength", MAX_CHARACTERS),
        description=rule.get("description", ""),
    )  # fmt: skip


def _media_slot(name: str, role: Role, many: bool, *, required: bool) -> Slot:
    return Slot(name, role, optional=not required, repeated=many, media_types=_TYPES[role])
