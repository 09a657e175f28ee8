"""The public port: forwards serialised gRPC messages to where the routing table says."""
