"""Names that the shell completes without asking the mesh."""

from __future__ import annotations


def complete_capability(incomplete: str) -> list[str]:
    """Give the capabilities that begin so."""
    from automarket.capabilities import ALL

    return [one.name for one in ALL if one.name.startswith(incomplete)]


def complete_role(incomplete: str) -> list[str]:
    """Give the roles that begin so."""
    return [name for name in ("text", "audio", "speech", "image", "video") if name.startswith(incomplete)]
