"""What every asset has: bytes, a name by digest, a format, roles, and casts to other roles."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, BinaryIO

from automarket.assets.copying import copy_file
from automarket.assets.formats import media_type_of, roles_of
from automarket.assets.roles import Role, unsuitable
from automarket.errors import AutoMarketError, EngineMissing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from automarket.assets.body import Body
    from automarket.assets.formats import Format
    from automarket.assets.media import Audio, Image, Speech, Video
    from automarket.assets.text import Text
    from automarket.media.info import MediaInfo

CHUNK_BYTES = 1024 * 1024


class Asset:
    """An immutable piece of media or text. Made by `AssetLoader`; its class says what it is used as.

    Attributes:
        body: where its bytes are; assets that differ in use only share it.
        source_asset: what it was cast from; None for what was loaded.
    """

    __slots__ = ("__weakref__", "body", "source_asset")

    _used_as: frozenset[Role] = frozenset()

    def __init__(self, body: Body, *, source_asset: Asset | None = None) -> None:
        self.body = body
        self.source_asset = source_asset

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.media_type}, {self.size_bytes:,} bytes>"

    @property
    def digest(self) -> str:
        """Its name: "sha256:<hex>". The first use reads all bytes; use a thread for large files."""
        return self.body.digest

    @property
    def size_bytes(self) -> int:
        """How many bytes it has."""
        return self.body.size_bytes

    @property
    def format(self) -> Format:
        """Its container or text format: its name, media type, usual file endings."""
        return self.body.format

    @property
    def media_type(self) -> str:
        """Its media type, e.g. "video/mp4"."""
        return media_type_of(self.body.format, self.body.info)

    @property
    def path(self) -> Path | None:
        """The file that holds it, when there is one. Do not change it."""
        return None if self.body.data is not None else self.body.path

    @property
    def roles(self) -> frozenset[Role]:
        """What it plays as it is used: a video plays video, audio and speech.

        Told by the container alone until the facts of the media have been read; then a video without a sound track
        plays video only.
        """
        return self._used_as & roles_of(self.body.format, self.body.info)

    def can_play(self, role: Role) -> bool:
        """Tell whether it can play a role, by a cast if need be: a video plays an image by one of its pictures."""
        return role in self.roles or (role == Role.IMAGE and Role.VIDEO in self.roles)

    @property
    def media_info(self) -> MediaInfo:
        """Its technical facts. The first use runs ffprobe and blocks for about 0.1 s; `inspect` does not block.

        Raises:
            MediaInvalid: it is broken.
            MediaLimit: it has too many pixels.
            EngineMissing: FFmpeg is not installed.
        """
        if self.body.info is None:
            from automarket.assets.blocking import run_blocking

            return run_blocking(self.inspect)
        return self.body.info

    async def inspect(self) -> MediaInfo:
        """Read its technical facts. Raises as `media_info` does."""
        if self.body.info is None:
            from automarket.media.probe import probe

            self.body.info = await probe(await asyncio.to_thread(self.body.as_file))
        return self.body.info

    def is_valid(self) -> bool:
        """Tell whether it can be opened as what it is used as. The first use may block for about 0.1 s.

        Raises:
            EngineMissing: FFmpeg is not installed, so that nobody can tell.
        """
        try:
            _ = self.media_info
        except EngineMissing:
            raise
        except AutoMarketError:
            return False
        return bool(self.roles)

    def open(self) -> BinaryIO:
        """Open its bytes for reading."""
        return self.body.open()

    def read_bytes(self) -> bytes:
        """Give all its bytes."""
        with self.open() as file:
            return file.read()

    async def chunks(self, size: int = CHUNK_BYTES) -> AsyncGenerator[bytes]:
        """Give its bytes, `size` at a time at most."""
        if self.body.data is None:
            await asyncio.to_thread(self.body.as_file)  # which may have to fetch it
        # Not in a thread: it is quick by now, and a cancel would lose the open file.
        with closing(self.open()) as file:
            while data := await asyncio.to_thread(file.read, size):
                yield data

    def save(self, path: Path) -> None:
        """Write its bytes to a file."""
        if self.body.data is not None:
            path.write_bytes(self.body.data)
        else:
            copy_file(self.body.as_file(), path)

    async def as_audio(
        self, *, sample_rate: int | None = None, channels: int | None = None, container: str | None = None
    ) -> Audio:
        """Give it as sound: the sound track of a video, or sound in another form.

        The result is kept in the user's cache folder, so that casting again runs nothing.

        Args:
            sample_rate: in Hz; None leaves it as it is.
            channels: how many; None leaves them as they are.
            container: "wav", "flac", "mp3", "ogg", "opus", "m4a" or "aac"; None leaves sound as it is, and
                makes WAV of video.

        Raises:
            InputUnsuitable: it has no sound; says what it plays.
            InputEmpty: its sound plays for 0 s.
            CastInvalid: there is no such form.
            MediaInvalid: it is broken or cut off.
            EngineMissing: FFmpeg is not installed.
        """
        from automarket.assets.casting import to_audio

        return await to_audio(self, sample_rate, channels, container)

    async def as_speech(
        self, *, sample_rate: int | None = None, channels: int | None = None, container: str | None = None
    ) -> Speech:
        """Give it as speech: as `as_audio`."""
        from automarket.assets.casting import to_speech

        return await to_speech(self, sample_rate, channels, container)

    async def as_image(
        self,
        *,
        frame_time: float | None = None,
        max_width: int | None = None,
        max_height: int | None = None,
        container: str | None = None,
    ) -> Image:
        """Give it as a picture: one of a video's, or a picture in another form.

        Args:
            frame_time: which moment of a video, in seconds; None is its first picture.
            max_width: in pixels; it is scaled down in proportion.
            max_height: likewise.
            container: "png", "jpeg" or "webp"; None leaves a picture as it is, and makes PNG of video.

        Raises:
            InputUnsuitable: it has no pictures; says what it plays.
            CastInvalid: there is no such form, or the video ends before `frame_time`.
            MediaInvalid: it is broken or cut off.
            EngineMissing: FFmpeg is not installed.
        """
        from automarket.assets.casting import to_image

        return await to_image(self, frame_time, max_width, max_height, container)

    async def as_video(self) -> Video:
        """Give it as video. Raises InputUnsuitable when it is none."""
        from automarket.assets.casting import to_video

        return await to_video(self)

    async def as_text(self) -> Text:
        """Give it as text. Raises InputUnsuitable when it is none: words are heard by a speech-to-text model."""
        raise unsuitable(self.roles, Role.TEXT, what=f"the {type(self).__name__.lower()}")


def check_role(found: Format, role: Role, what: str) -> None:
    """Check that media of a format can be used as a role. Raises InputUnsuitable."""
    if role not in found.roles:
        raise unsuitable(found.roles, role, what=f"{what} ({found.media_type})")
