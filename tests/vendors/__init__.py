"""Stand-ins for vendors, at the HTTP boundary. Each is judged by its vendor's own Python SDK, where there is one."""
