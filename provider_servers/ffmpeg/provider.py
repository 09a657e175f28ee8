"""What FFmpeg can do, as a provider: sound out of videos, sound conversion, pictures out of videos, compositions.

Files in, files out, one FFmpeg child at a time, fenced in by `automarket.media.process`. https://ffmpeg.org, from 5.1.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from automarket.errors import EngineMissing
from automarket.media.engine import find_ffmpeg
from automarket.media.probe import examine
from provider_servers.ffmpeg import models
from provider_servers.ffmpeg.composition import compose, plan_composition, read_facts
from provider_servers.ffmpeg.moments import choose_moments
from provider_servers.ffmpeg.pictures import DEFAULT_CONTAINER, take_pictures
from provider_servers.ffmpeg.sound import convert
from provider_servers.ffmpeg.work import LIMITS
from provider_servers.runtime import Availability, Media, Progress, Provider, Started, Usage

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from pathlib import Path

    from provider_servers.runtime import Call, Event, Model


class FfmpegProvider(Provider):
    """Runs FFmpeg over media."""

    id = "ffmpeg"
    name = "FFmpeg"
    description = (
        "Takes sound and pictures out of videos, converts sound and lays overlays over videos, on this machine."
    )

    @classmethod
    def availability(cls) -> Availability:
        """Say whether FFmpeg is installed."""
        try:
            find_ffmpeg()
        except EngineMissing as error:
            return Availability(available=False, reason=error.message, hint=error.hint or "")
        return Availability()

    def models(self) -> Sequence[Model]:
        """List the models."""
        return models.ALL

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Run a model."""
        if call.model is models.COMPOSE:
            events = _composition(call)
        elif call.model is models.EXTRACT_IMAGES:
            events = _images(call)
        else:
            events = _sound(call)
        async with aclosing(events):
            async for event in events:
                yield event


async def _sound(call: Call) -> AsyncGenerator[Event]:
    source = await call.input(call.model.inputs[0].name).path()
    yield Started()
    async with aclosing(convert(source, call.options, call.workdir)) as events:
        async for event in events:
            yield event
            if isinstance(event, Media) and event.info and event.info.duration:
                yield Usage("second", output_units=event.info.duration)


async def _images(call: Call) -> AsyncGenerator[Event]:
    video = await call.input("video").path()
    found = await examine(video, limits=LIMITS)
    moments = choose_moments(call.options, found.info.duration)
    form = call.options.get("format", {})
    yield Started()
    async with aclosing(take_pictures(video, found.format, moments, form, call.workdir)) as pictures:
        number = 0
        async for path in pictures:
            number += 1
            yield Media("image", models.picture_type(form.get("container", DEFAULT_CONTAINER)), path)
            if len(moments) > 1:
                yield Progress("running", number / len(moments), f"picture {number} of {len(moments)}")
    yield Usage("image", output_units=len(moments))


async def _composition(call: Call) -> AsyncGenerator[Event]:
    base = await call.input("video").path()
    overlays = [await _named(call, index) for index in range(len(call.inputs("overlays")))]
    plan = await plan_composition(base, overlays, call.options.get("overlays", []))
    for placement in plan.placements:
        call.log(f"overlay {placement.index}: {placement}")
    yield Started()
    out = call.workdir / "composition.mp4"
    async with aclosing(compose(plan, out)) as events:
        async for progress in events:
            yield progress
    info, facts = await read_facts(plan, out)
    yield Media("video", "video/mp4", out, info, facts)
    yield Usage("second", output_units=facts.duration)


async def _named(call: Call, index: int) -> Path:
    """Give an overlay under a name of its own: the same asset may be laid twice."""
    link = call.workdir / f"overlay-{index}"
    link.symlink_to(await call.inputs("overlays")[index].path())
    return link
