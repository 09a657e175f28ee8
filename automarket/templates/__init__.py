"""What `automarket new-provider` writes: a project of its own with a working provider and its test."""

from __future__ import annotations

import keyword
import re
from importlib.resources import as_file, files
from importlib.util import find_spec
from typing import TYPE_CHECKING

from automarket.errors import InvalidRequestError

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")


def new_provider(name: str, folder: Path) -> list[Path]:
    """Write a provider project into `folder / name`; give the files that were written.

    Args:
        name: the provider's id: 1 to 63 characters of a-z, 0-9 and "-", beginning with a letter.
        folder: where the project's folder goes.

    Raises:
        InvalidRequestError: the name does not fit, is that of an installed package, or the folder exists already.
    """
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise InvalidRequestError(f"{name!r} is no name for a provider", hint='a-z, 0-9 and "-", a letter first')
    if find_spec(package) is not None:
        raise InvalidRequestError(f"{package!r} is a Python package already", hint="choose another name")
    project = folder / name
    if project.exists():
        raise InvalidRequestError(f"{project} exists already", hint="choose another name or folder")
    words = {"{{name}}": name, "{{package}}": package, "{{Class}}": _class_name(name)}
    written: list[Path] = []
    with as_file(files(__name__) / "provider") as template:
        for source in sorted(path for path in template.rglob("*.txt")):
            place = source.relative_to(template).with_suffix("")
            target = project / str(place).replace("package", package, 1)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")
            written.append(target)
    return written


def _class_name(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-")) + "Provider"


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text
