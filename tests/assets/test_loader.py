"""Loading assets, and what they say of themselves."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from automarket.assets import Asset, AssetLoader, Audio, Image, Role, Speech, Text, TextMetadata, Video, as_input
from automarket.digests import digest_file
from automarket.errors import InputEmpty, InputUnsuitable, InvalidRequestError, MediaInvalid, MediaRefused
from tests.media.conftest import cut, joined


def test_content_decides_the_class_and_not_the_name(media, tmp_path):
    for source, cls in ((media.talk_mp4(), Video), (media.speech_wav(), Audio), (media.picture_png(), Image)):
        renamed = tmp_path / "what.txt"
        renamed.write_bytes(source.read_bytes())
        asset = AssetLoader.load(renamed)
        assert type(asset) is cls
        assert asset.format.name == source.suffix[1:]
        assert asset.size_bytes == source.stat().st_size
        assert asset.digest == digest_file(source)
        assert asset.path == renamed


def test_roles_are_applied_at_load(media):
    speech = AssetLoader.from_file(media.talk_mp4(), as_=Role.SPEECH)
    assert type(speech) is Speech
    assert isinstance(speech, Audio)
    assert speech.roles == {Role.SPEECH, Role.AUDIO}
    assert speech.media_type == "video/mp4"
    assert type(AssetLoader.from_bytes(media.picture_png().read_bytes(), as_=Role.IMAGE)) is Image


def test_what_cannot_be_used_as_a_role_says_what_it_plays(media):
    with pytest.raises(InputUnsuitable, match=r"speech.wav \(audio/wav\) plays audio and speech; video was needed"):
        AssetLoader.from_file(media.speech_wav(), as_=Role.VIDEO)
    with pytest.raises(InputUnsuitable, match="plays text; speech was needed"):
        AssetLoader.from_bytes(b"words", as_=Role.SPEECH)


def test_a_video_plays_its_sound_and_its_pictures(media):
    video = AssetLoader.load(media.talk_mp4())
    assert video.roles == {Role.VIDEO, Role.AUDIO, Role.SPEECH}
    assert video.can_play(Role.IMAGE)
    assert not video.can_play(Role.TEXT)


def test_a_video_that_turns_out_to_have_no_sound_plays_none(media):
    video = AssetLoader.load(media.silent_mp4())
    assert video.can_play(Role.SPEECH)
    assert video.media_info.audio is None
    assert video.roles == {Role.VIDEO}
    assert not video.can_play(Role.SPEECH)


def test_bytes_have_to_be_of_the_format_that_is_named(media):
    data = media.speech_wav().read_bytes()
    assert AssetLoader.from_bytes(data, "wav").format.name == "wav"
    assert AssetLoader.from_bytes(data, "audio/wav").media_type == "audio/wav"
    with pytest.raises(InputUnsuitable, match="the bytes are wav, not mp3"):
        AssetLoader.from_bytes(data, "mp3")
    with pytest.raises(InputUnsuitable, match="no format 'tape'"):
        AssetLoader.from_bytes(data, "tape")
    assert AssetLoader.from_bytes(b"# Words\n\nand more", "txt").media_type == "text/plain"


def test_what_cannot_be_loaded_says_why(tmp_path):
    (tmp_path / "empty.wav").touch()
    with pytest.raises(InputEmpty, match=r"empty\.wav is empty"):
        AssetLoader.load(tmp_path / "empty.wav")
    (tmp_path / "list.mp4").write_text("#EXTM3U\n/etc/hostname\n")
    with pytest.raises(MediaRefused, match=r"list\.mp4"):
        AssetLoader.load(tmp_path / "list.mp4")
    with pytest.raises(InvalidRequestError, match="cannot be read: No such file"):
        AssetLoader.load(tmp_path / "none.mp4")
    with pytest.raises(InvalidRequestError, match="Is a directory"):
        AssetLoader.load(tmp_path)
    (tmp_path / "noise.wav").write_bytes(bytes(range(256)))
    with pytest.raises(InputUnsuitable, match="known are"):
        AssetLoader.load(str(tmp_path / "noise.wav"))


def test_media_has_a_duration_or_a_size(media):
    speech = AssetLoader.from_file(media.speech_wav(), as_=Role.SPEECH)
    assert speech.duration == pytest.approx(5.975, abs=0.01)
    video = AssetLoader.from_file(media.talk_mp4(), as_=Role.VIDEO)
    assert video.duration == pytest.approx(7.96, abs=0.1)
    assert video.size == (320, 180)
    assert AssetLoader.from_file(media.picture_png(), as_=Role.IMAGE).size == (640, 360)


async def test_facts_can_be_read_within_a_running_loop_and_without_blocking_it(media):
    video = AssetLoader.from_bytes(media.talk_mp4().read_bytes(), as_=Role.VIDEO)
    assert video.size == (320, 180)
    other = AssetLoader.load(media.talk_mp4())
    assert await other.inspect() is other.media_info


def test_validity_is_told_by_reading(media, tmp_path):
    assert AssetLoader.load(media.talk_mp4()).is_valid()
    assert AssetLoader.load(media.picture_png()).is_valid()
    assert not AssetLoader.load(cut(media.talk_mp4(), tmp_path)).is_valid()
    assert not AssetLoader.load(cut(media.speech_wav(), tmp_path)).is_valid()
    assert not AssetLoader.from_file(media.silent_mp4(), as_=Role.SPEECH).is_valid()
    assert Text.from_string("words").is_valid()


async def test_bytes_can_be_read_in_pieces_opened_and_saved(media, tmp_path):
    data = media.speech_wav().read_bytes()
    for asset in (AssetLoader.load(media.speech_wav()), AssetLoader.from_bytes(data)):
        pieces = [piece async for piece in asset.chunks(10_000)]
        assert {len(piece) for piece in pieces[:-1]} == {10_000}
        assert b"".join(pieces) == data == await joined(asset.chunks())
        with asset.open() as file:
            assert file.read(4) == b"RIFF"
        asset.save(tmp_path / "saved.wav")
        assert (tmp_path / "saved.wav").read_bytes() == data


def test_text_has_content_language_confidence_and_metadata():
    text = Text.from_string("Grüße", language="de")
    assert (text.content, str(text), text.language, text.confidence) == ("Grüße", "Grüße", "de", None)
    assert text.metadata == TextMetadata()
    assert (text.format.name, text.media_type, text.roles) == ("txt", "text/plain", {Role.TEXT})
    assert text.size_bytes == 7
    made = Text.from_string("", confidence=0.5, metadata=TextMetadata("en-us", "pocketsphinx", {"second": 5.0}, True))
    assert (made.content, made.confidence, made.metadata.model) == ("", 0.5, "en-us")


def test_text_files_are_read_as_utf8(tmp_path):
    file = tmp_path / "words.srt"
    file.write_text("\ufeffwords\n", encoding="utf-8")
    text = AssetLoader.from_file(file, as_=Role.TEXT)
    assert (text.content, text.format.name) == ("words\n", "txt")
    file.write_bytes(b"x" * 70_000 + b"\xff\xfe")
    late = AssetLoader.from_file(file, as_=Role.TEXT)
    assert not late.is_valid()
    with pytest.raises(MediaInvalid, match="not UTF-8 at byte 70,000"):
        _ = late.content


def test_a_string_that_utf8_cannot_write_is_no_text():
    with pytest.raises(InputUnsuitable, match="surrogates"):
        Text.from_string("\ud800")


def test_inputs_may_be_assets_text_paths_or_bytes(media):
    text = Text.from_string("words")
    assert as_input(text) is text
    spoken = as_input(str(media.speech_wav()))
    assert isinstance(spoken, Text)
    assert type(as_input(media.speech_wav())) is Audio
    assert type(as_input(media.picture_png().read_bytes())) is Image


def test_an_asset_says_what_it_is_when_printed(media):
    assert repr(AssetLoader.load(media.picture_png())).startswith("<Image image/png, ")


async def test_bytes_in_memory_leave_no_file_when_they_go(media):
    asset = AssetLoader.from_bytes(media.talk_mp4().read_bytes())
    await asset.inspect()
    assert asset.path is None
    file = asset.body.as_file()
    assert file.exists()
    assert asset.body.as_file() == file
    del asset
    gc.collect()
    assert not file.exists()


def test_facts_read_by_many_threads_at_once_agree(media):
    asset = AssetLoader.from_bytes(media.talk_mp4().read_bytes())
    found = []
    threads = [threading.Thread(target=lambda: found.append(asset.media_info)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_what_is_public_is_pinned():
    import automarket.assets

    wanted = [
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
    assert automarket.assets.__all__ == wanted
    assert all(hasattr(automarket.assets, name) for name in wanted)
    assert isinstance(automarket.assets.Text.from_string("x"), Asset)
    assert not hasattr(automarket.assets, "nothing")


def test_loading_needs_neither_httpx_nor_ffmpeg_python():
    code = (
        "import sys\nfrom automarket.assets import AssetLoader, Text\nText.from_string('x')\n"
        "assert AssetLoader.from_bytes(b'x').can_play('text')\n"
        "assert not {'httpx', 'ffmpeg', 'grpc'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.slow
def test_a_type_checker_follows_roles(tmp_path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "from typing import assert_type\n"
        "from automarket import AssetLoader, Audio, Asset, Image, Role, Speech, Text, Video\n"
        "assert_type(AssetLoader.load('x'), Asset)\n"
        "assert_type(AssetLoader.from_file('x', as_=Role.SPEECH), Speech)\n"
        "assert_type(AssetLoader.from_file('x', as_=Role.AUDIO), Audio)\n"
        "assert_type(AssetLoader.from_bytes(b'x', as_=Role.IMAGE), Image)\n"
        "assert_type(AssetLoader.from_bytes(b'x', 'txt', as_=Role.TEXT), Text)\n"
        "async def run() -> None:\n"
        "    assert_type(await AssetLoader.from_url('x', as_=Role.VIDEO), Video)\n"
        "    assert_type(await AssetLoader.from_url('x', max_bytes=5), Asset)\n"
        "    video = AssetLoader.load('x')\n"
        "    assert_type(await video.as_speech(), Speech)\n"
        "    assert_type(await video.as_audio(sample_rate=8000), Audio)\n"
        "    assert_type(await video.as_image(frame_time=1.5), Image)\n"
        "    assert_type(await video.as_video(), Video)\n"
        "    assert_type(await video.as_text(), Text)\n"
    )
    pyright = Path(sys.executable).parent / "pyright"
    done = subprocess.run(
        [pyright, "--pythonpath", sys.executable, str(snippet)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
