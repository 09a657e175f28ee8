"""Run a worker: python -P -m gateway.relay --listen 127.0.0.1:50051 --routes unix:/p ..."""

from __future__ import annotations

import gc

import uvloop

from automarket import lifetime, logs
from gateway.relay.settings import read_settings
from gateway.relay.worker import serve

_OBJECTS_BEFORE_GC = 20_000


def main() -> int:
    """Run until told to stop; give the exit code."""
    settings = read_settings()
    logs.configure("gateway")
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_GC, 20, 50)  # calls leave no circles behind
    return lifetime.run("gateway", lambda stop: serve(settings, stop), uvloop.new_event_loop)


if __name__ == "__main__":
    raise SystemExit(main())
