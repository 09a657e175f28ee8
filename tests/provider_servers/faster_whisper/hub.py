"""Hugging Face's HTTP API as far as a download goes, over folders on this machine; slow when told to be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE = 64 * 1024


@dataclass
class Hub:
    """The hub.

    Attributes:
        folders: files of each repository.
        port: where it listens.
        rate: bytes a second; 0 is as fast as it goes.
        sent: bytes of files that went out.
        asked: request lines.
    """

    folders: dict[str, Path]
    port: int = 0
    rate: float = 0
    sent: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close the connection."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line = head.splitlines()[0]
            self.asked.append(line)
            method, path, _ = line.split(" ")
            await self._send(writer, method, path.partition("?")[0])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, method: str, path: str) -> None:
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?", path):
            await self._model(writer, found[1])
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/([^/]+)", path):
            await self._file(writer, method, found[1], found[2])
        else:
            _head(writer, "404 Not Found", {"content-length": "0"})

    async def _model(self, writer: asyncio.StreamWriter, repository: str) -> None:
        folder = self.folders.get(repository)
        if folder is None:
            _head(writer, "404 Not Found", {"x-error-code": "RepoNotFound", "content-length": "0"})
            return
        files = [{"rfilename": one.name, "size": one.stat().st_size} for one in folder.iterdir()]
        body = json.dumps({"_id": "1", "id": repository, "sha": COMMIT, "siblings": files}).encode()
        _head(writer, "200 OK", {"content-type": "application/json", "content-length": str(len(body))})
        writer.write(body)
        await writer.drain()

    async def _file(self, writer: asyncio.StreamWriter, method: str, repository: str, name: str) -> None:
        path = self.folders.get(repository, Path("/nowhere")) / name
        if not path.exists():
            _head(writer, "404 Not Found", {"x-error-code": "EntryNotFound", "content-length": "0"})
            return
        data = path.read_bytes()
        facts = {
            "etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "x-repo-commit": COMMIT,
            "content-length": str(len(data)),
            "content-type": "application/octet-stream",
        }
        _head(writer, "200 OK", facts)
        if method == "HEAD":
            return
        for place in range(0, len(data), PIECE):
            piece = data[place : place + PIECE]
            writer.write(piece)
            await writer.drain()
            self.sent += len(piece)
            if self.rate:
                await asyncio.sleep(len(piece) / self.rate)


def _head(writer: asyncio.StreamWriter, status: str, facts: dict[str, str]) -> None:
    lines = [f"HTTP/1.1 {status}", *(f"{key}: {value}" for key, value in facts.items()), "connection: close"]
    writer.write("\r\n".join([*lines, "", ""]).encode())


@asynccontextmanager
async def serving_hub(**folders: Path) -> AsyncGenerator[Hub]:
    """Serve folders as repositories "noise/<name>"."""
    hub = Hub({f"noise/{name}": folder for name, folder in folders.items()})
    server = await asyncio.start_server(hub.answer, "127.0.0.1", 0)
    hub.port = server.sockets[0].getsockname()[1]
    try:
        yield hub
    finally:
        server.close()
        await server.wait_closed()
