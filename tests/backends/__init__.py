"""Backends that speak the real ones' HTTP APIs with real engines, for tests: on the host or in containers."""
