"""What happens in a transform, as plain values. Times within media are seconds from the start of the input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automarket.chat.results import Completion
    from automarket.media.info import CastSpec, MediaInfo


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; `sequence` is the number that the server gave, 0 for the client's own events."""

    sequence: int = field(default=0, kw_only=True)


@dataclass(frozen=True, slots=True)
class Uploading(Event):
    """An input is on its way to the asset store, sent or by file; `input` is its number from 0. Made by the client."""

    input: int
    sent_bytes: int
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Uploaded(Event):
    """The asset store has an input: sent, handed over by file, or, where both are 0, had before. Made by the client."""

    input: int
    digest: str
    size_bytes: int
    sent_bytes: int
    by_file_bytes: int = 0


@dataclass(frozen=True, slots=True)
class CastMade:
    """One cast of an input; the digests are empty for what flowed without being stored. `elapsed` is seconds."""

    slot: str
    source_digest: str
    digest: str
    spec: CastSpec | None
    cached: bool
    elapsed: float


@dataclass(frozen=True, slots=True)
class Accepted(Event):
    """A provider has taken the work."""

    provider_id: str
    instance_id: str
    model_id: str
    casts: tuple[CastMade, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress(Event):
    """How far the work is; `fraction` is 0 to 1, None when unknown.

    `queue_position` says how many are before it in the line, None when it does not wait or nobody says; `log_lines`
    are what the vendor wrote since the last event.
    """

    phase: str
    fraction: float | None
    message: str
    queue_position: int | None = None
    log_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutputStarted(Event):
    """An output begins."""

    output: int
    name: str
    media_type: str


@dataclass(frozen=True, slots=True)
class OutputChunk(Event):
    """A piece of an output."""

    output: int
    offset_bytes: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextDelta(Event):
    """Text as it is made: the tokens that were ready together."""

    output: int
    tokens: tuple[str, ...]

    @property
    def text(self) -> str:
        """The tokens as one text."""
        return "".join(self.tokens)


@dataclass(frozen=True, slots=True)
class ReasoningDelta(Event):
    """What a language model thinks, as it is made; no part of any output.

    A `signature` ends a stretch of it: the vendor's seal, which it wants back when the conversation goes on.
    """

    output: int
    tokens: tuple[str, ...]
    signature: str = ""

    @property
    def text(self) -> str:
        """The tokens as one text."""
        return "".join(self.tokens)


@dataclass(frozen=True, slots=True)
class ToolCallDelta(Event):
    """More of a tool call; `index` says which one of this answer. `id` and `name` are in its first piece only."""

    output: int
    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Word:
    """One word with its time; `confidence` is 0 to 1, None when the model does not say."""

    start: float
    end: float
    text: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Segment(Event):
    """A stretch of the input with its words; `words` only when asked for."""

    output: int
    start: float
    end: float
    text: str
    confidence: float | None = None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Generated:
    """What is known of media that a model made, beside its technical facts. See `MediaMetadata`."""

    seed: int | None = None
    flagged: bool | None = None
    safety_flags: tuple[str, ...] = ()
    revised_prompt: str = ""
    vendor_request_id: str = ""


@dataclass(frozen=True, slots=True)
class OutputFinished(Event):
    """An output is complete; `stored` tells whether the asset store keeps it.

    `composition` holds the facts of a video composition, as in `CompositionResult.facts`; `completion` says how a text
    of a language model ended; `generated` is what is known of media that a model made.
    """

    output: int
    digest: str
    size_bytes: int
    media_info: MediaInfo | None
    stored: bool
    language: str | None = None
    confidence: float | None = None
    composition: dict[str, Any] | None = None
    completion: Completion | None = None
    generated: Generated | None = None


@dataclass(frozen=True, slots=True)
class Usage(Event):
    """What was used, counted in `unit`, and what it cost; what is None is not known.

    Of the input, `cached_input_units` came from the vendor's cache and `cache_write_units` went into it; of the output,
    `reasoning_units` went into reasoning.
    """

    unit: str
    input_units: float
    output_units: float
    cost: float | None = None
    currency: str = ""
    cached_input_units: float | None = None
    cache_write_units: float | None = None
    reasoning_units: float | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint(Event):
    """Where the provider could go on after a crash; opaque."""

    state: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StageTiming:
    """Seconds spent in one stage.

    "queued", "casting", "starting" (the wait for a backend), "loading", "running", "storing".
    """

    stage: str
    elapsed: float


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """The transform succeeded."""

    stages: tuple[StageTiming, ...] = ()
