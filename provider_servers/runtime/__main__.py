"""Run a provider server: python -P -m provider_servers.runtime NAME --listen unix:/p --registry unix:/q.

With --list it prints every installed provider as JSON instead, and starts nothing.
"""

from __future__ import annotations

import json
import sys

from automarket.errors import AutoMarketError
from provider_servers.runtime.installed import describe_all, load


def main() -> int:
    """List, or serve."""
    if "--list" in sys.argv[1:]:
        sys.stdout.write(json.dumps(describe_all(), indent=2) + "\n")
        return 0
    from pydantic import ValidationError

    from provider_servers.runtime.serve import serve
    from provider_servers.runtime.settings import ProviderServerSettings

    try:
        settings = ProviderServerSettings(_cli_parse_args=True)  # pyright: ignore[reportCallIssue] - fields come from outside
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        sys.stderr.write(f"provider: {'; '.join(faults)} (see --help)\n")
        return 2
    try:
        provider = load(settings.name)
        availability = provider.availability()
        if not availability.available:
            sys.stderr.write(f"{settings.name}: {availability.reason} ({availability.hint})\n")
            return 1
        return serve(provider(), settings)
    except AutoMarketError as error:
        sys.stderr.write(f"{settings.name}: {error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
