"""One prediction at Replicate, from a call's inputs to its output."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from automarket.errors import BackendFailed, JobCancelled, OutputExpired
from provider_servers.replicate.cog import urls_of
from provider_servers.replicate.refusals import failed
from provider_servers.replicate.spoken import rest_of, spoken_of
from provider_servers.runtime import Completion, Generated, MessageRole, TextDelta, Usage
from provider_servers.runtime.remote import Cancel, Made, Phase, RemoteJob, Result, Status
from provider_servers.runtime.remote.uploads import type_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from automarket.media.info import MediaInfo
    from provider_servers.replicate.client import Prediction, ReplicateClient
    from provider_servers.replicate.models import Recipe
    from provider_servers.runtime import Call
    from provider_servers.runtime.media_input import MediaInput
    from provider_servers.runtime.remote import Claimed, State, Ticket, Uploads

BEFORE_SECONDS, AFTER_SECONDS = 60.0, 300.0  # around a submit whose answer was lost: clocks differ
MOST_SEED = 2**31 - 1
_PHASES = {"starting": Phase.QUEUED, "processing": Phase.RUNNING}
_ENDED = ("succeeded", "failed", "canceled", "aborted")
_SHARE = re.compile(r"(\d{1,3})%\|")


class ReplicateJob(RemoteJob):
    """One prediction.

    Args:
        call: what is asked.
        client: asks Replicate.
        recipe: how the call becomes an input.
        uploads: where inputs go up.
        claimed: predictions that are somebody's.
    """

    def __init__(self, call: Call, client: ReplicateClient, recipe: Recipe, uploads: Uploads, claimed: Claimed) -> None:
        self._call = call
        self._client = client
        self._recipe = recipe
        self._uploads = uploads
        self._claimed = claimed
        self._input: dict[str, Any] = {}
        self._said = ""

    async def prepare(self) -> None:
        """Make the input. A seed that is left open is chosen here: it is told, and it makes the prediction findable."""
        recipe = self._recipe
        given = recipe.values(self._call.options)
        seed = recipe.options.fields().get("seed")
        if seed is not None and seed not in given:
            digest = hashlib.sha256(self._call.request_id.encode()).digest()
            given[seed] = int.from_bytes(digest[:8]) % MOST_SEED + 1  # a repeat of the call asks for the same
        for slot, name in recipe.media.items():
            urls = [await self._url(one) for one in self._call.inputs(slot)]
            if urls:
                given[name] = urls if slot in recipe.lists else urls[0]
        if "text-to-text" in recipe.model.capabilities:
            given |= await self._chat()
        elif recipe.text and (text := self._call.optional_input("text")) is not None:
            given[recipe.text] = await text.text()
        self._input = given

    async def _url(self, media: MediaInput) -> str:
        file = await media.path()
        return await self._uploads.url_for(file, type_of(file, media.media_type), self._client.upload)

    async def _chat(self) -> dict[str, str]:
        """Give a conversation as these models take it: what the system says apart, if they can, and one prompt."""
        messages = await self._call.conversation()
        system = "\n\n".join(one.text for one in messages if one.role is MessageRole.SYSTEM)
        rest = [one for one in messages if one.role is not MessageRole.SYSTEM]
        told = [f"{one.role.value.capitalize()}: {one.text}" for one in rest]
        prompt = rest[0].text if len(rest) == 1 else "\n\n".join([*told, "Assistant:"])
        apart = self._recipe.options.fields().get("system_prompt")
        if apart is None:
            return {self._recipe.text: f"{system}\n\n{prompt}" if system else prompt}
        return {self._recipe.text: prompt} | ({apart: system} if system else {})

    def remembered(self) -> Mapping[str, Any]:
        """Give what a lost submit is found by."""
        return {"digest": _digest(self._input)}

    async def submit(self) -> Ticket:
        """Make the prediction."""
        return self._ticket(await self._client.create(self._recipe.slug, self._recipe.version, self._input))

    def _ticket(self, made: Prediction) -> Ticket:
        self._claimed.add(made.id)
        return {"id": made.id, "stream": self._client.safe(made.urls.stream or "")}

    async def lookup(self, state: State) -> Ticket | None:
        """Find the one prediction of this model and input that was made about then, and that is nobody else's."""
        listed = await self._client.made_about(state.at, BEFORE_SECONDS, AFTER_SECONDS)
        wanted = (self._recipe.slug, state.remembered.get("digest"))
        found = [one for one in listed if (one.model, _digest(one.input)) == wanted and one.id not in self._claimed]
        return self._ticket(found[0]) if len(found) == 1 else None

    async def status(self, ticket: Ticket) -> Status:
        """Ask where the prediction is, and what it has told by now."""
        found = await self._client.get(ticket["id"])
        lines = tuple((found.logs or "").splitlines())
        shares = _SHARE.findall(found.logs or "")
        phase = Phase.DONE if found.status in _ENDED else _PHASES.get(found.status, Phase.RUNNING)
        fraction = min(int(shares[-1]), 100) / 100 if shares and phase is Phase.RUNNING else None
        message = "a model that nobody used for a while starts first" if phase is Phase.QUEUED else ""
        return Status(phase, fraction=fraction, message=message, log_lines=lines, spoken=self._news(found))

    def _news(self, found: Prediction) -> tuple[TextDelta, ...]:
        if not self._recipe.tells:
            return ()
        rest, self._said = rest_of(found.output, self._said)
        return (TextDelta((rest,)),) if rest else ()

    def watch(self, ticket: Ticket) -> AsyncGenerator[Status] | None:
        """Give what a language model tells, as it does."""
        url = self._client.safe(str(ticket.get("stream", "")))  # a checkpoint comes from outside
        return self._told(url) if url and self._recipe.tells else None

    async def _told(self, url: str) -> AsyncGenerator[Status]:
        async with aclosing(self._client.told(url)) as events:
            async for event in events:
                text = event.data.decode(errors="replace")
                if event.name == b"output":
                    self._said += text
                    yield Status(Phase.RUNNING, spoken=(TextDelta((text,)),) if text else (), logs_are_whole=False)
                elif event.name == b"logs":
                    yield Status(Phase.RUNNING, log_lines=tuple(text.splitlines()), logs_are_whole=False)
                elif event.name == b"done":
                    yield Status(Phase.DONE, logs_are_whole=False)

    async def result(self, ticket: Ticket) -> Result | None:
        """Give the output; None where there is none yet: now and then it comes after the end."""
        found = await self._client.get(ticket["id"])
        facts = {"model": self._recipe.model.id, "phase": "running", "vendor_request_id": found.id}
        if found.status == "failed":
            raise failed(found.error, self._recipe.model.id, found.id)
        if found.status == "canceled":
            raise JobCancelled("the prediction was cancelled at Replicate", metadata=facts)
        if found.status == "aborted":
            message = f"Replicate gave the prediction up before it ran: {found.error or 'its deadline passed'}"
            raise BackendFailed(message, hint="try again", metadata=facts)
        if found.data_removed and not self._said:
            message = "Replicate has removed the output, which it keeps for an hour after the end; it was paid for"
            raise OutputExpired(message, hint="run it again", metadata=facts)
        is_there = bool(found.output) or bool(self._said)
        return self._result(found) if found.status == "succeeded" and is_there else None

    def _result(self, found: Prediction) -> Result:
        output = self._recipe.model.outputs[0]
        metrics = found.metrics or {}
        if output.name != "text":
            seed = found.input.get("seed")
            known = Generated(seed=seed if isinstance(seed, int) else None, vendor_request_id=found.id)
            return Result(
                tuple(Made(output.name, url, generated=known) for url in urls_of(found.output)), facts=metrics
            )
        spoken = self._news(found) if self._recipe.tells else spoken_of(found.output)
        if "text-to-text" in self._recipe.model.capabilities:
            spoken = (*spoken, Completion(served_model=found.version or found.model, vendor_request_id=found.id))
        return Result(spoken=spoken, facts=metrics)

    async def cancel(self, ticket: Ticket) -> Cancel:
        """Cancel the prediction; where it still runs, its end tells."""
        found = await self._client.cancel(ticket["id"])
        if found is None:
            return Cancel.UNKNOWN
        if found.status in ("canceled", "aborted"):
            return Cancel.TAKEN
        return Cancel.TOO_LATE if found.status in _ENDED else Cancel.REQUESTED

    def usage(self, result: Result, outputs: Sequence[MediaInfo]) -> Sequence[Usage]:  # noqa: ARG002
        """Say how long it ran, by which it is priced; of language models how many tokens, where it says so."""
        facts = result.facts
        read, written = facts.get("input_token_count"), facts.get("output_token_count")
        if isinstance(read, int) and isinstance(written, int):
            return (Usage("token", read, written),)
        seconds = facts.get("predict_time")
        return (Usage("second", output_units=float(seconds)),) if isinstance(seconds, int | float) else ()


def _digest(given: Mapping[str, Any]) -> str:
    """Give what tells an input from others; 5 and 5.0 are the same."""
    whole = {name: int(value) for name, value in given.items() if isinstance(value, float) and value.is_integer()}
    return hashlib.sha256(json.dumps({**given, **whole}, sort_keys=True).encode()).hexdigest()
