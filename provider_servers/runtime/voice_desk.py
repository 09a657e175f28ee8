"""The voices RPCs over an author's provider: listing in pages, making a voice once, removing it."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, InputIncomplete, InvalidRequestError, PageTokenInvalid, RequestIdReused
from automarket.v1 import media_provider_service_pb2 as pb
from automarket.voices import to_proto
from provider_servers.runtime.prepare import Preparer
from provider_servers.runtime.voices import NewVoice, Voice
from provider_servers.runtime.workdir import Workdir

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from provider_servers.runtime.host import Host

PAGE_SIZE, MAX_PAGE_SIZE = 100, 1000
MAX_NAME, MAX_DESCRIPTION, MAX_SAMPLES, MAX_LABELS = 100, 500, 25, 16
KEPT_SECONDS, MAX_KEPT = 24 * 3600.0, 1000


@dataclass(slots=True)
class _Made:
    """What a request_id asked for, and what came of it."""

    fingerprint: bytes
    at: float = field(default_factory=time.monotonic)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    voice: Voice | None = None


class VoiceDesk:
    """Answers what is asked of a provider's voices."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._provider = host.provider
        self._made: OrderedDict[str, _Made] = OrderedDict()

    async def list(self, request: pb.ListVoicesRequest) -> pb.ListVoicesResponse:
        """Give one page of the voices that fit.

        Raises:
            VoicesUnsupported: the provider has no list of voices.
            PageTokenInvalid, InvalidRequestError: which page is meant cannot be told.
        """
        size, start = _page(request)
        found = [
            voice
            for voice in await self._provider.voices()
            if voice.fits(request.text) and (voice.cloned or not request.cloned_only)
        ]
        more = str(start + size) if start + size < len(found) else ""
        return pb.ListVoicesResponse(voices=map(to_proto, found[start : start + size]), next_page_token=more)

    async def create(self, request: pb.CreateVoiceRequest) -> pb.CreateVoiceResponse:
        """Make a voice, or give the one that an equal request has made.

        Raises:
            VoicesUnsupported: the provider stores no voices.
            RequestIdReused: that request_id asked for another voice.
            InvalidRequestError: the request is not one; the field is named.
        """
        _check(request)
        made = self._entry(request)
        async with made.turn:
            if made.voice is None:
                made.voice = await self._create(request)
        return pb.CreateVoiceResponse(voice=to_proto(made.voice))

    async def delete(self, voice_id: str) -> None:
        """Remove a voice; one that is gone already counts as removed.

        Raises:
            VoicesUnsupported: the provider stores no voices.
            InvalidRequestError: it is not the caller's to remove.
        """
        if not voice_id:
            raise InvalidRequestError("the request names no voice", fields={"voice_id": "required"})
        await self._provider.delete_voice(voice_id)
        for request_id in [key for key, made in self._made.items() if made.voice and made.voice.id == voice_id]:
            del self._made[request_id]

    def _entry(self, request: pb.CreateVoiceRequest) -> _Made:
        """Give what is known of a request_id; the oldest ones are forgotten."""
        while self._made and (len(self._made) >= MAX_KEPT or _is_old(next(iter(self._made.values())))):
            self._made.popitem(last=False)
        made = self._made.setdefault(request.request_id, _Made(_fingerprint(request)))
        if made.fingerprint != _fingerprint(request):
            message = f"request_id {request.request_id} has asked for another voice"
            raise RequestIdReused(message, hint="take a new UUID", fields={"request_id": "used before"})
        return made

    async def _create(self, request: pb.CreateVoiceRequest) -> Voice:
        record = self._host.diagnostics.begin(request.request_id, deque(maxlen=200))
        folder = Workdir()
        try:
            voice = await self._provider.create_voice(await self._prepared(request, folder))
        except BaseException as error:
            record.finish(error)
            if isinstance(error, AutoMarketError):
                error.fields = {name.replace("header.inputs", "samples"): what for name, what in error.fields.items()}
            raise
        finally:
            await self._host.see_through(folder.remove())
        record.finish(None)
        return voice

    async def _prepared(self, request: pb.CreateVoiceRequest, folder: Workdir) -> NewVoice:
        slot, preparer = self._provider.voice_samples, Preparer(self._host.store, folder)
        samples = [await preparer.prepare(number, one, slot, _no_stream) for number, one in enumerate(request.samples)]
        return NewVoice(
            request.request_id,
            request.name.strip(),
            tuple(samples),
            request.description,
            dict(request.labels),
            request.remove_background_noise,
        )


def _page(request: pb.ListVoicesRequest) -> tuple[int, int]:
    """Give how many voices are asked for, and from which on."""
    if not 0 <= request.page_size <= MAX_PAGE_SIZE:
        fields = {"page_size": f"0 to {MAX_PAGE_SIZE:,}"}
        raise InvalidRequestError(f"a page has at most {MAX_PAGE_SIZE:,} voices", fields=fields)
    token = request.page_token
    if token and not (token.isascii() and token.isdigit() and len(token) < 10):
        raise PageTokenInvalid("the page token is not one of this service", fields={"page_token": "unknown"})
    return request.page_size or PAGE_SIZE, int(token or 0)


def _check(request: pb.CreateVoiceRequest) -> None:
    """Check what can be told without the provider.

    Raises:
        InvalidRequestError: naming every field that is wrong.
    """
    faults = dict(_faults(request))
    if faults:
        name, fault = next(iter(faults.items()))
        raise InvalidRequestError(f"the new voice's {name}: {fault}", fields=faults)


def _faults(request: pb.CreateVoiceRequest) -> Mapping[str, str]:
    faults: dict[str, str] = {}
    try:
        uuid.UUID(request.request_id)
    except ValueError:
        faults["request_id"] = "a UUID is required"
    if not 1 <= len(request.name.strip()) <= MAX_NAME:
        faults["name"] = f"1 to {MAX_NAME} characters are required"
    if len(request.description) > MAX_DESCRIPTION:
        faults["description"] = f"at most {MAX_DESCRIPTION} characters"
    if not 1 <= len(request.samples) <= MAX_SAMPLES:
        faults["samples"] = f"1 to {MAX_SAMPLES} are required"
    if len(request.labels) > MAX_LABELS:
        faults["labels"] = f"at most {MAX_LABELS}"
    return faults


def _fingerprint(request: pb.CreateVoiceRequest) -> bytes:
    told = pb.CreateVoiceRequest()
    told.CopyFrom(request)
    told.provider_id = ""
    return hashlib.sha256(told.SerializeToString(deterministic=True)).digest()


def _is_old(made: _Made) -> bool:
    return time.monotonic() - made.at > KEPT_SECONDS and not made.turn.locked()


def _no_stream(number: int) -> AsyncGenerator[bytes]:
    """Give nothing: no chunks follow a request for a voice."""
    message = f"sample {number} says that it follows as chunks"
    fields = {f"samples[{number}].stream": "by digest or inline"}
    raise InputIncomplete(message, hint="upload it and send its digest", fields=fields)
