"""fal.ai over HTTP: the queue, the storage, the platform API (https://docs.fal.ai, read in 2026-09).

Media in: inputs go up by /storage/upload/initiate and a PUT, in parts above 90 MB, or by a token of
/storage/auth/token.
Media out: URLs in the result, open to whoever has them; they are downloaded at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from automarket.errors import AutoMarketError, CreditExhausted, ProviderNotConfigured, RateLimited, UnavailableError
from provider_servers.runtime.remote import Cancel, Unanswered, Uploaded, VendorApi

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from provider_servers.runtime.remote import Answer, Ticket

STORAGE = {"storage_type": "fal-cdn-v3"}
MULTIPART_ABOVE, PART_BYTES = 90_000_000, 10_000_000
MOST_PRICES = 50
_CANCELS = {200: Cancel.TAKEN, 202: Cancel.REQUESTED, 400: Cancel.TOO_LATE, 404: Cancel.UNKNOWN}


def _says_no(answer: Answer) -> bool:
    """Tell whether a fault is the queue's own answer, which takes and bills nothing, and not its edge's."""
    return bool(answer.object().get("detail"))


@dataclass(frozen=True, slots=True)
class FalApi:
    """fal.ai for one call.

    Attributes:
        queue: requests to the queue, whose base address is the vendor's.
        rest_url, platform_url: the other addresses.
    """

    queue: VendorApi
    rest_url: str
    platform_url: str

    # --- the queue ---

    async def submit(self, endpoint: str, body: Mapping[str, Any]) -> Ticket:
        """Submit work; give its id and its addresses."""
        answer = await self.queue.submit(f"/{endpoint}", dict(body), says_no=_says_no)
        told = answer.object()
        name = str(told.get("request_id") or answer.headers.get("x-fal-request-id", ""))
        if not name:
            raise Unanswered(self.queue.odd("it took the work and gave no id"), reached=True)
        return self.placed(endpoint, {**told, "id": name})

    def placed(self, endpoint: str, ticket: Mapping[str, Any]) -> Ticket:
        """Give a ticket whose addresses may see the key: others are replaced, since a checkpoint comes from outside.

        Only owner and name of the endpoint are part of an address.
        """
        name = str(ticket["id"])
        home = f"{self.queue.upstream.base_url}/{'/'.join(endpoint.split('/')[:2])}"
        base = f"{home}/requests/{quote(name, safe='')}"
        usual = {"status_url": f"{base}/status", "response_url": base, "cancel_url": f"{base}/cancel"}
        given = {key: str(ticket.get(key, "")) for key in usual}
        return {"id": name, **usual, **{key: url for key, url in given.items() if self._ours(url)}}

    def _ours(self, url: str) -> bool:
        """Tell whether the key may go to a URL: behind a proxy of the user's the vendor names addresses past it."""
        given, own = urlsplit(url), urlsplit(self.queue.upstream.base_url)
        return (given.scheme, given.netloc) == (own.scheme, own.netloc)

    async def status(self, ticket: Ticket) -> dict[str, Any]:
        """Ask where work is."""
        answer = await self.queue.ask("GET", ticket["status_url"], params={"logs": "1"})
        if not answer.is_success:
            raise self.queue.refused(answer, at_work=True)
        return answer.object()

    async def states(self, ticket: Ticket, idle_seconds: float) -> AsyncGenerator[dict[str, Any]]:
        """Give the states of work as they are streamed."""
        address = f"{ticket['status_url']}/stream"
        async with self.queue.events(address, params={"logs": "1"}, idle_seconds=idle_seconds) as events:
            async for event in events:
                yield event if isinstance(event, dict) else {}

    async def result(self, ticket: Ticket) -> Answer:
        """Ask for the result; give the answer whatever its status."""
        return await self.queue.ask("GET", ticket["response_url"])

    async def cancel(self, ticket: Ticket) -> Cancel:
        """Cancel work."""
        answer = await self.queue.ask("PUT", ticket["cancel_url"])
        if answer.status not in _CANCELS:
            raise self.queue.refused(answer, at_work=True)
        return _CANCELS[answer.status]

    # --- the storage ---

    async def upload(self, file: Path, media_type: str, name: str) -> Uploaded:
        """Upload a file: by a signed address, in parts when it is large, by a token where there is no such address."""
        if file.stat().st_size > MULTIPART_ABOVE:
            return await self._in_parts(file, media_type, name)
        try:
            told = await self._initiate("/storage/upload/initiate", media_type, name)
        except (ProviderNotConfigured, CreditExhausted, RateLimited, UnavailableError):
            raise
        except AutoMarketError:  # it is not there for this account
            return await self._by_token(file, media_type, name)
        await self.queue.send_file("PUT", told["upload_url"], file, {"content-type": media_type})
        return Uploaded(told["file_url"])

    async def _initiate(self, path: str, media_type: str, name: str) -> dict[str, Any]:
        body = {"content_type": media_type, "file_name": name}
        return await self._told("POST", self.rest_url + path, body, ("upload_url", "file_url"))

    async def _told(self, method: str, url: str, body: Any, needs: tuple[str, ...]) -> dict[str, Any]:
        answer = await self.queue.ask(method, url, json=body, params=STORAGE)
        if not answer.is_success:
            raise self.queue.refused(answer)
        told = answer.object()
        if not all(isinstance(told.get(one), str) for one in needs):
            raise self.queue.odd("its storage answers in a way that is not known")
        return told

    async def _in_parts(self, file: Path, media_type: str, name: str) -> Uploaded:
        told = await self._initiate("/storage/upload/initiate-multipart", media_type, name)
        base, mark, query = str(told["upload_url"]).partition("?")
        size = file.stat().st_size
        parts: list[dict[str, Any]] = []
        for number in range(1, math.ceil(size / PART_BYTES) + 1):
            begin = (number - 1) * PART_BYTES
            answer = await self.queue.send_file(
                "PUT", f"{base}/{number}{mark}{query}", file, {"content-type": media_type},
                begin=begin, size=min(PART_BYTES, size - begin),
            )  # fmt: skip
            etag = answer.object().get("etag") or answer.headers.get("etag", "")
            parts.append({"partNumber": number, "etag": etag})
        done = await self.queue.ask("POST", f"{base}/complete{mark}{query}", json={"parts": parts}, with_key=False)
        if not done.is_success:
            raise self.queue.refused(done)
        return Uploaded(told["file_url"])

    async def _by_token(self, file: Path, media_type: str, name: str) -> Uploaded:
        token = await self._told("POST", f"{self.rest_url}/storage/auth/token", {}, ("token", "token_type", "base_url"))
        headers = {
            "authorization": f"{token['token_type']} {token['token']}",
            "content-type": media_type,
            "x-fal-file-name": name,
        }
        answer = await self.queue.send_file("POST", f"{token['base_url']}/files/upload", file, headers)
        if not (url := answer.object().get("access_url")):
            raise self.queue.odd("its storage gives no address of an upload")
        return Uploaded(str(url))

    # --- the platform ---

    async def prices(self, endpoints: list[str]) -> dict[str, tuple[str, float, str]]:
        """Give unit, price and currency of endpoints; those that the vendor has none for are left out."""
        found: dict[str, tuple[str, float, str]] = {}
        for begin in range(0, len(endpoints), MOST_PRICES):
            some = endpoints[begin : begin + MOST_PRICES]
            params = {"endpoint_id": ",".join(some)}
            told = (await self.queue.get(f"{self.platform_url}/models/pricing", params)).object()
            for one in told.get("prices") or ():
                found[str(one["endpoint_id"])] = (str(one["unit"]), float(one["unit_price"]), str(one["currency"]))
        return found

    async def described(self, endpoint: str) -> tuple[Any, dict[str, Any]] | None:
        """Give the OpenAPI document of an endpoint, and what else is said of it; None where there is none."""
        params = {"endpoint_id": endpoint, "expand": "openapi-3.0"}
        answer = await self.queue.ask("GET", f"{self.platform_url}/models", params=params)
        if answer.status == 404:
            return None
        if not answer.is_success:
            raise self.queue.refused(answer)
        listed: list[Any] = answer.object().get("models") or []
        one = next((one for one in listed if one.get("endpoint_id") == endpoint), None)
        return None if one is None else (one.get("openapi"), one.get("metadata") or {})

    async def requests(self, endpoint: str, since: str) -> list[dict[str, Any]]:
        """Give the account's own requests to an endpoint since a moment, with their inputs, at most 100."""
        params = {"endpoint_id": endpoint, "start": since, "expand": "payloads", "limit": "100"}
        told = (await self.queue.get(f"{self.platform_url}/models/requests/by-endpoint", params)).object()
        return told.get("items") or []
