"""One job at Creatify, from a call's inputs to its output."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from automarket.errors import InputIncomplete, ProviderNotConfigured
from provider_servers.creatify.refusals import failed
from provider_servers.runtime import Generated, Usage
from provider_servers.runtime.remote import Made, Phase, RemoteJob, Result, Status
from provider_servers.runtime.remote.uploads import type_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from automarket.media.info import MediaInfo
    from provider_servers.creatify.catalogue import Catalogue
    from provider_servers.creatify.client import CreatifyClient, Job
    from provider_servers.creatify.models import Offer
    from provider_servers.creatify.settings import CreatifySettings
    from provider_servers.runtime import Call
    from provider_servers.runtime.media_input import MediaInput
    from provider_servers.runtime.remote import Claimed, State, Ticket, Uploaded, Uploads

BEFORE_SECONDS, AFTER_SECONDS = 60.0, 300.0  # around a submit whose answer was lost: clocks differ
_QUEUED, _ENDED, _NAMED = ("pending", "in_queue"), ("done", "failed", "rejected"), ("lipsyncs", "aurora")


class CreatifyJob(RemoteJob):
    """One job.

    Args:
        call: what is asked.
        client: asks Creatify.
        offer: the model, and how it is asked for.
        settings: where inputs may be put, and who speaks where nobody is named.
        catalogue: persons and voices.
        uploads: inputs that were put there.
        claimed: jobs that are somebody's.
    """

    def __init__(
        self,
        call: Call,
        client: CreatifyClient,
        offer: Offer,
        settings: CreatifySettings,
        *,
        catalogue: Catalogue,
        uploads: Uploads,
        claimed: Claimed,
    ) -> None:
        self._call = call
        self._client = client
        self._offer = offer
        self._settings = settings
        self._catalogue = catalogue
        self._uploads = uploads
        self._claimed = claimed
        self._body: dict[str, Any] = {}

    async def prepare(self) -> None:
        """Make the job's fields; inputs go to the place that the user has named, since Creatify has no upload."""
        given = await self._options() | await self._inputs()
        names = self._offer.names
        self._body = {names.get(name, name): value for name, value in given.items()} | dict(self._offer.fixed)
        if self._offer.kind in _NAMED:
            self._body["name"] = f"automarket {self._call.request_id}"  # by which a lost submit is found

    async def _options(self) -> dict[str, Any]:
        given, family = dict(self._call.options), self._offer.family
        if "avatar" in self._offer.model.options:
            name = given.get("avatar") or self._settings.avatar
            given["avatar"] = await self._catalogue.persona(self._client, name, family)
        if given.get("voice"):
            given["voice"] = await self._catalogue.accent(self._client, given["voice"], family)
        if "aspect_ratio" in given:
            given["aspect_ratio"] = given["aspect_ratio"].replace(":", "x")
        return given

    async def _inputs(self) -> dict[str, str]:
        """Give what is said and who says it.

        Raises:
            InputIncomplete: nothing is to be said.
            ProviderNotConfigured: there is no place for media.
        """
        found: dict[str, str] = {}
        for name in ("image", "speech"):
            if (media := self._call.optional_input(name)) is not None:
                found[name] = await self._url(media)
        text = self._call.optional_input("text")
        if text is not None and "speech" not in found:
            found["text"] = await text.text()
        if not found:
            fields = {"header.inputs": "text or speech"}
            raise InputIncomplete("there is nothing to say", hint="give a text, or speech", fields=fields)
        return found

    async def _url(self, media: MediaInput) -> str:
        if not self._settings.upload_url:
            message = f"Creatify reads media from public addresses only, and there is no place for {media.slot.name!r}"
            hint = "set AUTOMARKET_CREATIFY_UPLOAD_URL to where inputs may be put by HTTP PUT, or give a text"
            raise ProviderNotConfigured(message, hint=hint, metadata={"provider": "creatify"})
        file = await media.path()
        return await self._uploads.url_for(file, type_of(file, media.media_type), self._put)

    async def _put(self, file: Path, media_type: str, name: str) -> Uploaded:
        settings = self._settings
        public = settings.public_url or settings.upload_url
        token = settings.upload_token.get_secret_value()
        return await self._client.put(file, media_type, f"{settings.upload_url}/{name}", f"{public}/{name}", token)

    def remembered(self) -> Mapping[str, Any]:
        """Give what a lost submit is found by: its name, or what is said by whom."""
        if self._offer.kind in _NAMED:
            return {"name": self._body["name"]}
        return {"script": _digest(self._body["script"]), "accent": self._body.get("accent")}

    async def submit(self) -> Ticket:
        """Make the job."""
        return self._ticket(await self._client.create(self._offer.kind, self._body))

    def _ticket(self, made: Job) -> Ticket:
        self._claimed.add(made.id)
        return {"id": made.id}

    async def lookup(self, state: State) -> Ticket | None:
        """Find the one job that has this call's name; speech has none: the one that says the same, made about then."""
        wanted = state.remembered
        found = [one for one in await self._client.list(self._offer.kind) if one.id not in self._claimed]
        if "name" in wanted:
            found = [one for one in found if one.name == wanted["name"]]
        else:
            same = [one for one in found if (_digest(one.script or ""), one.accent) == tuple(wanted.values())]
            found = [one for one in same if -BEFORE_SECONDS < _moment(one.created_at) - state.at < AFTER_SECONDS]
        return self._ticket(found[0]) if len(found) == 1 else None

    async def status(self, ticket: Ticket) -> Status:
        """Ask where the job is. A state that is not known is one that goes on."""
        found = await self._client.get(self._offer.kind, ticket["id"])
        if found.status in _ENDED:
            return Status(Phase.DONE)
        if found.status in _QUEUED:
            return Status(Phase.QUEUED)
        return Status(Phase.RUNNING, fraction=found.fraction, message=found.status)

    async def result(self, ticket: Ticket) -> Result | None:
        """Give the output; None where the job is done and does not say yet where it is."""
        found = await self._client.get(self._offer.kind, ticket["id"])
        if found.status in ("failed", "rejected"):
            raise failed(found.status, found.failed_reason or "", self._offer.model.id, found.id)
        if found.status != "done" or not found.url:
            return None
        known = Generated(vendor_request_id=found.id)
        made = Made(self._offer.model.outputs[0].name, found.url, generated=known)
        return Result((made,), facts={"credits": found.credits_used})

    def usage(self, result: Result, outputs: Sequence[MediaInfo]) -> Sequence[Usage]:  # noqa: ARG002
        """Say how many credits it took."""
        taken = result.facts.get("credits")
        return (Usage("credit", output_units=float(taken)),) if isinstance(taken, int | float) else ()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _moment(text: str) -> float:
    """Give a moment in seconds of the epoch; long ago where it cannot be read."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
