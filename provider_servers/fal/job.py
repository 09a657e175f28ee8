"""One call at fal.ai."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec

from automarket.assets.roles import Role
from automarket.errors import BackendFailed, InputTooLarge, JobCancelled, ModelGone, OptionInvalid
from provider_servers.fal.prices import usage_of
from provider_servers.fal.refusals import CANCELLED, is_in_progress, read_fault
from provider_servers.runtime.events import Generated, TextDelta
from provider_servers.runtime.remote import Made, Phase, RemoteJob, Result, Status, Unanswered
from provider_servers.runtime.remote.faults import to_media_error
from provider_servers.runtime.remote.pictures import PictureLimit, fitted
from provider_servers.runtime.remote.uploads import type_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from automarket.media.info import MediaInfo
    from provider_servers.fal.api import FalApi
    from provider_servers.fal.endpoints import Endpoint
    from provider_servers.fal.settings import FalSettings
    from provider_servers.runtime.call import Call
    from provider_servers.runtime.events import Usage
    from provider_servers.runtime.media_input import MediaInput
    from provider_servers.runtime.remote import Cancel, State, Ticket, Uploads
    from provider_servers.runtime.remote.claimed import Claimed

_LONG = 300  # characters of an input that a checkpoint remembers as they are
_EARLIER = 120.0  # seconds: clocks differ
_PHASES = {"IN_QUEUE": Phase.QUEUED, "IN_PROGRESS": Phase.RUNNING, "COMPLETED": Phase.DONE}
_CANCELLED_STATUS = 499


@dataclass(slots=True)
class FalJob(RemoteJob):
    """One call at fal.ai."""

    call: Call
    endpoint: Endpoint
    api: FalApi
    uploads: Uploads
    settings: FalSettings
    claimed: Claimed
    body: dict[str, Any] = field(default_factory=dict[str, Any])
    _failed: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def _name(self) -> str:
        return self.endpoint.model.id

    async def prepare(self) -> None:
        """Make the vendor's input."""
        if gone := self.endpoint.gone:
            message = f"fal.ai has no {self._name} any more"
            raise ModelGone(message, hint=f"take model {gone}", metadata={"model": self._name, "replacement": gone})
        self.body = self.endpoint.options.to_vendor(self.call.options)
        for name in self.endpoint.needs:
            if self.call.options.get(name) in (None, ""):
                family = self._name_of(name)
                raise OptionInvalid(f"option {name} is required by model {self._name}", fields={family: "required"})
        if self.endpoint.has_seed and "seed" not in self.body:
            # A call that says its seed can be told from others, should the answer of its submit be lost.
            self.body["seed"] = int.from_bytes(hashlib.sha256(self.call.request_id.encode()).digest()[:4]) >> 1
        if self.endpoint.text and (text := self.call.optional_input("text")) is not None:
            self.body[self.endpoint.text] = await text.text()
        for slot, name in self.endpoint.media.items():
            urls = [await self._url(one) for one in self.call.inputs(slot)]
            if urls:
                self.body[name] = urls if slot in self.endpoint.lists else urls[0]

    def _name_of(self, option: str) -> str:
        paths = self.endpoint.names().values()
        return next((f"header.{one}" for one in paths if one.endswith(f".{option}")), f"header.model_options.{option}")

    async def _url(self, given: MediaInput) -> str:
        file = await given.path()
        media_type = type_of(file, given.media_type)
        if given.slot.role is Role.IMAGE:
            limit = PictureLimit(self.settings.max_picture_bytes, self.settings.max_picture_side)
            file, media_type = await fitted(file, media_type, limit, self.call.workdir)
        elif (size := file.stat().st_size) > self.settings.max_input_bytes:
            message = f"input {given.slot.name!r} has {size:,} bytes; fal.ai gets {self.settings.max_input_bytes:,}"
            raise InputTooLarge(message, hint="cut it, or raise AUTOMARKET_FAL_MAX_INPUT_BYTES",
                                fields={f"header.inputs.{given.slot.name}": "too large"})  # fmt: skip
        return await self.uploads.url_for(file, media_type, self.api.upload, self.settings.key)

    async def submit(self) -> Ticket:
        """Submit the work."""
        ticket = await self.api.submit(self._name, self.body)
        self.claimed.add(ticket["id"])
        return ticket

    def remembered(self) -> Mapping[str, Any]:
        """Give the input, long texts by their digest."""
        return {"input": _shortened(self.body)}

    async def lookup(self, state: State) -> Ticket | None:
        """Find the one request with our input among the account's own since the submit."""
        wanted = state.remembered.get("input")
        since = datetime.fromtimestamp(state.at - _EARLIER, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        listed = await self.api.requests(self._name, since)
        ours = [str(one["request_id"]) for one in listed if _covers(one.get("json_input"), wanted)]
        ours = [name for name in ours if name not in self.claimed]
        if len(ours) != 1 or not wanted:
            return None
        [name] = ours
        self.claimed.add(name)
        return self.api.placed(self._name, {"id": name})

    def _placed(self, ticket: Ticket) -> Ticket:
        return self.api.placed(self._name, ticket)

    async def status(self, ticket: Ticket) -> Status:
        """Ask where the work is."""
        return self._status(await self.api.status(self._placed(ticket)))

    def watch(self, ticket: Ticket) -> AsyncGenerator[Status] | None:
        """Give the states as they are streamed."""
        return self._states(ticket) if self.settings.stream else None

    async def _states(self, ticket: Ticket) -> AsyncGenerator[Status]:
        async for state in self.api.states(self._placed(ticket), self.settings.idle_timeout):
            yield self._status(state)

    def _status(self, told: dict[str, Any]) -> Status:
        phase = _PHASES.get(str(told.get("status")))
        if phase is None:
            raise BackendFailed(f"fal.ai gives a state that is not known: {str(told.get('status'))[:50]!r}")
        if phase is Phase.DONE and told.get("error"):
            self._failed = told
        lines = cast("list[dict[str, Any]]", told.get("logs") or [])
        position = told.get("queue_position")
        return Status(
            phase,
            position if isinstance(position, int) and phase is Phase.QUEUED else None,
            log_lines=tuple(str(line.get("message", "")) for line in lines),
        )

    async def result(self, ticket: Ticket) -> Result | None:
        """Fetch the result."""
        answer = await self.api.result(self._placed(ticket))
        if is_in_progress(answer.status, answer.body):
            return None
        queue, told = self.api.queue, answer.object()
        kinds = {told.get("error_type"), answer.headers.get("x-fal-error-type"), self._failed.get("error_type")}
        if answer.status == _CANCELLED_STATUS or kinds & CANCELLED:
            raise JobCancelled("fal.ai has cancelled the work", metadata={"vendor_request_id": ticket["id"]})
        if not answer.is_success:
            error = queue.refused(answer, at_work=True)
            raise error if told or answer.status < 500 else Unanswered(error, reached=True)
        result = self._read(told, ticket["id"], answer.headers.get("x-fal-billable-units", ""))
        if not result.made and not result.spoken:
            vendor = queue.upstream.vendor
            fault = read_fault(500, {}, self._failed) if self._failed else None
            raise to_media_error(fault, vendor, self._name, {}) if fault else queue.odd("the result holds no output")
        return result

    def _read(self, told: dict[str, Any], request_id: str, units: str) -> Result:
        """Read an output: `{"images": [{"url", "content_type"}], "seed", "has_nsfw_concepts"}` and the like."""
        given = told.get(self.endpoint.makes) or told.get("image") or told.get("images")
        facts = {"units": float(units)} if units.replace(".", "", 1).isdecimal() else {}
        if isinstance(given, str) and self.endpoint.model.outputs[0].role is Role.TEXT:
            return Result(spoken=(TextDelta((given,)),), facts=facts)
        files = cast("list[Any]", given) if isinstance(given, list) else [given]
        flags = cast("list[Any]", told.get("has_nsfw_concepts") or [])
        said = told.get("prompt")
        made: list[Made] = []
        for number, one in enumerate(files):
            file = cast("dict[str, Any]", one) if isinstance(one, dict) else {"url": one}
            url: Any = file.get("url")
            if not isinstance(url, str):
                continue
            flagged = bool(flags[number]) if number < len(flags) else None
            seed = told.get("seed")
            generated = Generated(
                seed if isinstance(seed, int) and abs(seed) < 2**63 else None,
                flagged,
                ("nsfw",) if flagged else (),
                str(said) if self._is_rewritten(said) else "",
                request_id,
            )
            output = self.endpoint.model.outputs[0].name
            made.append(Made(output, url, str(file.get("content_type") or ""), generated))
        return Result(tuple(made), facts=facts)

    def _is_rewritten(self, said: Any) -> bool:
        """Tell whether the vendor has rewritten the text; nobody knows of a call that goes on."""
        asked = self.body.get("prompt")
        return isinstance(said, str) and bool(said) and isinstance(asked, str) and said != asked

    async def cancel(self, ticket: Ticket) -> Cancel:
        """Cancel the work."""
        return await self.api.cancel(self._placed(ticket))

    def usage(self, result: Result, outputs: Sequence[MediaInfo]) -> Sequence[Usage]:
        """Say what was used: the vendor's own count of units where it sends one, else what was made."""
        return usage_of(self.endpoint.model.pricing, result.facts.get("units"), max(len(result.made), 1), outputs)


def _shortened(value: Any) -> Any:
    """Give an input with long texts by their digest: what a checkpoint can hold."""
    if isinstance(value, str) and len(value) > _LONG:
        return f"sha256:{hashlib.sha256(value.encode()).hexdigest()}"
    if isinstance(value, dict):
        return {name: _shortened(one) for name, one in cast("dict[str, Any]", value).items()}
    return [_shortened(one) for one in cast("list[Any]", value)] if isinstance(value, list) else value


def _covers(given: Any, wanted: Any) -> bool:
    """Tell whether a request's input is ours; the vendor may have filled defaults in."""
    try:
        value = msgspec.json.decode(given) if isinstance(given, str) else given
    except msgspec.DecodeError:
        return False
    if not isinstance(value, dict) or not isinstance(wanted, dict):
        return False
    short = cast("dict[str, Any]", _shortened(value))
    return all(name in short and short[name] == one for name, one in cast("dict[str, Any]", wanted).items())
