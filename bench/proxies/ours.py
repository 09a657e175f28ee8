"""What runs in Python: our gateway, and the plain forwarder."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from bench.processes import python
from bench.proxies.proxy import Proxy

if TYPE_CHECKING:
    from bench.proxies.proxy import Where

MODULE = "gateway.relay"


def _relay(where: Where) -> list[str]:
    return python(MODULE, "--listen", where.listen, "--routes", where.routes)


def _plain(where: Where) -> list[str]:
    return python("bench.plain", "--listen", where.listen, "--upstream", where.upstream)


RELAY = Proxy("relay", "our gateway", lambda: version("automarket"), _relay)
PLAIN = Proxy("plain", "grpc.aio forwarder", lambda: version("grpcio"), _plain)
