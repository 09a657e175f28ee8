"""The target of a call whose metadata do not name it: field 1 of the first message, read as the bytes come.

A gateway needs the first bytes of a message that may be megabytes long and compressed. At most 16 KiB of it are kept,
and field 1 is read as soon as it is whole. Nothing here trusts the sender: what cannot be read is an error of the
request, never of the gateway.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from automarket.errors import InvalidRequestError, TargetMismatch, TargetMissing, TargetNotFirst
from gateway.relay.target import MAX_FALLBACKS, MAX_ROLES, Target
from gateway.relay.wire import WireType, fields, split_tag, varint_at

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 16 * 1024

_PREFIX_BYTES: Final = 5
# Compressed bytes that are read at most: they may turn into nothing for ever, and make little of what is random larger.
_MAX_PACKED_BYTES: Final = 2 * MAX_BYTES
# What zlib takes as its window: 15 is zlib's own format, 16 more is gzip's.
_WINDOWS: Final = {b"deflate": 15, b"gzip": 31}
_ENUM_MASK: Final = (1 << 32) - 1
# Choosing a route takes time for each of them, and 16 KiB hold thousands.

KEYS: Final = "automarket-capability, -model, -provider, -instance, -roles and -prefer"
_HINT: Final = f"send the target as call metadata ({KEYS}), or as field 1 of the first message"

# Every capability of the contract by its number, from 1, and its other names.
_CAPABILITIES: Final = tuple(
    tuple(line.split())
    for line in """
        text-to-text text-generation chat llm completion
        speech-to-text transcription stt asr automatic-speech-recognition speech-recognition
        audio-to-text audio-captioning
        text-to-speech tts speech-synthesis
        text-to-audio audio-generation
        voice-cloning voice-clone
        text-to-music music-generation
        text-to-sound sound-effects sound-generation
        text-to-image image-generation
        image-to-image image-editing
        image-to-text image-captioning vision
        image-upscale image-upscaling super-resolution
        text-to-video video-generation
        image-to-video video-animation image-animation
        video-to-video video-editing
        video-upscale video-upscaling video-enhance
        face-swap faceswap
        lip-sync lipsync
        avatar-generation avatar talking-head
        video-to-audio audio-extraction
        video-to-image frame-extraction thumbnails
        video-composition video-overlay compositing
        audio-to-audio audio-conversion
        text-embedding embedding embeddings feature-extraction
        text-to-3d 3d-generation
        image-to-3d
    """.strip().splitlines()
)
_ROLES: Final = ("text", "audio", "speech", "image", "video")


class FirstMessage:
    """Reads the first message of a call until its target is whole.

    Args:
        encoding: the call's grpc-encoding.
    """

    __slots__ = ("_encoding", "_held", "_inflate", "_left", "_packed", "_prefix", "_target")

    def __init__(self, encoding: bytes = b"identity") -> None:
        self._encoding = encoding
        self._prefix = bytearray()
        self._left = 0  # bytes of the message that have not come yet
        self._packed = 0  # compressed bytes that were read
        self._inflate: zlib._Decompress | None = None  # pyright: ignore[reportPrivateUsage] - it has no other name
        self._held = bytearray()
        self._target: Target | None = None

    def feed(self, data: bytes) -> Target | None:
        """Take the next bytes of the request, its framing included; give the target once it is whole.

        Raises:
            TargetNotFirst: another field comes first, or field 1 reaches beyond 16 KiB.
            TargetMissing: the message is empty.
            TargetMismatch: number and name of the target's capability differ.
            InvalidRequestError: this is no message, or its target asks for too much.
        """
        if self._target is None and data:
            self._target = self._take(data)
        return self._target

    def finish(self) -> Target:
        """Give the target; the request has ended.

        Raises:
            TargetMissing: there was no message.
            InvalidRequestError: it is cut off.
        """
        if self._target is not None:
            return self._target
        if not self._prefix:
            raise TargetMissing("the call carried no message", hint=_HINT)
        raise InvalidRequestError("the first message is cut off")

    def _take(self, data: bytes) -> Target | None:
        if (missing := _PREFIX_BYTES - len(self._prefix)) > 0:
            self._prefix += data[:missing]
            if len(self._prefix) < _PREFIX_BYTES:
                return None
            self._begin()
            data = data[missing:]
        part = data[: self._left]
        self._left -= len(part)
        is_whole = self._add(part) or not self._left
        target = self._look()
        if target is None and is_whole:
            raise _empty() if not self._held else InvalidRequestError("the first message is cut off")
        return target

    def _begin(self) -> None:
        flag, self._left = self._prefix[0], int.from_bytes(self._prefix[1:])
        if flag > 1:
            raise InvalidRequestError(f"a message cannot begin with flag {flag}", hint="send gRPC's five-byte prefix")
        if not self._left:
            raise _empty()
        if not flag:
            return
        window = _WINDOWS.get(self._encoding)
        if window is None:
            name = self._encoding[:40].decode("ascii", "replace")
            hint = f"use gzip or deflate, or send the target as call metadata ({KEYS})"
            raise InvalidRequestError(f"the first message is compressed as {name!r}", hint=hint)
        self._inflate = zlib.decompressobj(window)

    def _add(self, part: bytes) -> bool:
        """Keep what is needed; tell whether a compressed message has come to its own end."""
        room = max(1, MAX_BYTES - len(self._held))  # to zlib, no room at all would mean no limit
        if self._inflate is None:
            self._held += part[:room]
            return False
        part = part[: _MAX_PACKED_BYTES - self._packed]
        self._packed += len(part)
        try:
            self._held += self._inflate.decompress(part, room)
        except zlib.error:
            raise InvalidRequestError("the first message cannot be decompressed") from None
        return self._inflate.eof

    def _look(self) -> Target | None:
        """Give the target when field 1 is whole."""
        try:
            span = self._span()
            if span is None or len(self._held) < span.stop:
                if len(self._held) >= MAX_BYTES or self._packed >= _MAX_PACKED_BYTES:
                    raise _too_far()
                return None
            return target_of(bytes(self._held[span.start : span.stop]))
        except ValueError:
            raise InvalidRequestError("the first message is not a message of this method") from None

    def _span(self) -> range | None:
        """Give where field 1 lies in what is held, None while that cannot be told."""
        tag = varint_at(self._held, 0)
        if tag is None:
            return None
        number, wire_type = split_tag(tag[0])
        if number != 1:
            raise TargetNotFirst(f"the first message begins with field {number}", hint=_HINT)
        if wire_type != WireType.BYTES:
            raise ValueError("a target is a message")
        size = varint_at(self._held, tag[1])
        if size is None:
            return None
        if size[0] > MAX_BYTES - size[1]:
            raise _too_far()
        return range(size[1], size[1] + size[0])


def _empty() -> TargetMissing:
    return TargetMissing("the first message is empty", hint=_HINT)


def _too_far() -> TargetNotFirst:
    return TargetNotFirst(f"the target does not end within the first {MAX_BYTES} bytes", hint=_HINT)


def target_of(data: bytes) -> Target:
    """Read a serialised `automarket.v1.Target`.

    Raises:
        ValueError: it is none.
        TargetMismatch: number and name of the capability differ.
        InvalidRequestError: it has more fallbacks or roles than may be.
    """
    names = {2: "", 3: "", 4: "", 5: ""}
    capability, output, local_only = 0, 0, False
    inputs: list[int] = []
    fallbacks: list[tuple[str, str]] = []
    for number, wire_type, value in fields(data):
        if isinstance(value, int):
            if number == 1:
                capability = value
            elif number == 6:
                inputs.append(value)
            elif number == 7:
                output = value
        elif wire_type == WireType.BYTES:
            if number in names:
                names[number] = value.decode()
            elif number == 6:
                inputs.extend(_packed_varints(value))
            elif number == 8:
                stated, more = _preferences(value)
                local_only = local_only if stated is None else stated
                fallbacks += more
    _check_count("target.preferences.fallbacks", len(fallbacks), MAX_FALLBACKS)
    _check_count("target.input_roles", len(inputs), MAX_ROLES)
    return Target(
        capability=_capability(capability & _ENUM_MASK, names[2]),
        model=names[3],
        provider=names[4],
        instance_id=names[5],
        input_roles=tuple(role for one in inputs if (role := _role(one))),
        output_role=_role(output),
        local_only=local_only,
        fallbacks=tuple(fallbacks),
    )


def _check_count(field: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidRequestError(f"{field} has {count} entries", fields={field: f"takes at most {most}"})


def _preferences(data: bytes) -> tuple[bool | None, list[tuple[str, str]]]:
    """Give whether only local models will do, None when that is not said, and the fallbacks."""
    local_only: bool | None = None
    fallbacks: list[tuple[str, str]] = []
    for number, wire_type, value in fields(data):
        if number == 1 and isinstance(value, int):
            local_only = bool(value)
        elif number == 2 and wire_type == WireType.BYTES and isinstance(value, bytes):
            fallbacks.append(_fallback(value))
    return local_only, fallbacks


def _fallback(data: bytes) -> tuple[str, str]:
    names = {1: "", 2: ""}
    for number, wire_type, value in fields(data):
        if number in names and wire_type == WireType.BYTES and isinstance(value, bytes):
            names[number] = value.decode()
    return names[1], names[2]


def _packed_varints(data: bytes) -> Iterator[int]:
    offset = 0
    while offset < len(data):
        found = varint_at(data, offset)
        if found is None:
            raise ValueError("a varint is cut off")
        value, offset = found
        yield value


def _role(number: int) -> str:
    number &= _ENUM_MASK
    return _ROLES[number - 1] if 1 <= number <= len(_ROLES) else ""


def _capability(number: int, name: str) -> str:
    """Give the capability's name: the one that was given, else that of the number."""
    if not 1 <= number <= len(_CAPABILITIES):
        return name
    known = _CAPABILITIES[number - 1]
    if name and _normal(name) not in known:
        message = f"the target's capability is {known[0]} by number and {name} by name"
        raise TargetMismatch(message, fields={"target.capability_name": f"differs from {known[0]}"})
    return name or known[0]


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-").replace(" ", "-").removeprefix("capability-")
