"""What `image`, `video` and `speak` share: words as inputs of a known kind, options that fit the capability."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from automarket.cli.transforming import Work, name_of
from automarket.errors import InvalidRequestError
from automarket.option_words import unfit

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

    Where no model is named and the one that fits best does not take the options, the first that does is taken.
    """
    from automarket.cli.inputs import parse_options
    from automarket.cli.outputs import format_for

    def options_for(model: ModelInfo) -> dict[str, Any]:
        given = {name: value for name, value in options.items() if value is not None}
        return given | parse_options(more, model.options_schema or {})

    info = (await mesh.model(**target)).info
    if not target["model"] and not _takes(info, options_for(info)):
        capability = target["capability"]
        listed = await mesh.models(capability=capability, provider=target["provider"], available_only=True)
        fitting = (one for one in listed if capability in one.capabilities and _takes(one, options_for(one)))
        info = next(fitting, info)
        target = {**target, "model": info.id, "provider": info.provider_id}
    keywords = format_for(out, info) | options_for(info)
    return Work(target, arguments, keywords, [name_of(name) for name in names])


def _takes(model: ModelInfo, options: Mapping[str, Any]) -> bool:
    """Tell whether a model has all these options, and takes their values as far as that can be told."""
    schema = model.options_schema or {}
    rules = cast("dict[str, dict[str, Any]]", schema.get("properties") or {})
    slots = {slot.name for slot in model.inputs}
    return all(
        not unfit(value, rules[name]) if name in rules else name in slots or bool(schema.get("additionalProperties"))
        for name, value in options.items()
    )


def unclear(what: str, hint: str) -> InvalidRequestError:
    """Give the error for inputs that a command can do nothing with."""
    return InvalidRequestError(what, hint=hint)
