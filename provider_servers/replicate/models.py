"""Models of Replicate from their schemas, and what a prediction is given for a call: no model has code of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.errors import OptionInvalid
from automarket.families import FAMILIES
from provider_servers.replicate.kinds import kind_of
from provider_servers.runtime.chat_model import chat_inputs
from provider_servers.runtime.describe import Model, Output, Pricing, Slot
from provider_servers.runtime.vendor_options import VendorOptions

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
        required: options that the vendor wants.
        tells: the output is text that comes in pieces.
        usual_seconds: how long the vendor's own example ran; None where it does not say.
    """

    model: Model
    version: str
    slug: str
    options: VendorOptions
    text: str = ""
    media: Mapping[str, str] = field(default_factory=dict[str, str])
    lists: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    tells: bool = False
    usual_seconds: float | None = None

    @property
    def family(self) -> str:
        """Where the options of a call stand in its header."""
        return FAMILIES.get(self.model.capabilities[0], "model_options")

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Give the vendor's values of a call's options.

        Raises:
            OptionInvalid: one is missing that the vendor wants, or they make no input of the vendor's together.
        """
        for name in self.required:
            if given.get(name) in (None, ""):
                message = f"option {name}: model {self.model.id} needs it"
                raise OptionInvalid(message, fields={f"header.{self.family}.{name}": "required"})
        return self.options.to_vendor(given)

    def paths(self) -> dict[str, str]:
        """Give the paths of a request by the vendor's names of its inputs: "inputs.image", "text_to_image.steps"."""
        found = {vendor: f"inputs.{slot}" for slot, vendor in self.media.items()}
        found |= {self.text: "inputs.text"} if self.text else {}
        for name, vendor in self.options.fields().items():
            found[vendor] = f"{self.family}.{name}"
        return found


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
    fields = {one.name: one.rule for one in cog.inputs if one.name not in taken}
    options = VendorOptions(FAMILIES.get(kind.capability, ""), fields)
    named = {field: name for name, field in options.fields().items()}
    slots = (*([_text_slot(text)] if text else []), *(one.slot for one in media))
    name = "speech" if kind.capability == "text-to-speech" else _OUTPUTS[kind.makes]
    role = Role.SPEECH if name == "speech" else kind.makes
    model = Model(
        id=cog.id,
        capabilities=(kind.capability,),
        inputs=chat_inputs() if is_chat else slots,
        outputs=(Output(name, role, kind.media_types, streamed=kind.makes is Role.TEXT),),
        options=options.schemas,
        canonical_id=canonical_id,
        name=cog.slug.partition("/")[2],
        description=_short(cog.description),
        version=cog.version,
        pricing=None if price is None else Pricing("second", output_cost=price),
        long_running=not cog.tells,
        resumable=True,
        from_vendor_schema=True,
    )
    return Recipe(
        model,
        cog.version,
        cog.slug,
        options,
        text.name if text else "",
        {one.slot.name: one.input.name for one in media},
        frozenset(one.slot.name for one in media if one.input.files > 1),
        tuple(named[one.name] for one in cog.inputs if one.required and one.name in named),
        cog.tells,
        cog.usual_seconds,
    )


def _text_input(cog: CogModel, capability: str) -> CogInput | None:
    """Give the input that takes the text of a model that makes something of text."""
    if not capability.startswith("text-to-"):
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
