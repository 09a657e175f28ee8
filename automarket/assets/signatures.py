"""How binary formats are told by their first bytes. Each function takes the head of the media, 64 KiB or less."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_STILL_BRANDS = {b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"crx ", b"jxl "}
_SOUND_BRANDS = {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "}
_OLD_MOVIE_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_SEARCH_BYTES = 4096
_MATROSKA_CODEC = re.compile(rb"\x86[\x82-\xa0]([AV])_[A-Z]")  # the element CodecID, its length, "A_OPUS" or "V_VP9"
_RATES_KBITS = {
    # Layer III: MPEG-1, then MPEG-2 and 2.5.
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_HERTZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def starts(*beginnings: bytes) -> Callable[[bytes], bool]:
    """Tell media that begins with one of these."""
    return lambda head: head.startswith(beginnings)


def riff(kind: bytes) -> Callable[[bytes], bool]:
    """Tell RIFF media of one kind, in the 64-bit form too."""
    return lambda head: head[:4] in (b"RIFF", b"RF64") and head[8:12] == kind


def ogg(codec: bytes | None = None) -> Callable[[bytes], bool]:
    """Tell Ogg media, or such whose first pages name a codec."""
    return lambda head: head.startswith(b"OggS") and (codec is None or codec in head[:_SEARCH_BYTES])


def matroska(kind: bytes, *, sound_only: bool = False) -> Callable[[bytes], bool]:
    """Tell Matroska media of a document type; `sound_only` when its tracks are in the head and none is a picture."""

    def matches(head: bytes) -> bool:
        if not head.startswith(b"\x1a\x45\xdf\xa3") or kind not in head[:_SEARCH_BYTES]:
            return False
        return not sound_only or set(_MATROSKA_CODEC.findall(head)) == {b"A"}

    return matches


def movie(head: bytes) -> bool:
    """Tell MP4 by its brand; still pictures in the same container are not meant."""
    return _brand(head) is not None and not sound_movie(head) and not quicktime(head)


def sound_movie(head: bytes) -> bool:
    """Tell MP4 that says that it holds sound only: by its brand, or by tracks that are in the head."""
    brand = _brand(head)
    if brand is None or brand == b"qt  ":
        return False
    return brand in _SOUND_BRANDS or (b"moov" in head and b"soun" in head and b"vide" not in head)


def quicktime(head: bytes) -> bool:
    """Tell QuickTime movies, with a brand or of the time before brands."""
    return _brand(head) == b"qt  " or (len(head) >= 8 and head[4:8] in _OLD_MOVIE_BOXES and head[0] == 0)


def _brand(head: bytes) -> bytes | None:
    if len(head) < 12 or head[4:8] != b"ftyp" or head[8:12] in _STILL_BRANDS:
        return None
    return head[8:12]


def flac(head: bytes) -> bool:
    """Tell FLAC, also behind a tag."""
    return _behind_tag(head).startswith(b"fLaC")


def aac(head: bytes) -> bool:
    """Tell AAC in ADTS frames: two that follow one another."""
    body = _behind_tag(head)
    length = _adts_length(body)
    return bool(length) and _adts_length(body[length:]) > 0


def mp3(head: bytes) -> bool:
    """Tell MP3: a tag, two frames that follow one another, or more of them after the rest of a frame that was cut."""
    body = _behind_tag(head)
    if body is not head and not body:  # the tag is longer than the head
        return True
    return _has_frames(body, 2) or any(
        _has_frames(body[place:], 5) for place in range(1, min(len(body), _SEARCH_BYTES)) if body[place] == 0xFF
    )


def _has_frames(data: bytes, count: int) -> bool:
    """Tell whether that many MP3 frames follow one another."""
    place = 0
    for _ in range(count):
        length = _mp3_length(data[place : place + 4])
        if not length:
            return False
        place += length
    return True


def mp3_frame(head: bytes) -> tuple[bytes, int, int] | None:
    """Give the first frame of an MP3 and what follows, its MPEG version's bits and its sample rate in Hz."""
    body = _behind_tag(head)
    if not _mp3_length(body):
        return None
    version = body[1] >> 3 & 3
    return body, version, _RATES_HERTZ[version][body[2] >> 2 & 3]


def _behind_tag(head: bytes) -> bytes:
    """Leave out an ID3v2 tag, and the zeros that some writers put behind it."""
    if not head.startswith(b"ID3") or len(head) < 10:
        return head
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    footer = 10 if head[5] & 0x10 else 0
    return head[10 + size + footer :].lstrip(b"\0")


def _adts_length(data: bytes) -> int:
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xF6 != 0xF0 or data[2] >> 2 & 0xF > 12:
        return 0
    length = (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    return length if length > 7 else 0


def _mp3_length(data: bytes) -> int:
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE6 != 0xE2:
        return 0
    version, rate, frequency, padding = data[1] >> 3 & 3, data[2] >> 4, data[2] >> 2 & 3, data[2] >> 1 & 1
    if version == 1 or rate in (0, 15) or frequency == 3:
        return 0
    kbits = _RATES_KBITS[3 if version == 3 else 2][rate]
    return (144 if version == 3 else 72) * kbits * 1000 // _RATES_HERTZ[version][frequency] + padding
