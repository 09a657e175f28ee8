"""Forms (multipart/form-data) as stand-ins read them."""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.vendors.http import Request


@dataclass(frozen=True, slots=True)
class SentFile:
    field: str
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class SentForm:
    fields: list[tuple[str, str]]
    files: list[SentFile]

    def get(self, name: str, default: str = "") -> str:
        return next((value for key, value in self.fields if key == name), default)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


def read_form(request: Request) -> SentForm:
    head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + request.body)
    form = SentForm([], [])
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        file_name = part.get_filename()
        if file_name is None:
            form.fields.append((name, content.decode()))
        else:
            form.files.append(SentFile(name, file_name, part.get_content_type(), content))
    return form
