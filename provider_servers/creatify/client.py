"""Creatify's HTTP API. Every path ends in a slash: without it a POST is lost. Source: docs.creatify.ai, 2026-08."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from provider_servers.runtime.remote import Unanswered, Uploaded

if TYPE_CHECKING:
    from pathlib import Path

    from provider_servers.runtime.remote import VendorApi

UPLOADED_SECONDS = 3600.0  # how long the place of the user is trusted to keep an input


class Job(msgspec.Struct):
    """One job; which of the outputs it has depends on its kind."""

    id: str
    status: str
    name: str | None = None
    script: str | None = None
    accent: str | None = None
    output: str | None = None
    video_output: str | None = None
    failed_reason: str | None = None
    progress: float | str | None = None
    credits_used: float | None = None
    created_at: str = ""

    @property
    def url(self) -> str:
        """Where the output is; empty while there is none."""
        return self.video_output or self.output or ""

    @property
    def fraction(self) -> float | None:
        """How far it is, 0 to 1; vendors count to 1 or to 100, as numbers or text."""
        try:
            share = float(self.progress if self.progress is not None else "")
        except ValueError:
            return None
        share = share / 100 if share > 1 else share
        return share if 0 < share <= 1 else None


class Accent(msgspec.Struct):
    """One way in which a voice speaks; its id is what a job takes."""

    id: str
    accent_name: str | None = None
    preview_url: str | None = None


class VendorVoice(msgspec.Struct):
    """One voice."""

    name: str
    gender: str | None = None
    accents: list[Accent] = []


class Persona(msgspec.Struct):
    """One person."""

    id: str
    creator_name: str | None = None
    gender: str | None = None


@dataclass(frozen=True, slots=True)
class CreatifyClient:
    """Requests to Creatify; all raise `Unanswered` where there is no answer, and AutoMarketErrors for refusals."""

    api: VendorApi

    async def create(self, kind: str, body: dict[str, Any]) -> Job:
        """Make a job, which is paid for. Kinds are "lipsyncs", "aurora", "text_to_speech"."""
        return self._read((await self.api.submit(f"/api/{kind}/", body)).body, Job)

    async def get(self, kind: str, job: str) -> Job:
        """Ask for a job."""
        answer = await self.api.ask("GET", f"/api/{kind}/{job}/")
        if not answer.is_success:
            raise self.api.refused(answer, at_work=True)
        return self._read(answer.body, Job)

    async def list(self, kind: str) -> list[Job]:
        """List the jobs of a kind."""
        return self._read((await self.api.get(f"/api/{kind}/")).body, list[Job])

    async def voices(self) -> list[VendorVoice]:
        """List the voices."""
        return self._read((await self.api.get("/api/voices/")).body, list[VendorVoice])

    async def personas(self) -> list[Persona]:
        """List the persons: Creatify's, and those of the account."""
        return self._read((await self.api.get("/api/personas/")).body, list[Persona])

    async def check(self) -> None:
        """Make a request that is free of charge and needs the key."""
        await self.api.get("/api/remaining_credits/")

    async def put(self, file: Path, media_type: str, url: str, read_url: str, token: str) -> Uploaded:
        """Put a file at a place of the user's own; without the vendor's key, which is nobody else's business."""
        headers = {"content-type": media_type} | ({"authorization": f"Bearer {token}"} if token else {})
        await self.api.send_file("PUT", url, file, headers)
        return Uploaded(read_url, UPLOADED_SECONDS)

    def _read(self, body: bytes, kind: Any) -> Any:
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError:
            raise Unanswered(self.api.odd("an answer of it cannot be read"), reached=True) from None
