"""What the words on a command line stand for: files, stored assets, URLs, standard input, text, options."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from automarket.errors import AssetUnknown, InvalidRequestError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from automarket.client.assets import AssetClient
    from automarket.client.descriptors import ModelInfo
    from automarket.client.inputs import InputValue
    from automarket.client.mesh import Mesh
    from automarket.stored import StoredAsset

DIGEST_PREFIX = "sha256:"
MAX_URL_BYTES = 4 * 1024**3
_STDIN_BYTES = 64 * 1024
_FILE_NAME = re.compile(r"\S+\.[A-Za-z0-9]{1,5}|\S*/\S*")


async def read_inputs(
    words: Sequence[str], model: ModelInfo, mesh: Mesh
) -> tuple[list[InputValue], dict[str, list[InputValue]]]:
    """Give what words stand for: those in slot order, and those named by slot ("voice=sample.wav").

    Raises:
        AutoMarketError: there is no such file or asset, or a URL cannot be loaded.
    """
    slots = {slot.name for slot in model.inputs}
    ordered: list[InputValue] = []
    named: dict[str, list[InputValue]] = {}
    for word in words:
        slot, equals, rest = word.partition("=")
        if equals and slot in slots:
            named.setdefault(slot, []).append(await read_input(rest, mesh))
        else:
            ordered.append(await read_input(word, mesh))
    return ordered, named


async def read_input(word: str, mesh: Mesh) -> InputValue:
    """Give what a word stands for."""
    from automarket.assets import AssetLoader

    if word == "-":
        return standard_input()
    if word.startswith(DIGEST_PREFIX):
        return await find_asset(mesh.assets, word)
    if word.startswith(("http://", "https://")):
        return await AssetLoader.from_url(word, max_bytes=MAX_URL_BYTES)
    path = as_path(word)
    if path is None:
        return word
    return await asyncio.to_thread(AssetLoader.load, path)


def as_path(word: str) -> Path | None:
    """Give the path that a word is, or None when it is text."""
    path = Path(word).expanduser()
    try:
        if path.is_file():
            return path
        is_folder = path.is_dir()
    except OSError:  # too long for a name: text
        return None
    if is_folder and "/" in word:
        raise InvalidRequestError(f"{word} is a folder", hint="name a file in it")
    if _FILE_NAME.fullmatch(word):
        raise NotFoundError(f"there is no file {word}", hint="text of one word that looks so is said as '... '")
    return None


async def standard_input() -> AsyncIterator[bytes]:
    """Give what arrives on standard input, as it arrives."""
    descriptor = sys.stdin.fileno()
    while True:
        await _until_readable(descriptor)
        data = os.read(descriptor, _STDIN_BYTES)
        if not data:
            return
        yield data


async def _until_readable(descriptor: int) -> None:
    """Wait without a thread: one that reads could not be stopped by Ctrl-C."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    try:
        loop.add_reader(descriptor, readable.set)
    except PermissionError:  # a file, which always is
        return
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


async def find_asset(store: AssetClient, digest: str) -> StoredAsset:
    """Find an asset by its digest, or by a beginning of it that no other asset shares.

    Raises:
        AssetUnknown: there is none.
        InvalidRequestError: there are several.
    """
    digest = digest.lower()
    if not digest.startswith(DIGEST_PREFIX):
        digest = DIGEST_PREFIX + digest
    if len(digest) == len(DIGEST_PREFIX) + 64:
        return await store.stat(digest)
    if not re.fullmatch(r"sha256:[0-9a-f]{6,63}", digest):
        raise InvalidRequestError(f"{digest} is not a digest", hint="at least 6 hex digits: automarket assets ls")
    found = [asset async for asset in store.list() if asset.digest.startswith(digest)]
    if not found:
        raise AssetUnknown(f"the mesh has no asset {digest}...", hint="automarket assets ls")
    if len(found) > 1:
        raise InvalidRequestError(f"{len(found)} assets begin with {digest}", hint="give more digits")
    return found[0]


def parse_options(words: Iterable[str], schema: dict[str, Any]) -> dict[str, Any]:
    """Read "name=value" words; a name with dots reaches into an option: "format.container=mp3".

    A value is JSON where it can be, unless the model's schema says that the option is text.

    Raises:
        InvalidRequestError: a word has no "=", or two words contradict each other.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise InvalidRequestError(f"option {word!r} has no value", hint="--option name=value")
        path = name.split(".")
        _put(options, path, _value(value, _type_of(schema, path)))
    return options


def _put(options: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for part in path[:-1]:
        options = options.setdefault(part, {})
        if type(options) is not dict:
            raise InvalidRequestError(f"option {'.'.join(path)}: {part} has a value already")
    options[path[-1]] = value


def _value(text: str, kind: Any) -> Any:
    if kind == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _type_of(schema: dict[str, Any], path: Sequence[str]) -> Any:
    for part in path:
        properties = cast("dict[str, Any]", schema.get("properties") or {})
        schema = cast("dict[str, Any]", properties.get(part) or {})
    return schema.get("type")
