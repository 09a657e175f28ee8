"""A provider that makes pictures and videos by FFmpeg: `provider_servers.runtime tests.support.painter:Painter`.

It has the stages of a vendor (a line, a log, a fraction), and says a seed, a cost and what it did to the prompt.
"""

from __future__ import annotations

import asyncio
from functools import cache

from provider_servers.runtime import (
    Generated,
    Media,
    Model,
    Output,
    Pricing,
    Progress,
    Provider,
    Role,
    Slot,
    Usage,
    VendorOptions,
    family_schemas,
)

TEXT, IMAGE, VIDEO = Slot("text", Role.TEXT), Slot("image", Role.IMAGE), Slot("video", Role.VIDEO)
SPEECH, FACE = Slot("speech", Role.SPEECH), Slot("face", Role.IMAGE)
IMAGES = (Output("image", Role.IMAGE, ("image/jpeg", "image/png")),)
VIDEOS = (Output("video", Role.VIDEO, ("video/mp4",)),)
FRAMES = {
    "prompt": {"type": "string"},
    "num_frames": {"type": "integer", "minimum": 5, "maximum": 250, "default": 25},
    "fps": {"type": "integer", "minimum": 5, "maximum": 30, "default": 25},
}
STIR = VendorOptions("image_to_video", FRAMES)
PACE = {"pace": {"type": "string", "enum": ["quick", "never"], "default": "quick"}}
BRUSH = family_schemas(
    "text_to_image",
    *("aspect_ratio", "width", "height", "count", "seed", "format"),
    count={"maximum": 4},
    format={"properties": {"container": {"type": "string", "enum": ["jpeg", "png"]}}},
)
SIZES = {"16:9": (320, 180), "1:1": (240, 240)}


FEW = {"maximum": 3}


def model(name, capability, slots, outputs, options):
    price = Pricing("image", output_cost=0.02)
    return Model(name, (capability,), slots, outputs, {**options, **PACE}, pricing=price)


class Painter(Provider):
    """Paints test pictures."""

    id = "painter"
    name = "Painter"
    aliases = ("picasso",)
    max_concurrent_calls = 1

    @cache  # noqa: B019
    def models(self):
        sized = family_schemas("text_to_video", "duration", "seed", "aspect_ratio")
        return (
            model("brush", "text-to-image", (TEXT,), IMAGES, BRUSH),
            model("touch", "image-to-image", (IMAGE,), IMAGES, family_schemas("image_to_image", "prompt", "seed")),
            model("zoom", "image-upscale", (IMAGE,), IMAGES, family_schemas("image_upscale", "scale")),
            model("reel", "text-to-video", (TEXT,), VIDEOS, sized),
            model("stir", "image-to-video", (IMAGE,), VIDEOS, STIR.schemas),
            model("turn", "video-to-video", (VIDEO,), VIDEOS, family_schemas("video_to_video", "prompt")),
            model("wide", "video-upscale", (VIDEO,), VIDEOS, family_schemas("video_upscale", "scale", scale=FEW)),
            model("grow", "video-upscale", (VIDEO,), VIDEOS, family_schemas("video_upscale")),
            model("mask", "face-swap", (VIDEO, FACE), VIDEOS, family_schemas("face_swap", "face_restore")),
            model("lips", "lip-sync", (VIDEO, SPEECH), VIDEOS, family_schemas("lip_sync", "sync_mode")),
            model("head", "avatar-generation", (IMAGE, SPEECH), VIDEOS, family_schemas("avatar_generation", "prompt")),
        )

    async def transform(self, call):
        yield Progress("queued", message="queued, 2 ahead", queue_position=2)
        yield Progress("queued", queue_position=0)
        if call.options["pace"] == "never":
            await asyncio.sleep(3600)
        yield Progress("running", 0.5, log_lines=("loading weights", "step 1/2"))
        count = call.options.get("count", 1)
        for number in range(count):
            yield await self._made(call, number)
        yield Usage("image", output_units=count, cost=0.02 * count, currency="USD")

    async def _made(self, call, number):
        ending = "mp4" if call.model.outputs == VIDEOS else call.options.get("format", {}).get("container", "jpeg")
        file = call.workdir / f"made-{number}.{ending}"
        await ffmpeg(*await arguments(call, number), str(file))
        media_type = "video/mp4" if ending == "mp4" else f"image/{ending}"
        known = Generated(call.options.get("seed", 42) + number, flagged=False, revised_prompt="a redder kite")
        return Media("video" if ending == "mp4" else "image", media_type, file, generated=known)


async def arguments(call, number):
    """Give what FFmpeg makes a model's output of."""
    options = call.options
    paths = {name: str(await inputs[0].path()) for name, inputs in call.slots.items()}
    width, height = options.get("width"), options.get("height")
    if width is None:
        width, height = SIZES[options.get("aspect_ratio", "16:9")]
    match (call.model.aliases or (call.model.id,))[0]:
        case "brush":
            made = ("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}", "-ss", f"{number}", "-frames:v", "1")
        case "touch":
            made = ("-i", paths["image"], "-vf", "negate", "-frames:v", "1")
        case "zoom":
            factor = options.get("scale", 2)
            made = ("-i", paths["image"], "-vf", f"scale=iw*{factor}:ih*{factor}", "-frames:v", "1")
        case "reel":
            made = ("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:duration={options.get('duration', 1)}")
        case "stir":
            vendor = STIR.to_vendor(options)
            still = ("-loop", "1", "-framerate", str(vendor["fps"]), "-i", paths["image"])
            made = (*still, "-frames:v", str(vendor["num_frames"]), "-vf", "scale=320:180", "-pix_fmt", "yuv420p")
        case "wide" | "grow":
            size = f"-2:{options['resolution'][:-1]}" if "resolution" in options else f"iw*{options['scale']}:-2"
            made = ("-i", paths["video"], "-vf", f"scale={size}")
        case "lips":
            made = ("-i", paths["video"], "-i", paths["speech"], "-map", "0:v", "-map", "1:a", "-shortest")
        case "head":
            still = ("-loop", "1", "-i", paths["image"], "-i", paths["speech"], "-shortest")
            made = (*still, "-vf", "scale=320:180", "-pix_fmt", "yuv420p")
        case _:
            made = ("-i", paths["video"])
    return made


async def ffmpeg(*words):
    """Run FFmpeg."""
    made = await asyncio.create_subprocess_exec("ffmpeg", "-v", "error", "-y", *words)
    assert await made.wait() == 0, words
