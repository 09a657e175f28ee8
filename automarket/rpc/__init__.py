"""gRPC plumbing that client and servers share: channels, servers, errors on the wire, telemetry, processes."""
