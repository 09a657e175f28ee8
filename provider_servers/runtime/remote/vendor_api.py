"""Requests to a vendor whose answers are small: submits, states, results. Media goes by `uploads` and `downloads`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import msgspec

from automarket.errors import BackendFailed
from provider_servers.runtime.http.sse import SseReader
from provider_servers.runtime.http.transport import is_success, read, send
from provider_servers.runtime.remote.faults import to_media_error
from provider_servers.runtime.vendors.errors import broken

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
    from pathlib import Path

    from automarket.errors import AutoMarketError
    from provider_servers.runtime.http.sse import SseEvent
    from provider_servers.runtime.vendors.upstream import Upstream

ANSWER_SECONDS = 60.0
UPLOAD_SECONDS = 3600.0
UPLOADED_SECONDS = 300.0  # from the last byte to the answer
PIECE_BYTES = 256 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Unanswered(Exception):
    """A request has no answer that tells what became of it.

    Args:
        error: what the mesh would say of it.
        reached: the vendor may have got the request; False only where the connection was not made.
    """

    def __init__(self, error: AutoMarketError, *, reached: bool) -> None:
        super().__init__(error.message)
        self.error = error
        self.reached = reached


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a vendor: names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether its status is one of success."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Give its body as JSON; None where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def object(self) -> dict[str, Any]:
        """Give its body as a JSON object; empty where it is none."""
        value: Any = self.json()
        return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - JSON


@dataclass(frozen=True, slots=True)
class VendorApi:
    """A vendor's API for one call.

    Attributes:
        upstream: who it is, its key, its base address.
        connect: gives what makes requests to an address.
        model: the model that is asked for, for errors.
        connect_once: the same over connections that have served no other request, for those that are paid for: one that
            was kept and closed meanwhile would leave open whether the vendor got the request.
        names: our options and slots by the vendor's names for them, as paths of the request: "model_options.seed".
    """

    upstream: Upstream
    connect: Callable[[str], aiohttp.ClientSession]
    model: str = ""
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    connect_once: Callable[[str], aiohttp.ClientSession] | None = None

    def for_model(self, model: str, names: Mapping[str, str]) -> VendorApi:
        """Give the same for the errors of a model."""
        return replace(self, model=model, names=names)

    def url(self, address: str) -> str:
        """Give a whole address: one that begins with a slash is below the vendor's base address."""
        return self.upstream.base_url + address if address.startswith("/") else address

    async def ask(
        self,
        method: str,
        address: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        with_key: bool = True,
        once: bool = False,
        seconds: float = ANSWER_SECONDS,
    ) -> Answer:
        """Make a request; give its answer, whatever its status.

        Args:
            method: "GET", "POST", ...
            address: a whole URL, or a path below the vendor's base address.
            json: the body; None for none.
            params: the query.
            headers: beside those of every request.
            with_key: the vendor's own headers go with it; not so for addresses of others.
            once: over a connection of its own.
            seconds: until the whole answer.

        Raises:
            Unanswered: there is none.
        """
        body = None if json is None else msgspec.json.encode(json)
        given = dict(self.upstream.headers) if with_key else {}
        given |= {"content-type": "application/json"} if body is not None else {}
        given |= dict(headers or {})
        connect = self.connect_once if once and self.connect_once is not None else self.connect
        url = self.url(address)
        asked = send(connect(url), method, url, params=params, body=body, headers=given)
        return await self._answer(asked, asyncio.timeout(seconds), address, f"no answer within {seconds:g} s")

    async def send_file(
        self,
        method: str,
        url: str,
        file: Path,
        headers: Mapping[str, str],
        *,
        begin: int = 0,
        size: int | None = None,
        with_key: bool = False,
    ) -> Answer:
        """Upload a file, or a part of it, as it is read: it is never whole in memory. Takes as long as it moves.

        Raises:
            Unanswered: there is no answer.
            AutoMarketError: it is no success.
        """
        length = file.stat().st_size - begin if size is None else size
        given = {**(self.upstream.headers if with_key else {}), **headers, "content-length": str(length)}
        limit = asyncio.timeout(None)  # what is read while it runs moves its end
        data = _pieces(file, begin, length, limit)
        asked = self.connect(url).request(method, url, data=data, headers=given, allow_redirects=False)
        return self._success(await self._answer(asked, limit, url, "an upload does not move"))

    async def _answer(
        self, asked: Awaitable[aiohttp.ClientResponse], limit: asyncio.Timeout, address: str, late: str
    ) -> Answer:
        """Wait for an answer and read it whole.

        Args:
            asked: the request.
            limit: how long it may take.
            address: where it goes, for errors.
            late: what is said where it takes longer.

        Raises:
            Unanswered: there is none.
        """
        try:
            async with limit:
                response = await asked
                try:
                    return await self.answer_of(response)
                finally:
                    response.close()
        except aiohttp.ClientError as error:
            raise self.unanswered(error, address) from None
        except TimeoutError:
            raise Unanswered(self.odd(late), reached=True) from None

    def _success(self, answer: Answer) -> Answer:
        if not answer.is_success:
            raise self.refused(answer)
        return answer

    async def answer_of(self, response: aiohttp.ClientResponse) -> Answer:
        """Read an answer whole."""
        pieces: list[bytes] = []
        left = MAX_ANSWER_BYTES
        while piece := await read(response):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                raise Unanswered(broken(self.upstream.vendor, "the answer is too large", self.model), reached=True)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, b"".join(pieces))

    async def send_form(self, address: str, form: aiohttp.FormData, *, seconds: float = UPLOAD_SECONDS) -> Answer:
        """Upload a form with the vendor's key; files in it are sent as they are read.

        Raises:
            Unanswered: there is no answer.
            AutoMarketError: it is no success.
        """
        url = self.url(address)
        asked = self.connect(url).post(url, data=form, headers=self.upstream.headers, allow_redirects=False)
        late = f"an upload took more than {seconds:g} s"
        return self._success(await self._answer(asked, asyncio.timeout(seconds), address, late))

    async def get(self, address: str, params: Mapping[str, str] | None = None) -> Answer:
        """Ask for something; give an answer of success.

        Raises:
            Unanswered: there is no answer.
            AutoMarketError: it is no success.
        """
        return self._success(await self.ask("GET", address, params=params))

    async def submit(
        self,
        address: str,
        json: Any,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        says_no: Callable[[Answer], bool] | None = None,
    ) -> Answer:
        """Make a request that is paid for; give its answer, which is JSON and a success.

        Args:
            address: as for `ask`.
            json: the body.
            method: "POST", or what the vendor wants.
            headers: beside those of every request.
            says_no: tells of a 5xx whether it says that nothing was taken.

        Raises:
            Unanswered: there is no answer, or none that tells whether it was taken: the vendor's edge, its faults.
            AutoMarketError: the vendor did not take it (3xx, 4xx).
        """
        answer = await self.ask(method, address, json=json, headers=headers, once=True)
        if answer.is_success and answer.object():
            return answer
        is_unsure = answer.status >= 500 and not (says_no is not None and says_no(answer))
        if is_unsure or answer.is_success:
            fault = self.refused(answer) if not answer.is_success else self.odd("what it took, it does not say")
            raise Unanswered(fault, reached=True)
        raise self.refused(answer)

    @asynccontextmanager
    async def events(
        self,
        address: str,
        *,
        params: Mapping[str, str] | None = None,
        idle_seconds: float = 60.0,
        reader: Callable[[SseEvent], Any] | None = None,
    ) -> AsyncGenerator[AsyncGenerator[Any]]:
        """Give a stream of server-sent events as it comes: the JSON of each, or what `reader` makes of it.

        Raises:
            Unanswered: there is no stream, it breaks off, or is silent for too long.
            AutoMarketError: the vendor refuses it.
        """
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                response = await send(
                    self.connect(self.url(address)),
                    "GET",
                    self.url(address),
                    params=params,
                    headers={**self.upstream.headers, "accept": "text/event-stream"},
                )
        except aiohttp.ClientError as error:
            raise self.unanswered(error, address) from None
        except TimeoutError:
            raise Unanswered(self.odd("its stream did not begin"), reached=True) from None
        try:
            if not is_success(response):
                raise self.refused(await self.answer_of(response))
            yield self._batches(response, address, idle_seconds, reader or _json)
        finally:
            response.close()

    async def _batches(
        self, response: aiohttp.ClientResponse, address: str, idle_seconds: float, give: Callable[[SseEvent], Any]
    ) -> AsyncGenerator[Any]:
        reader = SseReader()
        try:
            while True:
                async with asyncio.timeout(idle_seconds):
                    piece = await read(response)
                for event in reader.feed(piece) if piece else reader.finish():
                    yield give(event)
                if not piece:
                    return
        except aiohttp.ClientError as error:
            raise self.unanswered(error, address) from None
        except (TimeoutError, msgspec.DecodeError, BackendFailed):
            raise Unanswered(self.odd("its stream is silent or garbled"), reached=True) from None

    def refused(self, answer: Answer, *, at_work: bool = False) -> AutoMarketError:
        """Give the error that an answer is.

        Args:
            answer: no success.
            at_work: it is about work that was taken: what is not found there is lost, not an unknown model.
        """
        refusal = self.upstream.read_refusal(answer.status, answer.headers, answer.body)
        return to_media_error(refusal, self.upstream.vendor, self.model, self.names, at_work=at_work)

    def odd(self, what: str) -> BackendFailed:
        """Give the error for an answer that makes no sense."""
        return broken(self.upstream.vendor, what, self.model)

    def unanswered(self, error: aiohttp.ClientError, address: str) -> Unanswered:
        """Give the exception for a connection that was not made, or broke."""
        not_made = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        reached = not (not_made or isinstance(error, aiohttp.ClientHttpProxyError))
        parts = urlsplit(self.url(address))
        upstream = replace(self.upstream, base_url=f"{parts.scheme}://{parts.netloc}")
        return Unanswered(upstream.unreachable(error, self.model), reached=reached)


async def _pieces(file: Path, begin: int, length: int, limit: asyncio.Timeout) -> AsyncGenerator[bytes]:
    """Give a part of a file; each piece has its time to go."""
    loop = asyncio.get_running_loop()
    with file.open("rb") as source:
        source.seek(begin)
        while length > 0 and (piece := await asyncio.to_thread(source.read, min(PIECE_BYTES, length))):
            length -= len(piece)
            limit.reschedule(loop.time() + ANSWER_SECONDS)
            yield piece
    limit.reschedule(loop.time() + UPLOADED_SECONDS)


def _json(event: SseEvent) -> Any:
    return msgspec.json.decode(event.data)
