"""The files of the stand-in for Replicate: POST /v1/files and what follows."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any

from tests.vendors.http import Reply, answer
from tests.vendors.replicate_checks import missing, problem

if TYPE_CHECKING:
    from tests.vendors.http import Request

MOST_FILE_BYTES = 100_000_000


@dataclass(slots=True)
class Files:
    """Files by id: what is said of each, and its bytes."""

    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)

    def upload(self, request: Request) -> Reply:
        head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
        body = request.body if request.file is None else request.file.read_bytes()
        parts: Any = BytesParser().parsebytes(head + body).get_payload()
        named = {part.get_param("name", header="content-disposition"): part for part in parts}
        if "content" not in named:
            return problem(422, "- content is required\n", "Input validation failed")
        content = named["content"].get_payload(decode=True)
        if len(content) > MOST_FILE_BYTES:
            return problem(413, "Files must be less than 100MB in size", "Payload too large")
        name = f"file{len(self.facts)}{sha256(content).hexdigest()[:16]}"
        self.content[name] = content
        self.facts[name] = {
            "id": name,
            "name": named["content"].get_filename(),
            "content_type": named["content"].get_content_type(),
            "size": len(content),
            "etag": md5(content, usedforsecurity=False).hexdigest(),
            "checksums": {"sha256": sha256(content).hexdigest()},
            "metadata": json.loads(named["metadata"].get_payload()) if "metadata" in named else {},
            "created_at": datetime.now(UTC).isoformat(),
            "expires_at": datetime.fromtimestamp(time.time() + 86400, UTC).isoformat(),
            "urls": {"get": f"http://{request.headers['host']}/v1/files/{name}"},
        }
        return answer(self.facts[name], 201)

    def list(self, _: Request) -> Reply:
        return answer({"next": None, "previous": None, "results": list(self.facts.values())})

    def get(self, _: Request, name: str) -> Reply:
        return answer(self.facts[name]) if name in self.facts else missing()

    def delete(self, _: Request, name: str) -> Reply:
        return Reply(204) if self.facts.pop(name, None) else missing()
