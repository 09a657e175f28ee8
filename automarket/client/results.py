"""What a transform gives back, by capability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from automarket.assets import Asset, Audio, Image, Speech, Text, Video
from automarket.errors import InternalFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from automarket.client.events import Accepted, CastMade, OutputFinished, StageTiming, Uploaded, Usage

AssetT = TypeVar("AssetT", bound=Asset)


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a transform: its name in the model's descriptor, the asset, and what the provider said of it."""

    name: str
    asset: Asset
    finished: OutputFinished | None


@dataclass(frozen=True, slots=True)
class CompositionResult:
    """A composed video and its facts, all read from the output.

    `facts` is {duration, resolution {width, height}, aspect_ratio, framerate, base_video_info {duration, resolution},
    overlay_info {count, overlays [{index, start_time, duration, position {x, y}, final_size {width, height}}]}};
    durations and times are seconds, sizes and positions pixels.
    """

    video: Video
    facts: dict[str, Any]


Result: TypeAlias = Asset | list[Image] | list[Asset] | CompositionResult
"""What a transform gives whose capability is not known to the type checker."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a transform went: where its inputs went, who did the work, what was cast, and the time by stage."""

    request_id: str
    trace_id: str
    uploads: tuple[Uploaded, ...]
    accepted: Accepted | None
    casts: tuple[CastMade, ...]
    usage: tuple[Usage, ...]
    stages: tuple[StageTiming, ...]
    outputs: tuple[OutputFinished, ...]


def _only(outputs: Sequence[Output], cls: type[AssetT]) -> AssetT:
    for output in outputs:
        if isinstance(output.asset, cls):
            return output.asset
    made = ", ".join(type(output.asset).__name__.lower() for output in outputs) or "nothing"
    raise InternalFault(f"the provider made {made} where {cls.__name__.lower()} was due")


def text(outputs: Sequence[Output]) -> Text:
    """Give the text."""
    return _only(outputs, Text)


def speech(outputs: Sequence[Output]) -> Speech:
    """Give the speech."""
    return _only(outputs, Speech)


def audio(outputs: Sequence[Output]) -> Audio:
    """Give the sound."""
    return _only(outputs, Audio)


def video(outputs: Sequence[Output]) -> Video:
    """Give the video."""
    return _only(outputs, Video)


def image(outputs: Sequence[Output]) -> Image:
    """Give the picture."""
    return _only(outputs, Image)


def images(outputs: Sequence[Output]) -> list[Image]:
    """Give the pictures, in order; there is at least one."""
    return [output.asset for output in outputs if isinstance(output.asset, Image)] or [image(outputs)]


def composition(outputs: Sequence[Output]) -> CompositionResult:
    """Give the composed video and its facts."""
    facts = next((one.finished.composition for one in outputs if one.finished and one.finished.composition), None)
    if facts is None:
        raise InternalFault("the provider gave no facts of the composition")
    return CompositionResult(_only(outputs, Video), facts)


def whatever_came(outputs: Sequence[Output]) -> Result:
    """Give the only output, or all of them when there are several."""
    if len(outputs) == 1:
        return outputs[0].asset
    return [output.asset for output in outputs]


_BY_CAPABILITY: dict[str, Callable[[Sequence[Output]], Result]] = {
    "text-to-image": images,
    "image-to-image": images,
    "video-to-image": images,
    "video-composition": composition,
}


def for_capability(capability: str) -> Callable[[Sequence[Output]], Result]:
    """Give how the outputs of a capability become a result."""
    return _BY_CAPABILITY.get(capability, whatever_came)
