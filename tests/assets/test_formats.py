"""Formats are told by content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automarket.assets import formats
from automarket.assets.formats import Format, by_media_type, by_name, detect, recognise, register, roles_of
from automarket.assets.roles import Role, reachable
from automarket.errors import InputEmpty, InputUnsuitable, MediaRefused
from automarket.media.info import AudioInfo, MediaInfo, VideoInfo
from automarket.media.lengths import is_cut, mp3_seconds
from automarket.media.pictures import claimed_size
from automarket.media.wav import wav_layout
from tests.media.conftest import MOVING, SOUND, Forms

TEXTS = {
    "txt": "Just words.\nAnd more.\n",
    "md": "# A title\n\nSome *words* and a [link](https://example.com).\n",
    "json": '{"a": [1, 2, {"b": null}]}',
    "srt": "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:03,000 --> 00:00:04,000\nyou\n",
    "vtt": "WEBVTT\n\n00:01.000 --> 00:02.000\nHello\n",
}
REFUSED = {
    "m3u8": "#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:9,\nfile.ts\n",
    "pls": "[playlist]\nFile1=/etc/passwd\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
    "ffconcat": "ffconcat version 1.0\nfile 'a.mp4'\n",
    "concat": "# my list\nfile '/etc/passwd'\nduration 5\n",
}


@pytest.mark.parametrize("name", [*SOUND, *MOVING])
def test_real_sound_and_video_is_told(media, name):
    path = Forms(media).audio(name) if name in SOUND else Forms(media).video(name)
    found = detect(path.read_bytes()[: formats.HEAD_BYTES])
    assert found is not None
    assert found.name == name
    assert found.roles == (formats.SOUND if name in SOUND else formats.MOVING)


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "gif"])
def test_real_pictures_are_told(media, name):
    picture = media.ffmpeg(f"tiny.{name}", "-i", str(media.picture_png()), "-vf", "scale=32:18")
    found = detect(picture.read_bytes())
    assert found is not None
    assert (found.name, found.roles) == (name, {Role.IMAGE})


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_kinds_of_text_are_told(name, mark):
    found = detect((mark + TEXTS[name]).encode())
    assert found is not None
    assert (found.name, found.roles) == (name, {Role.TEXT})


@pytest.mark.parametrize("name", REFUSED)
def test_lists_of_other_files_are_never_opened(name):
    with pytest.raises(MediaRefused, match="never followed"):
        recognise(REFUSED[name].encode())


def test_text_that_the_head_cuts_within_a_character_is_text():
    found = detect(("x" * 65_535 + "ä" * 10).encode()[: formats.HEAD_BYTES])
    assert found is not None
    assert found.name == "txt"


def test_long_json_is_told_by_its_beginning():
    found = detect(('{"words": "' + "x" * 100_000).encode()[: formats.HEAD_BYTES])
    assert found is not None
    assert found.name == "json"


def test_a_word_that_looks_like_the_beginning_of_a_list_is_text():
    for words in (
        "file this under history",
        "file under",
        "duration 5",
        "{not json",
        "[draft] words",
        "1. first\n2. second",
        "# only a hash",
    ):
        found = detect(words.encode())
        assert found is not None
        assert found.roles == {Role.TEXT}, words


def test_sound_alone_in_a_video_container_is_sound(media):
    speech = str(media.speech_wav())
    for name, wanted in (("alone.webm", "weba"), ("alone.mka", "mka"), ("alone-brand.mp4", "m4a")):
        flags = ("-c:a", "libopus") if name.endswith(("webm", "mka")) else ("-c:a", "aac", "-movflags", "+faststart")
        found = detect(media.ffmpeg(name, "-i", speech, *flags).read_bytes()[: formats.HEAD_BYTES])
        assert found is not None
        assert found.name == wanted
        assert found.roles == formats.SOUND


@pytest.mark.parametrize("brand", [b"avif", b"heic", b"mif1"])
def test_still_pictures_in_an_mp4_box_are_no_video(brand):
    assert detect(b"\x00\x00\x00\x20ftyp" + brand + bytes(100)) is None


def test_unknown_bytes_no_bytes_and_other_encodings_say_what_is_wrong():
    with pytest.raises(InputUnsuitable, match="no known format"):
        recognise(bytes(range(256)))
    with pytest.raises(InputEmpty):
        recognise(b"")
    with pytest.raises(InputUnsuitable, match="UTF-8"):
        recognise("words".encode("utf-16"))


@given(st.binary(max_size=300))
def test_no_bytes_break_what_reads_heads(data):
    beginnings = (b"", b"RIFF", b"RIFF\x00\x00\x00\x01WAVE", b"\xff\xd8\xff", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"ID3")
    for head in (*(beginning + data for beginning in beginnings), b"\xff\xfb" + data, b"\xff\xf1" + data):
        detect(head)
        wav_layout(head)
        mp3_seconds(head)
        is_cut(head, len(head))
        for name in ("png", "gif", "webp", "jpeg"):
            claimed_size(head, name)


@given(st.text(max_size=200))
def test_every_text_is_text_or_refused(text):
    found = detect(text.encode())
    controls = any(ord(character) < 32 and character not in "\t\n\r\f\x1b" for character in text)
    assert (found is None) == (controls or not text)


def test_formats_are_found_by_name_ending_and_media_type():
    assert by_name("jpg") is by_name("jpeg") is by_name(".JPG") is by_media_type("image/jpeg; q=1")
    assert by_name("nothing") is None
    assert by_media_type("nothing/else") is None


def test_every_format_of_the_product_is_known():
    audio = {"mp3", "wav", "flac", "ogg", "opus", "m4a", "aac"}
    video, image = {"mp4", "mov", "avi", "mkv", "webm"}, {"png", "jpeg", "webp", "gif"}
    text = {"txt", "md", "json", "srt", "vtt"}
    assert audio | video | image | text <= {one.name for one in formats.all_formats()}


def test_others_can_add_a_format(monkeypatch):
    monkeypatch.setattr(formats, "_registry", list(formats.all_formats()))
    register(Format("mine", "audio/x-mine", formats.SOUND, ("mine",), lambda head: head.startswith(b"MINE"), "mine"))
    found = detect(b"MINE and more")
    assert found is not None
    assert (found.name, found.role) == ("mine", Role.AUDIO)
    assert by_name("mine") is found


def test_tracks_decide_what_a_container_plays():
    mp4 = by_name("mp4")
    assert mp4 is not None
    sound, picture = AudioInfo("aac", 44100, 2), VideoInfo("h264", 1, 1, 25)
    assert roles_of(mp4, None) == formats.MOVING
    assert roles_of(mp4, MediaInfo("mp4", 1, sound, picture)) == formats.MOVING
    assert roles_of(mp4, MediaInfo("mp4", 1, None, picture)) == {Role.VIDEO}
    assert roles_of(mp4, MediaInfo("mp4", 1, sound, None)) == formats.SOUND
    assert formats.media_type_of(mp4, MediaInfo("mp4", 1, sound, None)) == "audio/mp4"


def test_roles_have_the_numbers_of_the_contract():
    for role in Role:
        assert Role.from_number(role.number) is role
        assert role in reachable(role)
    assert Role.from_number(0) is None
    assert Role.from_number(6) is None
