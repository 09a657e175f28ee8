"""What the words of `automarket video` ask for: which capability, with which inputs and options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from automarket.cli.generating import kind_of, read_all, text_of, unclear
from automarket.cli.inputs import read_input
from automarket.client.options import Overlay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from automarket.cli.video import Wish
    from automarket.client.inputs import InputValue
    from automarket.client.mesh import Mesh


@dataclass(frozen=True, slots=True)
class Task:
    """One call: the capability, inputs in slot order with what they are called, and options."""

    capability: str
    arguments: Sequence[InputValue]
    names: Sequence[str]
    options: dict[str, Any]


async def task_of(words: Sequence[str], wish: Wish, mesh: Mesh) -> Task:
    """Say what is to be done.

    Raises:
        InvalidRequestError: the inputs and what is asked of them do not go together.
        AutoMarketError: there is no such file or asset.
    """
    values = await read_all(words, mesh)
    kinds = [kind_of(value) for value in values]
    if set(kinds) == {"text"}:
        _check_alone(wish, "a text")
        options = {**wish.shared, "duration": wish.duration}
        return Task("text-to-video", text_of(values, words), words, options)
    if len(values) > 1:
        raise unclear("one picture or video is taken", "further ones go by --speech, --face, --end-image or --overlay")
    if kinds == ["image"]:
        return await _of_picture(words[0], values[0], wish, mesh)
    if kinds == ["video"]:
        return await _of_video(words[0], values[0], wish, mesh)
    raise unclear("sound alone makes no video", "name who says it: automarket video photo.jpg --speech talk.wav")


def _check_alone(wish: Wish, what: str) -> None:
    for name in ("prompt", "speech", "face", "end_image", "overlays", "upscale"):
        if getattr(wish, name):
            raise unclear(f"{what} takes no --{name.rstrip('s').replace('_', '-')}", "see automarket video --help")


async def _of_picture(word: str, picture: InputValue, wish: Wish, mesh: Mesh) -> Task:
    if wish.face or wish.overlays or wish.upscale:
        raise unclear("a picture takes no --face, --overlay or --upscale", "they are for videos")
    if wish.speech:
        spoken = await read_input(wish.speech, mesh)
        options = {**wish.shared, "prompt": wish.prompt, "image": picture, "speech": spoken}
        options |= {"duration": wish.duration, "end_image": wish.end_image or None}
        return Task("avatar-generation", (), (word, wish.speech), options)
    end = await read_input(wish.end_image, mesh) if wish.end_image else None
    options = {**wish.shared, "prompt": wish.prompt, "end_image": end, "video_length": wish.duration}
    return Task("image-to-video", (picture,), (word, *filter(None, (wish.end_image,))), options)


async def _of_video(word: str, base: InputValue, wish: Wish, mesh: Mesh) -> Task:
    asked = [name for name in ("speech", "face", "overlays", "upscale") if getattr(wish, name)]
    if len(asked) > 1:
        raise unclear("one thing is done to a video at a time", f"first {asked[0]}, then the rest with the result")
    shared = {**wish.shared, "duration": wish.duration, "end_image": wish.end_image or None}
    if wish.overlays:
        laid = [await _overlay(one, mesh) for one in wish.overlays]
        options = {**shared, "prompt": wish.prompt, "overlays": [how for _, _, how in laid]}
        names = (word, *(name for name, _, _ in laid))
        return Task("video-composition", (base, *(what for _, what, _ in laid)), names, options)
    if wish.speech or wish.face:
        name = wish.speech or wish.face
        what = "lip-sync" if wish.speech else "face-swap"
        return Task(what, (base, await read_input(name, mesh)), (word, name), {**shared, "prompt": wish.prompt})
    if wish.upscale:
        more = {**shared, "prompt": wish.prompt, **_more_pixels(wish.upscale)}
        return Task("video-upscale", (base,), (word,), more)
    if wish.prompt is None:
        raise unclear("what is to be done to the video?", "--prompt, --speech, --face, --upscale or --overlay")
    return Task("video-to-video", (base,), (word,), {**shared, "prompt": wish.prompt})


def _more_pixels(word: str) -> dict[str, Any]:
    if word.endswith("p"):
        return {"resolution": word}
    try:
        return {"scale": float(word)}
    except ValueError:
        raise unclear(f"--upscale {word} is neither a factor nor a height", 'it is written as "2" or "1080p"') from None


async def _overlay(word: str, mesh: Mesh) -> tuple[str, InputValue, Overlay]:
    """Read FILE,name=value,... Raises InvalidRequestError."""
    name, *told = word.split(",")
    known = {one.name: str(one.type) for one in fields(Overlay)}
    how: dict[str, Any] = {}
    for part in told:
        key, equals, value = part.partition("=")
        if key not in known or not equals:
            raise unclear(f"an overlay has no {part!r}", f"it has: {', '.join(known)}, each as name=value")
        how[key] = _read(key, value, known[key])
    return name, await read_input(name, mesh), Overlay(**how)


def _read(key: str, value: str, kind: str) -> Any:
    try:
        return int(value) if kind.startswith("int") else float(value) if kind.startswith("float") else value
    except ValueError:
        hint = "pixels are whole numbers, times are seconds"
        raise unclear(f"overlay {key}: {value!r} is not a number", hint) from None
