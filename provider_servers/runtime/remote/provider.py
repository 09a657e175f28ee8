"""What providers of vendors share whose work takes minutes: connections, uploads, downloads, and one flow for calls."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provider_servers.runtime.http.transport import new_http, proxy_for
from provider_servers.runtime.remote.desk import Desk
from provider_servers.runtime.remote.downloads import Downloads
from provider_servers.runtime.remote.flow import follow
from provider_servers.runtime.remote.uploads import Uploads
from provider_servers.runtime.remote.vendor_api import VendorApi
from provider_servers.runtime.remote.waits import Waits
from provider_servers.runtime.vendors.provider import VendorProvider

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import aiohttp

    from provider_servers.runtime.call import Call
    from provider_servers.runtime.events import Event
    from provider_servers.runtime.remote.job import RemoteJob
    from provider_servers.runtime.vendors.upstream import Upstream
    from provider_servers.runtime.vendors.vendor import RemoteSettings


class RemoteProvider(VendorProvider):
    """A vendor's models whose work takes minutes. Beside what every vendor's class says, it gives a job for a call.

    Args:
        settings: what the user has set; read from the environment when left out.
        waits: how long is waited; tests make it short.
    """

    max_concurrent_calls = 64
    max_queued_calls = 128

    def __init__(self, settings: RemoteSettings | None = None, waits: Waits | None = None) -> None:
        super().__init__(settings)
        self.waits = waits or Waits()
        self.uploads = Uploads(self.waits)
        self.desk = Desk(self.vendor.name, self._downloads(), self.waits)

    @abstractmethod
    async def job(self, call: Call, api: VendorApi) -> RemoteJob:
        """Give the work that a call is; `api` reaches the vendor by the settings of now."""
        ...

    async def transform(self, call: Call) -> AsyncGenerator[Event]:
        """Run a model. Work that is paid for already is gone on with, however other calls have fared of late."""
        events = super().transform(call) if call.resume is None else self.answer(call, self.upstream())
        async with aclosing(events):
            async for event in events:
                yield event

    async def answer(self, call: Call, upstream: Upstream) -> AsyncGenerator[Event]:
        """Run a model."""
        job = await self.job(call, self.api(upstream, call.model.id))
        async with aclosing(follow(call, job, self.desk)) as events:
            async for event in events:
                yield event

    def api(self, upstream: Upstream, model: str = "") -> VendorApi:
        """Give what makes requests for a model."""
        return VendorApi(upstream, self.connect, model, connect_once=self.connect_once)

    def connect(self, address: str) -> aiohttp.ClientSession:
        """Give what makes requests to an address: one for each host."""
        parts = urlsplit(address)
        return self._connect(f"{parts.scheme}://{parts.netloc}")

    def connect_once(self, address: str) -> aiohttp.ClientSession:
        """Give what makes requests to an address over connections that serve one request each."""
        parts = urlsplit(address)
        base, key = f"{parts.scheme}://{parts.netloc}", f"once {parts.netloc}"
        if key not in self._clients:
            self._clients[key] = new_http(base, keeps=False)
        return self._clients[key]

    def connect_output(self, address: str) -> aiohttp.ClientSession:
        """Give what fetches outputs: whose hosts the vendor names, as many as it likes, so they share it."""
        parts = urlsplit(address)
        if parts.netloc in self._own_hosts():
            return self.connect(address)
        key = f"outputs {parts.scheme} {proxy_for(address)}"
        if key not in self._clients:
            self._clients[key] = new_http(address, public=True)
        return self._clients[key]

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take settings; what was uploaded with another key is forgotten."""
        super().configure(settings)
        self.uploads.forget()
        self.desk.downloads = self._downloads()

    async def close(self) -> None:
        """Wait for the last work of all calls, then close the connections."""
        await self.desk.close()
        await super().close()

    def own_addresses(self) -> Sequence[str]:
        """Give the addresses of the vendor that the user has set himself: outputs may come from there, too."""
        return (self._settings.base_url,)

    def _own_hosts(self) -> frozenset[str]:
        return frozenset(urlsplit(one).netloc for one in self.own_addresses() if one)

    def _downloads(self) -> Downloads:
        """Outputs may come from a private address where the user has set that address himself."""
        return Downloads(self.vendor.name, self.connect_output, self._own_hosts(), self.waits)
