"""What Creatify makes, as data: its models, their options, what a second of each costs in credits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from automarket.assets.roles import Role
from automarket.families import FAMILIES
from provider_servers.runtime.describe import Model, Output, Pricing, Slot
from provider_servers.runtime.family_options import family_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_CHARACTERS = 8000
MAX_SECONDS = 300.0
MAX_AURORA_SECONDS = 60.0
_OFFSET = {"type": "number", "minimum": -0.5, "maximum": 0.5}
_SOUND = ("audio/mpeg", "audio/wav")
_PERSON = {"description": "One of Creatify's persons, or of your own, by name or id."}
_VOICE = {"description": "One of Creatify's voices by name, by name and accent (Anna / British accent), or by id."}
_VIDEO = (Output("video", Role.VIDEO, ("video/mp4",), streamed=False),)
_SPEECH = Slot("speech", Role.SPEECH, media_types=_SOUND, max_seconds=MAX_SECONDS, description="What is said.")


@dataclass(frozen=True, slots=True)
class Offer:
    """One model and how it is asked for.

    Attributes:
        kind: of the job: the path below /api.
        names: the vendor's, of inputs and options that it calls otherwise.
        fixed: fields that are always the same.
        credits: what `seconds` of the result cost; a part of them counts whole.
    """

    model: Model
    kind: str
    names: Mapping[str, str]
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    credits: float = 1.0
    seconds: float = 30.0

    @property
    def family(self) -> str:
        """Where the options of a call stand in its header."""
        return FAMILIES[self.model.capabilities[0]]

    def paths(self) -> dict[str, str]:
        """Give the paths of a request by the vendor's names of its fields."""
        slots = {self.names.get(slot.name, slot.name): f"inputs.{slot.name}" for slot in self.model.inputs}
        return {self.names.get(name, name): f"{self.family}.{name}" for name in self.model.options} | slots


def _model(model: str, capability: str, inputs: tuple[Slot, ...], outputs: tuple[Output, ...], **more: Any) -> Model:
    return Model(model, (capability,), inputs, outputs, long_running=True, resumable=True, **more)


LIPSYNC = Offer(
    _model(
        "lipsync",
        "avatar-generation",
        (
            Slot("text", Role.TEXT, optional=True, max_characters=MAX_CHARACTERS, description="What the person says."),
            Slot(
                "speech",
                Role.SPEECH,
                optional=True,
                media_types=_SOUND,
                max_seconds=MAX_SECONDS,
                description="The same as sound; a text beside it is not said.",
            ),
        ),
        _VIDEO,
        options={
            **family_schemas(
                "avatar-generation",
                *("avatar", "voice", "aspect_ratio"),
                avatar=_PERSON,
                voice=_VOICE,
                aspect_ratio={"enum": ["9:16", "16:9", "1:1"], "default": "9:16"},
            ),
            "model_version": {
                "type": "string",
                "enum": ["standard", "aurora_v1", "aurora_v1_fast"],
                "default": "standard",
                "description": "Which model makes the person speak.",
            },
            "green_screen": {"type": "boolean", "description": "Put the person before a green screen."},
            "transparent_background": {"type": "boolean", "description": "Leave the background out."},
            "no_caption": {"type": "boolean", "description": "Leave captions out."},
            "no_music": {"type": "boolean", "description": "Leave music out."},
            "caption_style": {"type": "string", "maxLength": 100, "description": "How captions look: normal-black."},
            "caption_offset_x": {**_OFFSET, "description": "Where captions are, from the middle."},
            "caption_offset_y": {**_OFFSET, "description": "Where captions are, from the middle."},
        },
        name="AI avatar",
        description="One of Creatify's persons says a text, or what is heard.",
    ),
    "lipsyncs",
    {"speech": "audio", "avatar": "creator", "voice": "accent"},
    credits=5,
)


def _aurora(model: str, version: str, per_second: float, name: str) -> Offer:
    guidance = {"type": "number", "minimum": 0, "description": "How closely the person follows the prompt."}
    picture = Slot(
        "image",
        Role.IMAGE,
        media_types=("image/jpeg", "image/png", "image/webp"),
        description="Who speaks: a portrait, or any picture with a face.",
    )
    made = _model(
        model,
        "avatar-generation",
        (picture, replace(_SPEECH, max_seconds=MAX_AURORA_SECONDS)),
        _VIDEO,
        options={**family_schemas("avatar-generation", "prompt"), "prompt_guidance_scale": guidance},
        name=name,
        description="The person of a picture says what is heard.",
    )
    return Offer(
        made, "aurora", {"speech": "audio", "prompt": "text_prompt"}, {"model_version": version}, per_second, 1.0
    )


SPEECH = Offer(
    _model(
        "text-to-speech",
        "text-to-speech",
        (Slot("text", Role.TEXT, max_characters=MAX_CHARACTERS, description="What is said."),),
        (Output("speech", Role.SPEECH, ("audio/wav", "audio/mpeg"), streamed=False),),
        options=family_schemas("text_to_speech", "voice", voice=_VOICE),
        name="Text to speech",
        description="One of Creatify's voices says a text.",
    ),
    "text_to_speech",
    {"text": "script", "voice": "accent"},
)
OFFERS: dict[str, Offer] = {
    one.model.id: one
    for one in (
        LIPSYNC,
        _aurora("aurora-v1", "aurora_v1", 1.0, "Aurora 1.0"),
        _aurora("aurora-v1-fast", "aurora_v1_fast", 0.5, "Aurora 1.0 Fast"),
        SPEECH,
    )
}
"""By the model's id."""
VERSIONS = {"aurora_v1": OFFERS["aurora-v1"], "aurora_v1_fast": OFFERS["aurora-v1-fast"]}
"""What the option `model_version` of an avatar costs like."""


def price(credit: float) -> Pricing | None:
    """Give the price of a model, whose unit is the credit; None where nobody has said what that costs."""
    return Pricing("credit", output_cost=credit) if credit else None
