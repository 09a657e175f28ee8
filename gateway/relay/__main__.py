"""Run a worker: python -P -m gateway.relay --listen 127.0.0.1:50051 --routes unix:/p ..."""

from __future__ import annotations

import uvloop

from automarket import lifetime, logs
from gateway.relay.settings import read_settings
from gateway.relay.worker import serve


def main() -> int:
    """Run until told to stop; give the exit code."""
    settings = read_settings()
    logs.configure("gateway")
    return lifetime.run("gateway", lambda stop: serve(settings, stop), uvloop.new_event_loop)


if __name__ == "__main__":
    raise SystemExit(main())
