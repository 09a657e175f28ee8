"""Forms (multipart/form-data) whose files are read while they are sent, never whole into memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from contextlib import ExitStack


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file of a form: the field that it is for, the name and media type by which the vendor knows it, its bytes."""

    field: str
    file_name: str
    media_type: str
    content: Path | bytes

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)


@dataclass(frozen=True)
class Form:
    """A form: fields, each name as often as it is needed, then files. It can be sent more than once."""

    fields: tuple[tuple[str, str], ...] = ()
    files: tuple[FilePart, ...] = field(default=(), repr=False)

    @cached_property
    def size(self) -> int:
        """How many bytes its files have."""
        return sum(one.size for one in self.files)

    def open(self, opened: ExitStack) -> aiohttp.FormData:
        """Give the form as aiohttp sends it; its files are open until `opened` closes."""
        # Names as they are: some vendors take what is escaped for a part of the name.
        form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        for name, value in self.fields:
            form.add_field(name, value)
        for part in self.files:
            content = part.content
            data = opened.enter_context(content.open("rb")) if isinstance(content, Path) else content
            form.add_field(part.field, data, filename=part.file_name, content_type=part.media_type)
        return form


def value_of(value: object) -> str:
    """Give a value as forms carry it: true and false in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)
