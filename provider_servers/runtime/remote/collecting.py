"""What work at a vendor came to: its result, downloaded at once, and what it cost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from automarket.errors import AutoMarketError, BackendFailed, OutputExpired
from automarket.media.probe import probe
from provider_servers.runtime.events import Media, Progress
from provider_servers.runtime.remote.downloads import Expired
from provider_servers.runtime.remote.patience import persisting

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from automarket.media.info import MediaInfo
    from provider_servers.runtime.call import Call
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.remote.desk import Desk
    from provider_servers.runtime.remote.job import Made, RemoteJob, Result, Ticket

_UNKNOWN_TYPES = ("", "application/octet-stream", "binary/octet-stream")


class Collector:
    """Collects the result of the work of one call."""

    def __init__(self, call: Call, job: RemoteJob, desk: Desk, ticket: Ticket) -> None:
        self._call = call
        self._job = job
        self._desk = desk
        self._waits = desk.waits
        self._ticket = ticket
        self.has_result = False  # what was paid for is there

    async def events(self) -> AsyncGenerator[Event]:
        """Give what was used, then what was made.

        Raises:
            AutoMarketError: the work failed, or what it made cannot be had.
        """
        result = await self._result()
        self.has_result = True
        for event in result.spoken:
            yield event
        files: list[tuple[Path, str]] = []
        infos: list[MediaInfo] = []
        fault: AutoMarketError | None = None
        for number, made in enumerate(result.made):
            yield Progress("downloading", message=f"output {number + 1} of {len(result.made)}")
            try:
                file, media_type, result = await self._downloaded(number, made, result)
                infos.append(await probe(file))
            except AutoMarketError as error:
                fault = error
                break
            files.append((file, media_type))
        for usage in self._job.usage(result, infos):
            yield usage  # what was paid is said, whatever came of it
        if fault is not None:
            raise fault
        for made, (file, media_type), info in zip(result.made, files, infos, strict=True):
            yield Media(made.output, media_type, file, info, generated=made.generated)

    async def _result(self) -> Result:
        patience = asyncio.get_running_loop().time() + self._waits.late
        for pause in self._waits.pauses():
            if (found := await persisting(lambda: self._job.result(self._ticket), self._waits, passing=())) is not None:
                return found
            if asyncio.get_running_loop().time() >= patience:
                break
            await asyncio.sleep(pause)
        message = f"{self._desk.name} says that the work is done, and that its result is still in progress"
        raise BackendFailed(message, metadata={"model": self._call.model.id, "phase": "running"})

    async def _downloaded(self, number: int, made: Made, result: Result) -> tuple[Path, str, Result]:
        """Download an output; where its URL has expired, the result is fetched once more.

        Raises:
            OutputExpired: the new one has, too.
        """
        file = self._call.workdir / f"made-{number}"
        for attempt in range(2):
            try:
                said = await self._desk.downloads.fetch(made.url, file, made.headers)
            except Expired:
                if attempt:
                    break
                result = await self._result()
                if number >= len(result.made):
                    break
                made = result.made[number]
            else:
                return file, _media_type(made, said, self._call), result
        raise OutputExpired(
            f"what {self._desk.name} made is no longer there; it was paid for",
            hint="run it again, and look at how long the vendor keeps outputs",
            metadata={"model": self._call.model.id, "phase": "downloading"},
        )


def _media_type(made: Made, said: str, call: Call) -> str:
    """Give what an output is: as the vendor says, else as its server does, else as the model's descriptor does."""
    named = next((one for one in call.model.outputs if one.name == made.output), None)
    usual = named.media_types[0] if named is not None and named.media_types else "application/octet-stream"
    return next(one for one in (made.media_type, said, usual) if one not in _UNKNOWN_TYPES or one == usual)
