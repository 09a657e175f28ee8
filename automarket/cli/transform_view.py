"""Showing a transform: words as they arrive, progress, and at the end the way that the media took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from automarket.assets.media import Media
from automarket.cli.plain import clean, clock, passed, seconds, short_digest
from automarket.cli.stages import Stages
from automarket.client import events as e

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from automarket.assets import Asset
    from automarket.cli.progress import LiveProgress
    from automarket.cli.terminal import Terminal
    from automarket.client.results import Report
    from automarket.media.info import CastSpec

_RUN = "run"


class TransformView:
    """Shows the events of one transform. `segments` are kept, for subtitles and JSON.

    Args:
        screen: where.
        progress: the lines that move.
        names: what the inputs are called, in the order of the call.
        words: whether words are shown as they arrive.
        quiet: show nothing of the work where nobody watches either.
    """

    def __init__(
        self, screen: Terminal, progress: LiveProgress, names: Sequence[str], *, words: bool, quiet: bool = False
    ) -> None:
        self._screen = screen
        self._progress = progress
        self._names = names
        self._words = words
        self._stages = Stages(screen, progress, quiet=quiet)
        self._mid_line = False
        self.segments: list[e.Segment] = []
        self.showed_text = False

    def show(self, event: e.Event) -> None:
        """Show what happened."""
        match event:
            case e.Uploading():
                what = f"uploading {self._name(event.input)}"
                self._progress.bytes(f"upload {event.input}", what, event.sent_bytes, event.size_bytes)
            case e.Uploaded():
                self._progress.done(f"upload {event.input}")
            case e.Accepted():
                self._progress.work(_RUN, " ".join(dict.fromkeys((event.provider_id, event.model_id))), None)
            case e.Progress():
                self._stages.show(_RUN, event)
            case e.OutputChunk():
                self._progress.bytes(_RUN, "receiving", event.offset_bytes + len(event.data), None)
            case e.Segment():
                self._segment(event)
            case e.TextDelta():
                self._delta(event)
            case _:
                pass

    def _name(self, number: int) -> str:
        return self._names[number] if number < len(self._names) else f"input {number + 1}"

    def _segment(self, segment: e.Segment) -> None:
        from rich.text import Text

        self.segments.append(segment)
        if self._words:
            self.showed_text = True
            # In one piece: lines that move are drawn anew after every print.
            line = Text.assemble((f"{clock(segment.start)}  ", "dim"), clean(segment.text))
            self._screen.out.print(line, soft_wrap=True)

    def _delta(self, delta: e.TextDelta) -> None:
        if self._words:
            self.showed_text = True
            self._mid_line = True
            self._progress.stop()  # lines that move would tear words apart
            self._screen.out.file.write(clean(delta.text))
            self._screen.out.file.flush()

    def end_line(self) -> None:
        """End a line of words that was begun."""
        if self._mid_line:
            self._screen.say("")
            self._mid_line = False


def route_lines(report: Report, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Say which way the media took: uploads, casts, provider, time by stage, cost."""
    for one in report.uploads:
        name = names[one.input] if one.input < len(names) else f"input {one.input + 1}"
        yield "input", f"{name} {short_digest(one.digest)} ({passed(one.sent_bytes, one.by_file_bytes)})"
    for cast in report.casts:
        how = "found made" if cast.cached else f"made in {seconds(cast.elapsed)}"
        target = f" {short_digest(cast.digest)}" if cast.digest else ""
        yield "cast", f"{cast.slot}: {describe_cast(cast.spec)}{target} ({how})"
    if report.accepted:
        yield "provider", f"{report.accepted.provider_id}, model {report.accepted.model_id}"
    if report.stages:
        yield "time", ", ".join(f"{one.stage} {seconds(one.elapsed)}" for one in report.stages)
    for usage in report.usage:
        cost = "" if usage.cost is None else f", {usage.cost:g} {usage.currency}"
        yield "usage", f"{usage.input_units:g} in, {usage.output_units:g} out ({usage.unit}){cost}"
    if report.trace_id:
        yield "trace", report.trace_id


def made_lines(assets: Iterable[Asset]) -> Iterator[tuple[str, str]]:
    """Say what is known of media that a model made: size and length, seed, what the vendor said of it."""
    for asset in assets:
        about = asset.metadata if isinstance(asset, Media) else None
        if about is None:
            continue
        size = "{} x {}".format(*about.resolution) if about.resolution else ""
        length = seconds(about.duration) if about.duration else ""
        rate = f"{about.frame_rate:g} pictures a second" if about.frame_rate else ""
        if told := ", ".join(filter(None, (size, length, rate))):
            yield "media", told
        if about.seed is not None:
            yield "seed", str(about.seed)
        if about.flagged or about.safety_flags:
            yield "safety", f"the vendor objected: {', '.join(about.safety_flags) or 'it does not say to what'}"
        if about.revised_prompt:
            yield "revised", about.revised_prompt


def describe_cast(spec: CastSpec | None) -> str:
    """Say what a cast makes: "to speech (wav, 16000 Hz, mono)"."""
    if spec is None:
        return "cast"
    facts: list[str] = []
    if audio := spec.audio:
        channels = {None: "", 1: "mono", 2: "stereo"}.get(audio.channels, f"{audio.channels} channels")
        facts += [audio.container or "", f"{audio.sample_rate} Hz" if audio.sample_rate else "", channels]
    if image := spec.image:
        bounds = [f"at most {image.max_width or 'any'} x {image.max_height or 'any'}"]
        facts += [image.container or "", *(bounds if image.max_width or image.max_height else [])]
    listed = ", ".join(filter(None, facts))
    return f"to {spec.role}" + (f" ({listed})" if listed else "")
