"""Provider servers: one folder a provider, each run as a process of its own; `runtime` is what all of them share."""
