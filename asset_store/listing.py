"""Listing assets: filters and page tokens."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from automarket.digests import check_digest
from automarket.errors import DigestInvalid, PageTokenInvalid

if TYPE_CHECKING:
    from datetime import datetime

    from automarket.assets.roles import Role

DEFAULT_PAGE = 100
LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Query:
    """What to list; every filter that is set narrows it."""

    page_size: int = DEFAULT_PAGE
    page_token: str = ""
    role: Role | None = None
    media_type_prefix: str = ""
    derived: bool | None = None
    parent: str = ""
    created_after: datetime | None = None

    def conditions(self) -> tuple[list[str], list[Any]]:
        """Give the filters as SQL conditions and their values."""
        found: list[tuple[str, tuple[Any, ...]]] = [("1", ())]
        if self.role is not None:
            found.append(("roles & ?", (1 << self.role.number,)))
        if self.media_type_prefix:
            found.append(("substr(media_type, 1, ?) = ?", (len(self.media_type_prefix), self.media_type_prefix)))
        if self.derived is not None:
            found.append(("derived = ?", (self.derived,)))
        if self.parent:
            found.append(("digest IN (SELECT digest FROM parents WHERE parent = ?)", (self.parent,)))
        if self.created_after is not None:
            found.append(("created >= ?", (round(self.created_after.timestamp() * 1e6),)))
        return [condition for condition, _ in found], [value for _, values in found for value in values]


def encode_token(created: int, digest: str) -> str:
    """Give the token of the page that follows an asset."""
    return base64.urlsafe_b64encode(json.dumps([created, digest]).encode()).decode()


def decode_token(token: str) -> tuple[int, str]:
    """Give the creation time and digest that a token names.

    Raises:
        PageTokenInvalid: it is not a token of this service.
    """
    try:
        created, digest = json.loads(base64.urlsafe_b64decode(token.encode()))
        check_digest(digest)
        return int(created), digest
    except (binascii.Error, ValueError, TypeError, DigestInvalid):
        raise PageTokenInvalid(
            "the page token is not one of this store", fields={"page_token": "next_page_token of the answer before"}
        ) from None
