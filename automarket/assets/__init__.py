"""Media and text as a program holds them: loaded by content, typed by what they play, cast to other roles on demand."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automarket.assets.asset import Asset as Asset
    from automarket.assets.loader import AssetLoader as AssetLoader
    from automarket.assets.loader import as_input as as_input
    from automarket.assets.media import Audio as Audio
    from automarket.assets.media import Image as Image
    from automarket.assets.media import Speech as Speech
    from automarket.assets.media import Video as Video
    from automarket.assets.metadata import MediaMetadata as MediaMetadata
    from automarket.assets.metadata import Resolution as Resolution
    from automarket.assets.roles import Role as Role
    from automarket.assets.text import Text as Text
    from automarket.assets.text import TextMetadata as TextMetadata

# Found when first used: `automarket.media` imports the roles below this package, and assets import `automarket.media`.
_HOMES = {
    "Asset": "asset",
    "AssetLoader": "loader",
    "Audio": "media",
    "Image": "media",
    "MediaMetadata": "metadata",
    "Resolution": "metadata",
    "Role": "roles",
    "Speech": "media",
    "Text": "text",
    "TextMetadata": "text",
    "Video": "media",
    "as_input": "loader",
}

__all__ = [
    "Asset",
    "AssetLoader",
    "Audio",
    "Image",
    "MediaMetadata",
    "Resolution",
    "Role",
    "Speech",
    "Text",
    "TextMetadata",
    "Video",
    "as_input",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
