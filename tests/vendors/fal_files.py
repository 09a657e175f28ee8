"""Storage of the stand-in for fal.ai: uploads by a signed address, in parts, and by a token."""

from __future__ import annotations

import hashlib
import re
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.vendors.http import Reply, answer

if TYPE_CHECKING:
    from tests.vendors.http import Request

TOKEN = "cdn-token-0123456789"


@dataclass(frozen=True, slots=True)
class Stored:
    """One upload: what it is, how large, and of which bytes; of parts the hash is of all their hashes."""

    media_type: str
    size: int
    sha256: str
    parts: int = 1


@dataclass(slots=True)
class Storage:
    """The stand-in's files.

    Attributes:
        uploads: what was uploaded, by URL.
        leaks: paths that were asked for with the key, which is nobody else's business.
        signs: whether addresses are signed; otherwise uploads need a token.
    """

    uploads: dict[str, Stored] = field(default_factory=dict)
    leaks: list[str] = field(default_factory=list)
    signs: bool = True
    _open: dict[str, tuple[str, dict[int, tuple[int, str]]]] = field(default_factory=dict)

    def has(self, url: object) -> bool:
        """Tell whether the vendor can read what a URL leads to."""
        return isinstance(url, str) and (url.startswith("data:") or url in self.uploads)

    def keyed_routes(self, request: Request) -> Reply | None:
        """Answer what needs the key."""
        host = f"http://{request.headers['host']}"
        if request.path in ("/storage/upload/initiate", "/storage/upload/initiate-multipart"):
            if not self.signs:
                return answer({"detail": "Not found"}, 404)
            name = f"{uuid.uuid4().hex}_{request.json['file_name']}"
            self._open[name] = (request.json["content_type"], {})
            kind = "parts" if request.path.endswith("multipart") else "put"
            urls = {"upload_url": f"{host}/{kind}/{name}?signature=s", "file_url": f"{host}/files/b/{name}"}
            return answer(urls)
        if request.path == "/storage/auth/token":
            told = {"token": TOKEN, "token_type": "Bearer", "base_url": host, "expires_at": "2030-01-01T00:00:00Z"}
            return answer(told)
        return None

    def open_routes(self, request: Request) -> Reply | None:
        """Answer what has an address that is secret, or a token of its own."""
        return self._with_token(request) or self._signed(request)

    def _with_token(self, request: Request) -> Reply | None:
        if request.path == "/files/upload" and request.method == "POST":
            return self._by_token(request)
        if request.path == "/files/upload/multipart" and request.method == "POST":
            return self._begin(request)
        if in_parts := re.fullmatch(r"/files/b/([^/]+)/multipart/u1/(\w+)", request.path):
            name, part = in_parts.groups()
            media_type, parts = self._open[name]
            done = part == "complete"
            return self._whole(request, name, media_type, parts) if done else self._part(request, int(part), parts)
        return None

    def _signed(self, request: Request) -> Reply | None:
        found = re.fullmatch(r"/(put|parts)/([^/]+)(?:/(\w+))?", request.path)
        if found is None:
            return None
        if "authorization" in request.headers:
            self.leaks.append(request.path)
        kind, name, part = found.groups()
        media_type, parts = self._open.get(name, ("", {}))
        other_type = kind == "put" and request.headers.get("content-type") != media_type
        if not media_type or other_type or request.query.get("signature") != "s":
            return answer({"detail": "SignatureDoesNotMatch"}, 403)
        if kind == "put":
            return self._done(request, name, Stored(media_type, request.size, request.sha256))
        if part == "complete":
            return self._whole(request, name, media_type, parts)
        return self._part(request, int(part or 0), parts)

    def _part(self, request: Request, number: int, parts: dict[int, tuple[int, str]]) -> Reply:
        parts[number] = (request.size, request.sha256)
        if request.file is not None:
            request.file.unlink()
        return answer({"partNumber": number, "etag": request.sha256[:32]}, etag=request.sha256[:32])

    def _whole(self, request: Request, name: str, media_type: str, parts: dict[int, tuple[int, str]]) -> Reply:
        told = sorted((one["partNumber"], one["etag"]) for one in request.json["parts"])
        if told != [(number, parts[number][1][:32]) for number in sorted(parts)]:
            return answer({"detail": "InvalidPart"}, 400)
        whole = hashlib.sha256("".join(parts[number][1] for number in sorted(parts)).encode()).hexdigest()
        size = sum(size for size, _ in parts.values())
        return self._done(request, name, Stored(media_type, size, whole, len(parts)))

    def _by_token(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return answer({"detail": "Invalid token"}, 401)
        name = f"{uuid.uuid4().hex}_{request.headers.get('x-fal-file-name', '')}"
        return self._done(request, name, Stored(request.headers["content-type"], request.size, request.sha256))

    def _begin(self, request: Request) -> Reply:
        """Begin an upload in parts as the SDK for Python does."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return answer({"detail": "Invalid token"}, 401)
        name = f"{uuid.uuid4().hex}_{request.headers.get('x-fal-file-name', '')}"
        self._open[name] = (request.headers["content-type"], {})
        return answer({"access_url": f"http://{request.headers['host']}/files/b/{name}", "uploadId": "u1"})

    def _done(self, request: Request, name: str, stored: Stored) -> Reply:
        url = f"http://{request.headers['host']}/files/b/{name}"
        self.uploads[url] = stored
        if request.file is not None:
            request.file.unlink()
        return answer({"access_url": url})
