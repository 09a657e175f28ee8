"""How kinds of text are told by their content: subtitles, JSON, Markdown, plain text, and lists of other files."""

from __future__ import annotations

import json
import re

HEAD_BYTES = 64 * 1024

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_SUBTITLE = re.compile(r"\s*\d+[ \t]*\r?\n\d{1,2}:\d\d:\d\d[,.]\d{1,3}[ \t]*-->")
_FILE = r"file\s+('.+'|\S*[./\\]\S*)$"
_LIST_LINE = re.compile(rf"({_FILE}|(duration|inpoint|outpoint) [\d.:]+$|(stream|option|exact_stream_id)\b|#)")
_MARKDOWN = (
    re.compile(r"^#{1,6} \S", re.MULTILINE),
    re.compile(r"^(```|~~~)", re.MULTILINE),
    re.compile(r"\[[^\]\n]+\]\([^)\n]+\)"),
    re.compile(r"^[-*+] \S", re.MULTILINE),
    re.compile(r"^\|.*\|\s*$", re.MULTILINE),
    re.compile(r"\*\*\S[^*\n]*\*\*"),
    re.compile(r"^> \S", re.MULTILINE),
)
_HEADING_FIRST = re.compile(r"\s*#{1,6} \S[^\n]*(\n\s*\n|\n?$)")


def decoded(head: bytes) -> str | None:
    """Give the head as text; None when it is not text in UTF-8. A character that the head's end cuts is left out."""
    for cut in range(4 if len(head) >= HEAD_BYTES else 1):
        try:
            text = head[: len(head) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
        return None if _CONTROLS.search(text) else text
    return None


def plain(head: bytes) -> bool:
    """Tell text."""
    return decoded(head) is not None


def markdown(head: bytes) -> bool:
    """Tell Markdown: a heading before anything else, or two kinds of its marks."""
    text = decoded(head) or ""
    return bool(_HEADING_FIRST.match(text)) or sum(bool(mark.search(text)) for mark in _MARKDOWN) >= 2


def json_text(head: bytes) -> bool:
    """Tell JSON: an object or a list; one that is longer than the head is told by its beginning."""
    text = (decoded(head) or "").strip()
    if not text.startswith(("{", "[")):
        return False
    if len(head) >= HEAD_BYTES:
        return re.match(r'\{\s*"|\[\s*[\[{"\d\-tfn]', text) is not None
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def srt(head: bytes) -> bool:
    """Tell SubRip subtitles."""
    return _SUBTITLE.match(decoded(head) or "") is not None


def vtt(head: bytes) -> bool:
    """Tell WebVTT subtitles."""
    return re.match(r"WEBVTT(\s|$)", decoded(head) or "") is not None


def playlist(head: bytes) -> bool:
    """Tell lists that players follow to other files: M3U8, PLS, DASH, SDP, SMIL and the like."""
    text = (decoded(head) or "").lstrip()
    if text.startswith(("#EXTM3U", "[playlist]", "v=0\r\no=", "v=0\no=", "[Reference]", "<smil", "<asx", "<ASX")):
        return True
    return text.startswith("<") and re.search(r"<(MPD|playlist|SmoothStreamingMedia)\b", text[:2048]) is not None


def concat_list(head: bytes) -> bool:
    """Tell FFmpeg's lists of files to join, with their header line or without."""
    lines = [line.strip() for line in (decoded(head) or "").splitlines() if line.strip()]
    if lines and lines[0].startswith("ffconcat version "):
        return True
    return any(re.match(_FILE, line) for line in lines[:100]) and all(map(_LIST_LINE.match, lines[:100]))
