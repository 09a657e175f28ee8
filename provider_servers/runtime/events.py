"""What an author's `transform` yields. The runtime numbers the events, stores media and adds what is common to all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from automarket.chat.results import Completion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from automarket.media.info import MediaInfo


@dataclass(frozen=True, slots=True)
class Started:
    """The backend has taken the work. Any other event says so too; yield this when the first one may take long."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is: a phase ("loading", "running"), a fraction of 0 to 1 if known, a message for people.

    Attributes:
        queue_position: how many are before it in the vendor's line; None when it does not wait or nobody says.
        log_lines: what the vendor wrote since the last event, oldest first; the last 100 are sent, 2 KiB of each.
    """

    phase: str
    fraction: float | None = None
    message: str = ""
    queue_position: int | None = None
    log_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Word:
    """One word, with seconds from the start of the input."""

    start: float
    end: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the input with its words; times are seconds from the start of the input.

    The segments of a call, joined by spaces, are its text output, unless a TextResult says otherwise.
    """

    start: float
    end: float
    text: str
    confidence: float | None = None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of a text output: the tokens that were ready together."""

    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what a language model thinks before it answers: the tokens that were ready together.

    `signature` ends a stretch of reasoning: the vendor's seal, which it wants back when the conversation goes on.
    """

    tokens: tuple[str, ...] = ()
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call.

    Attributes:
        index: which call of this answer, from 0; pieces of several calls may be mixed.
        id: the vendor's name for the call, in its first piece; empty where it has none, and the runtime makes one.
        name: the tool, in the call's first piece.
        arguments: more of a JSON object, as text.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class TextResult:
    """What is known of the text output in the end; `text` replaces what segments or deltas would add up to.

    A text that is not plain says so before its first segment: by a result that has a media type alone.
    """

    text: str | None = None
    language: str = ""
    confidence: float | None = None
    media_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Resolution:
    """Width and height in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PlacedOverlay:
    """One overlay as it was laid: which input, when (seconds), where and how large (pixels)."""

    index: int
    start: float
    duration: float
    x: int
    y: int
    size: Resolution


@dataclass(frozen=True, slots=True)
class Composition:
    """Facts of a finished composition, read from the output. Times are seconds."""

    duration: float
    resolution: Resolution
    aspect_ratio: str
    frame_rate: float
    base_duration: float
    base_resolution: Resolution
    overlays: tuple[PlacedOverlay, ...]


@dataclass(frozen=True, slots=True)
class Generated:
    """What is known of media that a model made, beside its technical facts; what is None the vendor does not say.

    Attributes:
        seed: the same seed and options give the same result.
        flagged: whether the vendor's safety check objected.
        safety_flags: to what, in the vendor's words.
        revised_prompt: the text as the vendor rewrote it.
        vendor_request_id: the vendor's name for the request.
    """

    seed: int | None = None
    flagged: bool | None = None
    safety_flags: tuple[str, ...] = ()
    revised_prompt: str = ""
    vendor_request_id: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """A media output: a file, or bytes as they are made. The runtime sends, digests, probes and stores it.

    Attributes:
        name: the output's name in the model.
        media_type: what it is, e.g. "audio/wav".
        source: a file, or chunks of any size.
        info: its facts, when the author knows them; otherwise they are read from the finished file.
        composition: for video-composition.
        generated: for what a model made.
    """

    name: str
    media_type: str
    source: Path | AsyncIterator[bytes]
    info: MediaInfo | None = None
    composition: Composition | None = None
    generated: Generated | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used, in units ("second", "character", "token"), and what it cost if known.

    Yield it before the media that it paid for: their lineage says what the call has cost so far.

    Where no cost is said and the model has a price by this unit, the runtime works it out.

    Attributes:
        input_units: all that was read, from a cache or not.
        output_units: all that was written, reasoning included.
        cached_input_units: of the input, what the vendor had in its cache; None when it does not say.
        cache_write_units: of the input, what the vendor put into its cache; None when it does not say.
        reasoning_units: of the output, what went into reasoning; None when the vendor does not say.
    """

    unit: str
    input_units: float = 0.0
    output_units: float = 0.0
    cost: float | None = None
    currency: str = ""
    cached_input_units: float | None = None
    cache_write_units: float | None = None
    reasoning_units: float | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a call can go on after a crash; opaque to everybody but the provider, at most 64 KiB.

    Where the caller wants to come back (`call.keeps`) the author's code goes on once the caller has stored it: what is
    done after the `yield` may cost money.
    """

    state: bytes


Spoken = Segment | TextDelta | TextResult | ReasoningDelta | ToolCallDelta | Completion
"""What belongs to a call's text output."""

Event = Started | Progress | Spoken | Media | Usage | Checkpoint

__all__ = [
    "Checkpoint",
    "Completion",
    "Composition",
    "Event",
    "Generated",
    "Media",
    "PlacedOverlay",
    "Progress",
    "ReasoningDelta",
    "Resolution",
    "Segment",
    "Spoken",
    "Started",
    "TextDelta",
    "TextResult",
    "ToolCallDelta",
    "Usage",
    "Word",
]
