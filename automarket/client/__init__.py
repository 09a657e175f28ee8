"""The client: a mesh, its providers and models as handles, and transforms as streams of events."""
