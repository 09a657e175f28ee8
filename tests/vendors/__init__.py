"""Stand-ins for vendors of language models, at the HTTP boundary. Each is judged by its vendor's own Python SDK."""
