"""Facts of a video that was made from a video, for models that do not say them: read from the result and its base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket import capabilities
from automarket.assets.roles import Role
from automarket.errors import AutoMarketError
from automarket.media.probe import probe
from provider_servers.runtime.events import Composition, Resolution
from provider_servers.runtime.vendor_fields import ratio_of

if TYPE_CHECKING:
    from automarket.media.info import MediaInfo
    from provider_servers.runtime.call import Call
    from provider_servers.runtime.media_input import MediaInput


def base_of(call: Call) -> MediaInput | None:
    """Give the video that a call makes a video of; None for a model of another kind."""
    if not any(capabilities.is_a(name, "video-to-video") for name in call.model.capabilities):
        return None
    videos = (slot for slot in call.model.inputs if slot.role == Role.VIDEO)
    return next((call.slots[slot.name][0] for slot in videos if call.slots.get(slot.name)), None)


async def composition_of(made: MediaInfo, base: MediaInput | None) -> Composition | None:
    """Give the facts; None where there is no base in a file, or one of the two has no pictures."""
    file = base.kept_file if base is not None else None
    if file is None or made.video is None or not made.duration:
        return None
    try:
        before = await probe(file)
    except AutoMarketError:  # the model could read it, or has said what is wrong
        return None
    if before.video is None or not before.duration:
        return None
    return Composition(
        duration=made.duration,
        resolution=Resolution(made.video.width, made.video.height),
        aspect_ratio=ratio_of(made.video.width, made.video.height),
        frame_rate=made.video.frame_rate,
        base_duration=before.duration,
        base_resolution=Resolution(before.video.width, before.video.height),
        overlays=(),
    )
