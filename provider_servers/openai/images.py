"""Text, or pictures and text, in; pictures out: POST /images/generations and /images/edits.

Answers hold pictures as base64. They are written to files as they come, one after another, 64 MiB at most each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from automarket.assets.formats import recognise_file
from automarket.errors import OptionInvalid
from provider_servers.openai.media_models import EDITS, LONGEST, MOST_PIXELS, SIZES, WIDEST, few_sizes
from provider_servers.runtime import Generated, Media, Usage
from provider_servers.runtime.base64_json import Base64Files
from provider_servers.runtime.http.multipart import FilePart, Form
from provider_servers.runtime.vendors.errors import broken

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    import aiohttp

    from provider_servers.runtime import Call, Event
    from provider_servers.runtime.vendors.upstream import Upstream

_OPTIONS = {"n": "count", "size": "aspect_ratio", "output_format": "format"}
_SAME = ("quality", "background", "moderation", "output_compression", "input_fidelity", "prompt")
_NAMES = {**_OPTIONS, **{name: name for name in _SAME}}
"""Our options by the vendor's names for them."""


class _Picture(msgspec.Struct):
    revised_prompt: str | None = None


class _Used(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Answer(msgspec.Struct):
    data: list[_Picture] = []
    usage: _Used | None = None


async def pictures(call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
    """Make pictures of a text, or change those that are given."""
    edits = call.model.id.endswith(EDITS)
    family = "image_to_image" if edits else "text_to_image"
    asked = _asked(call, family)
    body: bytes | Form
    if edits:
        path, body = "/images/edits", await _form(call, asked)
    else:
        path, body = "/images/generations", msgspec.json.encode({**asked, "prompt": await call.input("text").text()})
    made = upstream.request("POST", path, body=body, model=asked["model"], options=_NAMES, family=family)
    async with made as response:
        if response.content_type != "application/json":
            raise broken(upstream.vendor, f"it sent {response.content_type} instead of pictures", asked["model"])
        answer, files = await _read(response, upstream, call.workdir)
        request_id = response.headers.get("x-request-id", "")
    if not files:
        raise broken(upstream.vendor, "it sent no picture", asked["model"])
    if answer.usage is not None:
        yield Usage("token", input_units=answer.usage.input_tokens, output_units=answer.usage.output_tokens)
    else:
        yield Usage("image", output_units=len(files))
    for number, file in enumerate(files):
        kind = await asyncio.to_thread(recognise_file, file)
        told = answer.data[number].revised_prompt if number < len(answer.data) else None
        generated = Generated(revised_prompt=told or "", vendor_request_id=request_id)
        yield Media("image", kind.media_type, file, generated=generated)


async def _read(response: aiohttp.ClientResponse, upstream: Upstream, folder: Path) -> tuple[_Answer, list[Path]]:
    """Read an answer: its pictures into files, the rest."""
    found = Base64Files("b64_json", folder)
    try:
        async for piece in upstream.pieces(response):
            await asyncio.to_thread(found.feed, piece)
        return msgspec.json.decode(found.finish(), type=_Answer), found.files
    except msgspec.DecodeError:
        raise broken(upstream.vendor, "its answer cannot be read") from None
    finally:
        found.close()


def _asked(call: Call, family: str) -> dict[str, Any]:
    """Give the request, without its text and pictures.

    Raises:
        OptionInvalid: a size that the model does not make, or a background that the form cannot have.
    """
    options = call.options
    container = options.get("format", {}).get("container")
    if options.get("background") == "transparent" and container == "jpeg":
        fields = {f"header.{family}.background": "'transparent' needs png or webp"}
        raise OptionInvalid("option background: jpeg knows no transparency", hint="take png or webp", fields=fields)
    model = call.model.id.removesuffix(EDITS)
    asked: dict[str, Any] = {"model": model, "n": options["count"]}
    asked |= {name: options[name] for name in _SAME if name in options and name != "prompt"}
    if container:
        asked["output_format"] = container
    if "aspect_ratio" in options:
        asked["size"] = "{}x{}".format(*SIZES[options["aspect_ratio"]])
    elif "width" in options:
        asked["size"] = _size(options, few=few_sizes(model))
    return asked


def _size(options: Mapping[str, Any], *, few: bool) -> str:
    """Give a size in the vendor's words.

    Raises:
        OptionInvalid: the model does not make pictures of that size.
    """
    width, height = options["width"], options["height"]
    fault = ""
    if few and width == height == 1536:
        fault = "it makes 1024x1024, 1536x1024 and 1024x1536"
    elif max(width, height) > WIDEST * min(width, height):
        fault = f"the long side is at most {WIDEST} times the short one"
    elif width * height > MOST_PIXELS:
        fault = f"at most {MOST_PIXELS:,} pixels, such as {LONGEST}x{MOST_PIXELS // LONGEST}"
    if fault:
        fields = {"header.text_to_image.width": f"{width}x{height}: {fault}"}
        raise OptionInvalid(f"option width: the model makes no {width}x{height}: {fault}", fields=fields)
    return f"{width}x{height}"


async def _form(call: Call, asked: Mapping[str, Any]) -> Form:
    """Give the request of an edit.

    Raises:
        OptionInvalid: it does not say what the picture is to become.
    """
    prompt = call.options.get("prompt")
    if not prompt:
        fields = {"header.image_to_image.prompt": "required"}
        raise OptionInvalid("option prompt: say what the picture is to become", hint="prompt=...", fields=fields)
    fields = tuple((name, str(value)) for name, value in {**asked, "prompt": prompt}.items())
    files = [await _part("image[]", await one.path()) for one in call.inputs("image")]
    mask = call.optional_input("mask")
    if mask is not None:
        files.append(await _part("mask", await mask.path()))
    return Form(fields, tuple(files))


async def _part(field: str, path: Path) -> FilePart:
    kind = await asyncio.to_thread(recognise_file, path)
    return FilePart(field, f"picture.{kind.extensions[0]}", kind.media_type, path)
