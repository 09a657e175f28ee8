"""What FFmpeg can do, as models: slots, outputs and options."""

from __future__ import annotations

from typing import Any

from automarket.assets.formats import all_formats
from automarket.assets.roles import Role
from automarket.media.demands import MAX_PIXELS_WIDE
from automarket.media.encodings import IMAGES
from provider_servers.ffmpeg.layout import POSITIONS
from provider_servers.ffmpeg.moments import MOST_PICTURES
from provider_servers.runtime import Model, Output, Slot
from provider_servers.runtime.sound_format import SOUND_FORMAT_SCHEMA, SOUND_MEDIA_TYPES

MOST_OVERLAYS = 32


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _seconds(description: str, **bounds: float) -> dict[str, Any]:
    return {"type": "number", **bounds, "description": description}


def _pixels(description: str, lowest: int = 1) -> dict[str, Any]:
    return {"type": "integer", "minimum": lowest, "maximum": MAX_PIXELS_WIDE, "description": description}


def _sound_options() -> dict[str, Any]:
    return {
        "format": SOUND_FORMAT_SCHEMA,
        "start": _seconds("Where to begin, in seconds.", minimum=0),
        "duration": _seconds("How much to take, in seconds; not set takes all.", exclusiveMinimum=0),
    }


def _picture_options() -> dict[str, Any]:
    form = _object(
        container={"type": "string", "enum": list(IMAGES)},
        max_width=_pixels("The picture is scaled down to at most this width."),
        max_height=_pixels("The picture is scaled down to at most this height."),
    )
    moment = _seconds("Seconds from the start.", minimum=0)
    return {
        "times": {"type": "array", "items": moment, "maxItems": MOST_PICTURES, "description": "Moments to take."},
        "interval": _seconds("Take a picture every so many seconds, from the start.", exclusiveMinimum=0),
        "count": {
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_PICTURES,
            "description": "Take so many pictures, from the middles of equal parts.",
        },
        "format": form | {"description": "What the pictures have to look like."},
    }


def _overlay_options() -> dict[str, Any]:
    overlay = _object(
        x=_pixels("Left edge; negative values count from the right edge of the base.", -MAX_PIXELS_WIDE),
        y=_pixels("Top edge; negative values count from the bottom edge of the base.", -MAX_PIXELS_WIDE),
        position={"type": "string", "enum": list(POSITIONS), "description": "A named place instead of x and y."},
        width=_pixels("Not set keeps the aspect ratio, or the overlay's own width."),
        height=_pixels("Not set keeps the aspect ratio, or the overlay's own height."),
        start=_seconds("When it appears, in seconds.", minimum=0),
        duration=_seconds("How long it stays, in seconds; not set stays to its own end.", exclusiveMinimum=0),
        opacity={"type": "number", "minimum": 0, "maximum": 1, "description": "1, the default, is solid."},
    )
    what = "How to lay each overlay, in the order of the inputs of slot overlays."
    return {"overlays": {"type": "array", "items": overlay, "maxItems": MOST_OVERLAYS, "description": what}}


def _visible_types() -> tuple[str, ...]:
    """Give the media types of everything that has a picture."""
    return tuple(known.media_type for known in all_formats() if known.roles & {Role.VIDEO, Role.IMAGE})


def picture_type(container: str) -> str:
    """Give the media type of pictures in a container."""
    return f"image/{container}"


_SOUND = Output("audio", Role.AUDIO, SOUND_MEDIA_TYPES, streamed=False)
_PICTURES = Output("image", Role.IMAGE, tuple(map(picture_type, IMAGES)))
_VIDEO = Slot("video", Role.VIDEO, description="The video.")

EXTRACT_AUDIO = Model(
    id="extract-audio",
    name="Sound of a video",
    description="Takes the sound track out of a video, whole or in part, in the format that is asked for.",
    capabilities=("video-to-audio",),
    inputs=(_VIDEO,),
    outputs=(_SOUND,),
    options=_sound_options(),
    replay_safe=True,
)
CONVERT_AUDIO = Model(
    id="convert-audio",
    name="Sound conversion",
    description="Converts sound to another container, codec, sample rate or number of channels, and cuts it.",
    capabilities=("audio-to-audio",),
    inputs=(Slot("audio", Role.AUDIO, description="The sound."),),
    outputs=(_SOUND,),
    options=_sound_options(),
    replay_safe=True,
)
EXTRACT_IMAGES = Model(
    id="extract-images",
    aliases=("frames",),
    name="Pictures of a video",
    description="Takes pictures out of a video: at given moments, at every interval or evenly spread.",
    capabilities=("video-to-image",),
    inputs=(_VIDEO,),
    outputs=(_PICTURES,),
    options=_picture_options(),
    replay_safe=True,
)
COMPOSE = Model(
    id="compose",
    name="Video composition",
    description="Lays pictures and videos over a video and keeps its sound. Gives MP4 with H.264 and AAC.",
    capabilities=("video-composition",),
    inputs=(
        Slot("video", Role.VIDEO, description="The base, which sets size, length and sound."),
        Slot(
            "overlays",
            Role.VIDEO,
            repeated=True,
            media_types=_visible_types(),
            max_count=MOST_OVERLAYS,
            description="Videos and pictures to lay over the base, the last one on top. Of a GIF the first picture.",
        ),
    ),
    outputs=(Output("video", Role.VIDEO, ("video/mp4",), streamed=False),),
    options=_overlay_options(),
    replay_safe=True,
)
ALL = (EXTRACT_AUDIO, CONVERT_AUDIO, EXTRACT_IMAGES, COMPOSE)
