"""Forms (multipart/form-data) as stand-ins read them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import HTTP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.vendors.http import Request

MOST_KEPT = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a form; of a large one `content` is only the beginning."""

    field: str
    name: str
    media_type: str
    content: bytes
    size: int


@dataclass(frozen=True, slots=True)
class SentForm:
    fields: list[tuple[str, str]]
    files: list[SentFile]

    def get(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.fields if key == name), default)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


def read_form(request: Request) -> SentForm:
    kind = HeaderParser(policy=HTTP).parsestr(f"content-type: {request.headers.get('content-type', '')}\r\n\r\n")
    boundary = kind.get_boundary()
    form = SentForm([], [])
    if boundary is None:
        return form
    if request.file is None:
        _take(form, request.body, boundary)
        return form
    with request.file.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        _take(form, body, boundary)
    return form


def _take(form: SentForm, body: bytes | mmap.mmap, boundary: str) -> None:
    for begin, end in _parts(body, b"--" + boundary.encode()):
        split = body.find(b"\r\n\r\n", begin)
        head = HeaderParser(policy=HTTP).parsestr(body[begin:split].decode())
        name = head.get_param("name", header="content-disposition")
        file_name = head.get_filename()
        content = bytes(body[split + 4 : min(end, split + 4 + MOST_KEPT)])
        if file_name is None:
            form.fields.append((name, content.decode()))
        else:
            form.files.append(SentFile(name, file_name, head.get_content_type(), content, end - split - 4))


def _parts(body: bytes | mmap.mmap, mark: bytes) -> Iterator[tuple[int, int]]:
    begin = body.find(mark)
    while begin >= 0:
        begin += len(mark) + 2
        end = body.find(b"\r\n" + mark, begin)
        if end < 0:
            return
        yield begin, end
        begin = end + 2
