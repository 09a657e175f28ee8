"""From files, bytes and URLs to assets: told by content, typed by what they are used as."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from automarket.assets.asset import Asset, check_role
from automarket.assets.body import Body
from automarket.assets.formats import HEAD_BYTES, Format, by_media_type, by_name, recognise, recognise_file
from automarket.assets.media import Audio, Image, Speech, Video
from automarket.assets.roles import Role
from automarket.assets.text import Text
from automarket.errors import InputUnsuitable, InvalidRequestError

if TYPE_CHECKING:
    from os import PathLike

MAX_URL_BYTES = 2 * 1024**3

_CLASSES: dict[Role, type[Asset]] = {
    Role.TEXT: Text,
    Role.AUDIO: Audio,
    Role.SPEECH: Speech,
    Role.IMAGE: Image,
    Role.VIDEO: Video,
}


class AssetLoader:
    """Loads assets. Content says what they are; `as_` says what they are used as, and a type checker follows.

    Every method raises InputEmpty for no bytes, MediaRefused for lists of other files, and InputUnsuitable for what is
    of no known format or cannot be used as what was asked for.
    """

    @staticmethod
    def load(path: str | PathLike[str]) -> Asset:
        """Load a file as what it is: an MP4 is a video, a WAV sound. Its bytes are read when they are needed."""
        return AssetLoader.from_file(path)

    @overload
    @staticmethod
    def from_file(path: str | PathLike[str], as_: Literal[Role.TEXT]) -> Text: ...
    @overload
    @staticmethod
    def from_file(path: str | PathLike[str], as_: Literal[Role.SPEECH]) -> Speech: ...
    @overload
    @staticmethod
    def from_file(path: str | PathLike[str], as_: Literal[Role.AUDIO]) -> Audio: ...
    @overload
    @staticmethod
    def from_file(path: str | PathLike[str], as_: Literal[Role.IMAGE]) -> Image: ...
    @overload
    @staticmethod
    def from_file(path: str | PathLike[str], as_: Literal[Role.VIDEO]) -> Video: ...
    @overload
    @staticmethod
    def from_file(path: str | PathLike[str], as_: Role | None = None) -> Asset: ...
    @staticmethod
    def from_file(path: str | PathLike[str], as_: Role | None = None) -> Asset:
        """Load a file, used as a role: a video can be used as speech. Its bytes are read when they are needed.

        Raises:
            InvalidRequestError: there is no such file, or it cannot be read.
        """
        file = Path(path)
        try:
            found = recognise_file(file)
        except OSError as error:
            raise InvalidRequestError(f"{file} cannot be read: {error.strerror}", hint="check the path") from None
        return asset_of(Body(file, found), as_, file.name)

    @overload
    @staticmethod
    def from_bytes(data: bytes, format: str | None = None, *, as_: Literal[Role.TEXT]) -> Text: ...
    @overload
    @staticmethod
    def from_bytes(data: bytes, format: str | None = None, *, as_: Literal[Role.SPEECH]) -> Speech: ...
    @overload
    @staticmethod
    def from_bytes(data: bytes, format: str | None = None, *, as_: Literal[Role.AUDIO]) -> Audio: ...
    @overload
    @staticmethod
    def from_bytes(data: bytes, format: str | None = None, *, as_: Literal[Role.IMAGE]) -> Image: ...
    @overload
    @staticmethod
    def from_bytes(data: bytes, format: str | None = None, *, as_: Literal[Role.VIDEO]) -> Video: ...
    @overload
    @staticmethod
    def from_bytes(data: bytes, format: str | None = None, *, as_: Role | None = None) -> Asset: ...
    @staticmethod
    def from_bytes(data: bytes, format: str | None = None, *, as_: Role | None = None) -> Asset:  # noqa: A002
        """Load bytes.

        Args:
            data: the bytes.
            format: what they have to be, e.g. "wav" or "audio/wav"; None takes whatever they are.
            as_: what they are used as.

        Raises:
            InputUnsuitable: they are not of `format`.
        """
        found = recognise(data[:HEAD_BYTES])
        if format is not None:
            found = _agreed(found, format, data[:HEAD_BYTES])
        return asset_of(Body(bytes(data), found), as_, "the input")

    @overload
    @staticmethod
    async def from_url(
        url: str, *, max_bytes: int = ..., allow_private: bool = ..., as_: Literal[Role.TEXT]
    ) -> Text: ...
    @overload
    @staticmethod
    async def from_url(
        url: str, *, max_bytes: int = ..., allow_private: bool = ..., as_: Literal[Role.SPEECH]
    ) -> Speech: ...
    @overload
    @staticmethod
    async def from_url(
        url: str, *, max_bytes: int = ..., allow_private: bool = ..., as_: Literal[Role.AUDIO]
    ) -> Audio: ...
    @overload
    @staticmethod
    async def from_url(
        url: str, *, max_bytes: int = ..., allow_private: bool = ..., as_: Literal[Role.IMAGE]
    ) -> Image: ...
    @overload
    @staticmethod
    async def from_url(
        url: str, *, max_bytes: int = ..., allow_private: bool = ..., as_: Literal[Role.VIDEO]
    ) -> Video: ...
    @overload
    @staticmethod
    async def from_url(
        url: str, *, max_bytes: int = ..., allow_private: bool = ..., as_: Role | None = None
    ) -> Asset: ...
    @staticmethod
    async def from_url(
        url: str, *, max_bytes: int = MAX_URL_BYTES, allow_private: bool = False, as_: Role | None = None
    ) -> Asset:
        """Fetch a URL into a temporary file that lives as long as the asset.

        Args:
            url: http or https. Proxies are not used, since nothing could be said of where they lead.
            max_bytes: most bytes that are taken.
            allow_private: let it lead to private, loopback and link-local addresses.
            as_: what it is used as.

        Raises:
            AddressRefused: it, or a redirect, leads to a private address or another scheme.
            InputTooLarge: it has more than `max_bytes`.
            NotFoundError: the server has nothing there.
            UnavailableError: the server does not answer, or not well.
        """
        from automarket.assets.fetch import fetch

        spool = await fetch(url, max_bytes=max_bytes, allow_private=allow_private)
        try:
            body = Body(spool.path, await asyncio.to_thread(_told, spool.path))
            asset = asset_of(body, as_, "what the URL gives")
        except BaseException:
            spool.discard()
            raise
        spool.give_to(body)
        return asset


def as_input(value: Asset | str | Path | bytes) -> Asset:
    """Give what a transform takes as an asset: a str is text, a Path is a file."""
    if isinstance(value, Asset):
        return value
    if isinstance(value, str):
        return Text.from_string(value)
    return AssetLoader.load(value) if isinstance(value, Path) else AssetLoader.from_bytes(value)


def _told(path: Path) -> Format:
    with path.open("rb") as file:
        return recognise(file.read(HEAD_BYTES), what="what the URL gives")


def asset_of(body: Body, role: Role | None, what: str) -> Asset:
    """Give bytes as an asset, used as a role or as what they are. Raises InputUnsuitable."""
    if role is not None:
        check_role(body.format, role, what)
    return _CLASSES[role or body.format.role or Role.TEXT](body)


def _agreed(found: Format, wanted: str, head: bytes) -> Format:
    """Give the format that the caller named, when the bytes can be it."""
    named = by_media_type(wanted) if "/" in wanted else by_name(wanted)
    if named is None:
        raise InputUnsuitable(f"there is no format {wanted[:40]!r}", hint="leave it out: content says what it is")
    if named.matches(head) or named.demuxer == found.demuxer != "":
        return named
    raise InputUnsuitable(f"the bytes are {found.name}, not {named.name}", hint="leave the format out")
