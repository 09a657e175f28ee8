"""Replicate's HTTP API: POST /predictions and what follows. Source: Replicate's OpenAPI description, its SDK 1.0.7."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec

from provider_servers.replicate.cog import CogModel, Version, read_model
from provider_servers.runtime.remote import Unanswered, Uploaded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from provider_servers.runtime.http.sse import SseEvent
    from provider_servers.runtime.remote import VendorApi

MAX_PAGES = 10
IDLE_SECONDS = 600.0  # a model that nobody used for a while says nothing until it has started
_HOME = ".replicate.com"


class Urls(msgspec.Struct, frozen=True):
    """Where else a prediction is; `stream` is there where the model can tell."""

    stream: str | None = None


class Prediction(msgspec.Struct):
    """One run of a model."""

    id: str
    status: str
    model: str = ""
    version: str = ""
    input: dict[str, Any] = {}
    output: Any = None
    error: Any = None
    logs: str | None = None
    data_removed: bool = False
    metrics: dict[str, Any] | None = None
    urls: Urls = Urls()


class Page(msgspec.Struct):
    """One page of predictions."""

    results: list[Prediction]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ReplicateClient:
    """Requests to Replicate; all raise `Unanswered` where there is no answer, and AutoMarketErrors for refusals."""

    api: VendorApi

    async def create(self, slug: str, version: str, given: dict[str, Any]) -> Prediction:
        """Make a prediction, which is paid for: of a version, or of an official model, which has none."""
        path = "/predictions" if version else f"/models/{slug}/predictions"
        answer = await self.api.submit(path, {"input": given} | ({"version": version} if version else {}))
        return self._read(answer.body, Prediction)

    async def get(self, prediction: str) -> Prediction:
        """Ask for a prediction."""
        answer = await self.api.ask("GET", f"/predictions/{prediction}")
        if not answer.is_success:
            raise self.api.refused(answer, at_work=True)
        return self._read(answer.body, Prediction)

    async def cancel(self, prediction: str) -> Prediction | None:
        """Cancel a prediction; None where the vendor knows none of that name."""
        answer = await self.api.ask("POST", f"/predictions/{prediction}/cancel")
        if answer.status in (404, 410):
            return None
        if not answer.is_success:
            raise self.api.refused(answer, at_work=True)
        return self._read(answer.body, Prediction)

    async def made_about(self, moment: float, before: float, after: float) -> list[Prediction]:
        """List the predictions that were made around a moment (seconds of the epoch)."""
        begin, end = (datetime.fromtimestamp(moment, UTC) + timedelta(seconds=by) for by in (-before, after))
        params = {"created_after": begin.isoformat(), "created_before": end.isoformat()}
        found: list[Prediction] = []
        address = "/predictions"
        for _ in range(MAX_PAGES):
            page = self._read((await self.api.get(address, params)).body, Page)
            found += page.results
            if page.next is None or not self._is_ours(page.next):
                return found
            address, params = page.next, {}
        return found

    async def told(self, url: str) -> AsyncGenerator[SseEvent]:
        """Give what a prediction tells, as it does: events "output" (text as it is), "logs", "error", "done"."""
        async with self.api.events(url, idle_seconds=IDLE_SECONDS, reader=lambda event: event) as events:
            async for event in events:
                yield event

    async def upload(self, file: Path, media_type: str, name: str) -> Uploaded:
        """Upload a file, streamed; it stays for a day."""
        with file.open("rb") as source:
            form = aiohttp.FormData()
            form.add_field("content", source, filename=name, content_type=media_type)
            made = (await self.api.send_form("/files", form)).object()
        url = cast("dict[str, Any]", made.get("urls") or {}).get("get")
        if not isinstance(url, str):
            raise self.api.odd("its answer to an upload has no address")
        return Uploaded(url, _seconds_until(made.get("expires_at")))

    async def model(self, name: str) -> CogModel | None:
        """Describe a model by owner/name or owner/name:version; None where there is none."""
        slug, _, version = name.partition(":")
        paths = [f"/models/{slug}", *([f"/models/{slug}/versions/{version}"] if version else [])]
        answers = await asyncio.gather(*(self.api.ask("GET", path) for path in paths))
        for answer in answers:
            if answer.status == 404:
                return None
            if not answer.is_success:
                raise self.api.refused(answer)
        try:
            pinned = msgspec.json.decode(answers[1].body, type=Version) if version else None
            return read_model(answers[0].body, pinned)
        except msgspec.MsgspecError as error:
            raise self.api.odd(f"its description of {name} cannot be read: {error}") from None

    async def check(self) -> None:
        """Make a request that is free of charge and needs the key."""
        await self.api.get("/account")

    def safe(self, url: str) -> str:
        """Give an address that may see the key; empty for any other."""
        return url if url and self._is_ours(url) else ""

    def _is_ours(self, url: str) -> bool:
        """Tell whether an address is the vendor's own: the key goes nowhere else."""
        parts = urlsplit(url)
        own = urlsplit(self.api.upstream.base_url)
        is_same = (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
        return is_same or (parts.scheme == "https" and (parts.hostname or "").endswith(_HOME))

    def _read(self, body: bytes, kind: type[Any]) -> Any:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError:
            raise Unanswered(self.api.odd("an answer of it cannot be read"), reached=True) from None


def _seconds_until(moment: object) -> float:
    """Give the seconds until a moment; an hour where nobody says."""
    try:
        return datetime.fromisoformat(str(moment)).timestamp() - time.time()
    except ValueError:
        return 3600.0
