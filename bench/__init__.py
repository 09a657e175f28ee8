"""Measurements: what the gateway costs, against direct calls and against other proxies.

`make bench` and `make bench-peers` run them.
"""
