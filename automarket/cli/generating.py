"""What `image`, `video` and `speak` share: words as inputs of a known kind, options that fit the capability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from automarket.cli.transforming import Work, name_of
from automarket.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from automarket.client.descriptors import ModelInfo
    from automarket.client.inputs import InputValue
    from automarket.client.mesh import Mesh


async def read_all(words: Sequence[str], mesh: Mesh) -> list[InputValue]:
    """Give what words stand for: files, stored assets, URLs, text.

    Raises:
        AutoMarketError: there is no such file or asset.
    """
    from automarket.cli.inputs import read_input

    return [await read_input(word, mesh) for word in words]


def kind_of(value: InputValue) -> str:
    """Say what an input is: "text", "image", "video", "audio"; text is also what comes on standard input."""
    from automarket.assets import Asset, Audio, Image, Video
    from automarket.assets.roles import Role
    from automarket.stored import StoredAsset

    if isinstance(value, StoredAsset):
        order = ((Role.VIDEO, "video"), (Role.IMAGE, "image"), (Role.SPEECH, "audio"), (Role.AUDIO, "audio"))
        return next((kind for role, kind in order if role in value.roles), "text")
    if isinstance(value, Asset):
        kinds = ((Image, "image"), (Video, "video"), (Audio, "audio"))
        return next((kind for cls, kind in kinds if isinstance(value, cls)), "text")
    return "text"


def text_of(values: Sequence[InputValue], words: Sequence[str]) -> list[Any]:
    """Give texts as one input: several words that the shell has split are one text."""
    if all(isinstance(value, str) for value in values):
        return [" ".join(words)]
    return list(values)


async def put_together(
    mesh: Mesh,
    target: Mapping[str, str],
    arguments: Sequence[InputValue],
    options: Mapping[str, Any],
    *,
    more: Sequence[str],
    out: str,
    names: Sequence[str],
) -> Work:
    """Put a call together; options that are None are left to the model, `more` are NAME=VALUE words that win.

    Where no model is named and the one that fits best lacks an option, the first that has all of them is taken.
    """
    from automarket.cli.inputs import parse_options
    from automarket.cli.outputs import format_for

    info = (await mesh.model(**target)).info
    given = {name: value for name, value in options.items() if value is not None}
    asked = {*given, *(word.partition("=")[0].partition(".")[0] for word in more)}
    if not target["model"] and not _takes(info, asked):
        info = await _that_takes(mesh, target, asked) or info
        target = {**target, "model": info.id, "provider": info.provider_id}
    keywords = format_for(out, info) | given | parse_options(more, info.options_schema or {})
    return Work(target, arguments, keywords, [name_of(name) for name in names])


def _takes(model: ModelInfo, options: set[str]) -> bool:
    schema = model.options_schema or {}
    properties = cast("dict[str, Any]", schema.get("properties") or {})
    known = {*properties, *(slot.name for slot in model.inputs)}
    return bool(schema.get("additionalProperties")) or options <= known


async def _that_takes(mesh: Mesh, target: Mapping[str, str], options: set[str]) -> ModelInfo | None:
    """Give the first model that can do what is asked for, and takes all these options."""
    capability = target["capability"]
    listed = await mesh.models(capability=capability, provider=target["provider"], available_only=True)
    return next((one for one in listed if capability in one.capabilities and _takes(one, options)), None)


def unclear(what: str, hint: str) -> InvalidRequestError:
    """Give the error for inputs that a command can do nothing with."""
    return InvalidRequestError(what, hint=hint)
