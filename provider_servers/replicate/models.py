"""Models of Replicate from their schemas, and what a prediction is given for a call: no model has code of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.errors import OptionInvalid
from automarket.families import FAMILIES
from provider_servers.replicate.kinds import kind_of
from provider_servers.replicate.options import Option, options_of
from provider_servers.runtime.chat_model import chat_inputs
from provider_servers.runtime.describe import Model, Output, Pricing, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provider_servers.replicate.cog import CogInput, CogModel

TEXTS = ("text", "prompt", "script", "input_text", "gen_text", "tts_text", "description", "input")
"""The inputs that take the text of a text-to-anything model, the likeliest first."""

MAX_DESCRIPTION = 240
MAX_CHARACTERS = 100_000
_OUTPUTS = {Role.IMAGE: "image", Role.VIDEO: "video", Role.AUDIO: "audio", Role.TEXT: "text"}


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a call of a model becomes the input of a prediction.

    Attributes:
        model: as it is described to the mesh.
        version: what the prediction names; empty for an official model.
        slug: owner/name.
        text: the input that takes the text; empty where there is none.
        media: the input of each slot.
        lists: slots whose input takes a list.
        options: every option.
        tells: the output is text that comes in pieces.
    """

    model: Model
    version: str
    slug: str
    text: str = ""
    media: Mapping[str, str] = field(default_factory=dict[str, str])
    lists: frozenset[str] = frozenset()
    options: tuple[Option, ...] = ()
    tells: bool = False

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Give the vendor's values of a call's options.

        Raises:
            OptionInvalid: one is missing that the vendor requires.
        """
        for one in self.options:
            if one.required and given.get(one.name) in (None, ""):
                family = FAMILIES.get(self.model.capabilities[0], "model_options")
                message = f"option {one.name}: model {self.model.id} needs it"
                raise OptionInvalid(message, fields={f"header.{family}.{one.name}": "required"})
        return {one.vendor: one.encode(given[one.name]) for one in self.options if one.name in given}

    def named(self, vendor: str) -> str:
        """Give our name for an input: an option's, a slot's, or "text"."""
        slots = {taken: name for name, taken in self.media.items()} | ({self.text: "text"} if self.text else {})
        return slots.get(vendor) or next((one.name for one in self.options if one.vendor == vendor), vendor)


def recipe_of(cog: CogModel, *, capability: str = "", canonical_id: str = "", price: float | None = None) -> Recipe:
    """Describe a model.

    Args:
        cog: what its schema says.
        capability: what it does, where that is known already.
        canonical_id: its name at every provider, where it has one.
        price: US dollars for a second of its run, where that is known.
    """
    kind = kind_of(cog, capability)
    text = _text_input(cog, kind.capability)
    is_chat = kind.capability == "text-to-text"
    media = () if is_chat else kind.slots
    taken = {one.input.name for one in kind.slots} | ({text.name} if text else set[str]())
    options = options_of([one for one in cog.inputs if one.name not in taken], kind.capability)
    slots = (_text_slot(text), *(one.slot for one in media)) if text else tuple(one.slot for one in media)
    name = "speech" if kind.capability in ("text-to-speech", "voice-cloning") else _OUTPUTS[kind.makes]
    role = Role.SPEECH if name == "speech" else kind.makes
    model = Model(
        id=cog.id,
        capabilities=(kind.capability,),
        inputs=chat_inputs() if is_chat else slots,
        outputs=(Output(name, role, kind.media_types, streamed=kind.makes is Role.TEXT),),
        options={one.name: one.rule for one in options},
        canonical_id=canonical_id,
        name=cog.slug.partition("/")[2],
        description=_short(cog.description),
        version=cog.version,
        pricing=None if price is None else Pricing("second", output_cost=price),
    )
    return Recipe(
        model,
        cog.version,
        cog.slug,
        text.name if text else "",
        {one.slot.name: one.input.name for one in media},
        frozenset(one.slot.name for one in media if one.input.files > 1),
        options,
        cog.tells,
    )


def _text_input(cog: CogModel, capability: str) -> CogInput | None:
    """Give the input that takes the text of a model that makes something of text."""
    if not re.match("text-to-", capability):
        return None
    known = {one.name: one for one in cog.inputs if one.rule.get("type") == "string" and not one.files}
    return next((known[name] for name in TEXTS if name in known), None)


def _text_slot(one: CogInput) -> Slot:
    limit = one.rule.get("maxLength")
    most = limit if isinstance(limit, int) else MAX_CHARACTERS
    described = " ".join(one.description.split())
    return Slot("text", Role.TEXT, optional=not one.required, max_characters=most, description=described)


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MAX_DESCRIPTION else plain[: MAX_DESCRIPTION - 3] + "..."
