"""Control: registry, discovery and the routing table. `python -P -m gateway.control` runs it."""
