"""`automarket image`, `video` and `speak`: words into files, through the whole mesh."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from automarket.assets import AssetLoader
from tests.cli.conftest import AUTOMARKET, Cli
from tests.client.conftest import running_gateway, until_complete
from tests.support.require import require

pytestmark = pytest.mark.slow
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture(scope="module")
def address():
    require("ffmpeg", "flite")
    with running_gateway("tests.support.painter:Painter", "ffmpeg", "flite", jobs=True) as running:
        asyncio.run(until_complete(running.address, {"painter", "ffmpeg", "flite"}))
        yield running.address


@pytest.fixture
def cli(address, tmp_path) -> Cli:
    return Cli(address, tmp_path)


def media_seconds(path: Path) -> float:
    return AssetLoader.load(path).media_info.duration


@pytest.fixture
def photo(cli) -> str:
    cli("image", "a red kite", "-o", "photo.jpg", "-q")
    return "photo.jpg"


def facts(cli: Cli, name: str):
    return AssetLoader.load(cli.folder / name).media_info


def test_a_text_becomes_a_picture_and_its_cost_seed_and_place_are_told(cli):
    result = cli("image", "a", "red", "kite", "-o", "kite.png", "--seed", "7", "--aspect-ratio", "1:1")
    assert result.stdout == ""
    told = result.stderr.splitlines()
    assert told[:6] == [
        "queued, 2 ahead",
        "queued, next in line",
        "  loading weights",
        "  step 1/2",
        "running 50%",
        "wrote kite.png",
    ]
    assert "provider  painter, model brush" in told
    assert "media     240 x 240" in told
    assert "seed      7" in told
    assert "usage     0 in, 1 out (image), 0.02 USD" in told
    assert "revised   a redder kite" in told
    assert any(line.startswith("kept      sha256:") for line in told)
    info = facts(cli, "kite.png")
    assert (info.format, info.video.width, info.video.height) == ("png", 240, 240)


def test_several_pictures_are_numbered(cli):
    cli("image", "a red kite", "--count", "3", "-o", "kites/")
    assert [path.name for path in sorted((cli.folder / "kites").iterdir())] == ["001.jpg", "002.jpg", "003.jpg"]


def test_a_picture_is_written_as_its_files_name_says_even_where_the_model_cannot(cli):
    cli("image", "a red kite", "--size", "200x100", "-o", "kite.webp")
    info = facts(cli, "kite.webp")
    assert (info.format, info.video.width) == ("webp", 200)


def test_what_was_made_and_cannot_be_written_is_said_to_be_kept(cli):
    result = cli("image", "a red kite", "--count", "2", "-o", "-", code=5)
    assert "there are 2 outputs" in " ".join(result.stderr.split())
    assert result.stderr.count("kept      sha256:") == 2


def test_a_picture_is_changed_or_enlarged(cli, photo):
    cli("image", photo, "--prompt", "in the dark", "-o", "dark.jpg")
    assert facts(cli, "dark.jpg").video.width == 320
    cli("image", photo, "--upscale", "3", "-o", "large.png")
    assert facts(cli, "large.png").video.width == 960


def test_a_picture_moves_for_as_long_as_is_said(cli, photo):
    cli("video", photo, "--prompt", "it rises", "--duration", "2", "--fps", "10", "-o", "rise.mp4")
    info = facts(cli, "rise.mp4")
    assert (info.duration, info.video.frame_rate) == (pytest.approx(2, abs=0.15), 10)


def test_a_text_becomes_a_video(cli):
    cli("video", "a kite rises", "--duration", "1.5", "-o", "kite.mp4")
    assert facts(cli, "kite.mp4").duration == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize(
    ("words", "model"),
    [
        (("--speech", "{speech}"), "lips"),
        (("--face", "{picture}"), "mask"),
        (("--face", "{film}"), "mask"),
        (("--upscale", "2"), "wide"),
        (("--upscale", "4"), "grow"),
        (("--upscale", "720p"), "grow"),
        (("--upscale", "720p", "--fps", "10"), "grow"),
        (("--prompt", "in the rain"), "turn"),
    ],
)
def test_a_video_is_changed_by_what_is_asked_of_it(cli, media, words, model):
    paths = {"speech": media.speech_wav(), "picture": media.picture_png(), "film": media.talk_mp4()}
    asked = [word.format(**paths) for word in words]
    made = cli.json("video", str(media.talk_mp4()), *asked, "--option", "pace=quick", "-o", "out.mp4")
    assert made["report"]["accepted"]["model_id"] == model
    assert made["outputs"][0]["metadata"]["seed"] == 42
    about = made["outputs"][0]["metadata"]["composition"]
    assert about["base_video_info"]["duration"] == pytest.approx(media_seconds(media.talk_mp4()), abs=0.1)
    assert about["resolution"]["width"] == facts(cli, "out.mp4").video.width
    assert about["overlay_info"] == {"count": 0, "overlays": []}
    assert made["files"] == ["out.mp4"]
    assert facts(cli, "out.mp4").video is not None


def test_a_picture_that_speaks_is_an_avatar(cli, media, photo):
    made = cli.json("video", photo, "--speech", str(media.speech_wav()), "--prompt", "a smile", "-o", "head.mp4")
    assert made["report"]["accepted"]["model_id"] == "head"
    assert facts(cli, "head.mp4").audio is not None


def test_an_overlay_is_laid_where_and_when_it_is_said(cli, media):
    laid = f"{media.picture_png()},position=top-right,start=0.5,duration=1,opacity=0.5,width=40"
    made = cli.json("video", str(media.talk_mp4()), "--overlay", laid, "-o", "final.mp4")
    [one] = made["composition"]["overlay_info"]["overlays"]
    assert (one["start_time"], one["duration"], one["final_size"]["width"]) == (0.5, 1.0, 40)
    assert facts(cli, "final.mp4").duration == pytest.approx(made["composition"]["duration"], abs=0.1)


def test_words_are_spoken_into_the_file_that_is_named(cli):
    cli("speak", "good", "morning", "--speed", "1.2", "-o", "morning.mp3")
    assert facts(cli, "morning.mp3").audio.codec == "mp3"
    (cli.folder / "story.txt").write_text("Once upon a time.")
    cli("speak", "story.txt", "-o", "story.wav", "-q")
    assert facts(cli, "story.wav").duration > 0.5
    cli("speak", "-", "-o", "piped.wav", stdin=b"hello there")
    assert facts(cli, "piped.wav").duration > 0.3


def test_the_whole_way_from_a_text_to_a_film_with_a_voice_and_a_logo(cli, media):
    cli("image", "a red kite", "-o", "kite.png")
    cli("video", "kite.png", "--prompt", "it rises", "--duration", "3", "-o", "rise.mp4")
    cli("speak", "the kite rises", "-o", "voice.wav")
    cli("video", "rise.mp4", "--speech", "voice.wav", "-o", "spoken.mp4")
    cli("video", "spoken.mp4", "--overlay", f"{media.picture_png()},x=4,y=4,width=40", "-o", "final.mp4")
    info = facts(cli, "final.mp4")
    assert (info.video.width, info.video.height) == (320, 180)
    assert info.audio is not None


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("image", "{talk}"), 5, "not of video"),
        (("image", "a kite", "--prompt", "red"), 5, "a text is a prompt itself"),
        (("image", "a kite", "--size", "large"), 2, "1024x768"),
        (("image", "a kite", "--option", "num_images=2"), 5, "did you mean count?"),
        (("image", "a kite", "--count", "9"), 5, "text_to_image.count: 9 is not a whole number of 1 to 4"),
        (("image", "a kite", "--size", "9x9", "--aspect-ratio", "1:1"), 5, "'1:1' excludes width, which is 9"),
        (("video", "a kite", "--fps", "24"), 5, "it takes: aspect_ratio, duration, pace, seed"),
        (("video", "{talk}"), 5, "what is to be done to the video?"),
        (("video", "{talk}", "--face", "{png}", "--upscale", "2"), 5, "one thing is done to a video at a time"),
        (("video", "{talk}", "{talk}"), 5, "one picture or video is taken"),
        (("video", "{wav}"), 5, "sound alone makes no video"),
        (("video", "{talk}", "--upscale", "huge"), 5, "neither a factor nor a height"),
        (("video", "{talk}", "--overlay", "{png},where=here"), 5, "an overlay has no 'where=here'"),
        (("video", "{talk}", "--overlay", "{png},x=left"), 5, "'left' is not a number"),
        (("video", "a kite", "--face", "{png}"), 5, "a text takes no --face"),
        (("video", "{png}", "--upscale", "2"), 5, "a picture takes no --face, --overlay or --upscale"),
        (("video", "{png}", "--speech", "{wav}", "--duration", "2"), 5, "duration"),
        (("video", "{png}", "--speech", "{wav}", "--end-image", "{png}"), 5, "end_image"),
        (("video", "{talk}", "--upscale", "2", "--prompt", "sharper"), 5, "prompt"),
        (("speak", "{wav}"), 5, "only text can be spoken"),
        (("speak", "hello", "--voice", "{wav}"), 4, "voice-cloning"),
        (("video", "{talk}", "--face", "nobody.png"), 4, "there is no file nobody.png"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_sent(cli, media, words, code, said):
    paths = {"talk": media.talk_mp4(), "png": media.picture_png(), "wav": media.speech_wav()}
    result = cli(*(word.format(**paths) for word in words), code=code)
    assert said in " ".join(re.sub(r"[│\n]", " ", result.stderr).split())


def test_ctrl_c_cancels_the_work(cli):
    command = [*AUTOMARKET, "image", "a kite", "--option", "pace=never", "--address", cli.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr.readline() == "queued, 2 ahead\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert cli.json("image", "a kite")["outputs"], "its place, the only one, is free again"


def test_a_job_goes_on_when_its_command_is_interrupted(cli):
    cli("image", "a kite", "--job", "-o", "kite.png")
    assert facts(cli, "kite.png").format == "png"
    assert cli.json("jobs", "ls")[0]["state"] == "done"
    command = [*AUTOMARKET, "image", "a kite", "--job", "--option", "pace=never", "--address", cli.address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        begun = process.stderr.readline().removeprefix("job ").strip()
        while process.stderr.readline() != "queued, next in line\n":
            pass
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert f"the job goes on: automarket jobs watch {begun}" in said
    assert cli.json("jobs", "show", begun)["state"] == "running"
    assert cli.json("jobs", "cancel", begun)["state"] == "cancelled"


def test_what_it_would_cost_is_said_and_nothing_is_made(cli):
    assert cli("image", "a kite", "--count", "3", "--estimate").stdout.startswith("0.06 USD")
    assert cli("video", "a kite", "--estimate", "-o", "kite.mp4").stdout
    assert not (cli.folder / "kite.mp4").exists()


def test_on_a_terminal_the_vendors_stages_move(cli):
    written = STEERING.sub("", on_a_terminal(cli, "image", "a kite", "--option", "pace=quick", "-o", "kite.png"))
    assert "queued" in written
    assert "wrote kite.png" in written
    assert "seed      42" in written


def on_a_terminal(cli: Cli, *arguments: str) -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "AUTOMARKET_ADDRESS": cli.address, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [*AUTOMARKET, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=cli.folder
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # the terminal is gone when nobody has it open any more
        pass
    os.close(ours)
    assert process.wait(10) == 0, written
    return written.decode()


def test_json_says_all_of_it(cli):
    made = cli.json("image", "a kite", "-n", "2", "-o", "kites/")
    assert [Path(one).name for one in made["files"]] == ["001.jpg", "002.jpg"]
    assert [one["metadata"]["seed"] for one in made["outputs"]] == [42, 43]
    assert made["outputs"][0]["metadata"]["cost"] == 0.04
    assert json.dumps(made)
