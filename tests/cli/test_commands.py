from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from automarket.assets import AssetLoader
from automarket.cli.running import DEFAULT_ADDRESS
from automarket.client import mesh as client_mesh
from tests.cli.conftest import AUTOMARKET
from tests.support.media import SENTENCE
from tests.support.words import word_error_rate

pytestmark = pytest.mark.slow

COMMANDS = (
    ("status",),
    ("providers",),
    ("models",),
    ("models", "en-us"),
    ("capabilities",),
    ("services", "ls"),
    ("services", "up", "whisper"),
    ("services", "down", "whisper"),
    ("services", "status", "whisper"),
    ("services", "logs", "whisper"),
    ("services", "watch"),
    ("transform", "hello there", "-c", "text-to-speech"),
    ("image", "a red kite"),
    ("video", "a kite rises"),
    ("speak", "hello there"),
    ("chat", "hello there"),
    ("compare", "hello there", "--models", "a,b"),
    ("assets", "ls"),
    ("assets", "put", "file.txt"),
    ("assets", "get", "sha256:" + "0" * 64),
    ("assets", "stat", "abcdef"),
    ("assets", "cast", "abcdef", "-r", "speech"),
    ("assets", "rm", "abcdef"),
)


def digest_of(path) -> str:
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_where_no_mesh_runs_every_command_says_so_in_a_sentence(alone, command):
    (alone.folder / "file.txt").write_text("x")
    result = alone(*command, code=3)
    assert result.stdout == ""
    assert result.stderr == "error: no mesh is running at 127.0.0.1:1\n  try: automarket up\n"


def test_an_address_that_is_none_is_told(alone):
    assert "there is no machine of that name" in alone("status", "--address", "no.invalid:1", code=3).stderr


@pytest.mark.parametrize(
    "command",
    [
        *(
            "up",
            "status",
            "providers",
            "models",
            "capabilities",
            "transform",
            "image",
            "video",
            "speak",
            "doctor",
            "new-provider",
            "chat",
            "compare",
        ),
        *("services ls", "services up", "services down", "services status", "services logs", "services watch"),
        *("assets put", "assets get", "assets ls", "assets stat", "assets cast", "assets rm"),
    ],
)
def test_every_command_can_speak_json(command):
    words = [*AUTOMARKET, *command.split(), "-h"]
    assert "--json" in subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_the_address_is_the_clients():
    assert DEFAULT_ADDRESS == client_mesh.DEFAULT_ADDRESS


def test_capabilities_are_completed_by_the_shell():
    environment = os.environ | {
        "_AUTOMARKET_COMPLETE": "complete_bash",
        "COMP_WORDS": "automarket transform -c speech",
        "COMP_CWORD": "3",
    }
    command = [sys.executable, "-m", "automarket"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "speech-to-text" in result.stdout.split()


def test_the_version_is_the_packages():
    result = subprocess.run([*AUTOMARKET, "--version"], capture_output=True, text=True, check=True)
    assert result.stdout.startswith("automarket 0.")


def test_status_tells_how_the_mesh_is(cli):
    assert f"A mesh runs at {cli.address}" in cli("status").stdout
    status = cli.json("status")
    assert status["store"] == "takes work"
    assert "pocketsphinx" in {provider["id"] for provider in status["providers"]}


def test_providers_models_and_capabilities_are_listed(cli):
    assert "speech-to-text" in cli("providers").stdout
    assert {"pocketsphinx", "flite", "ffmpeg"} <= {one["id"] for one in cli.json("providers")}
    assert {one["provider_id"] for one in cli.json("models", "-p", "flite")} == {"flite"}
    assert "en-us" in {one["id"] for one in cli.json("models", "-c", "transcription")}
    names = {one["name"] for one in cli.json("capabilities")}
    assert "audio-to-text" in names
    assert "face-swap" not in names
    assert "face-swap" in {one["name"] for one in cli.json("capabilities", "--all")}


def test_lists_that_are_piped_have_one_line_for_each_row(cli):
    lines = cli("capabilities", "--all").stdout.splitlines()
    assert len(lines) == 1 + len(cli.json("capabilities", "--all"))


def test_one_model_is_described_with_its_inputs_and_options(cli):
    text = cli("models", "en-us").stdout
    assert "speech" in text
    assert "word_timestamps" in text


def test_a_name_that_nothing_has_is_not_found(cli):
    assert cli.error("models", "nonsense", code=4)["reason"] == "MODEL_UNKNOWN"
    assert cli.error("models", "-c", "nonsense", code=4)["reason"] == "CAPABILITY_UNKNOWN"
    assert cli.error("transform", "hi there", "-p", "nonsense", code=4)["reason"] == "PROVIDER_UNKNOWN"


def test_a_video_becomes_words_and_the_way_is_told_beside_them(cli, media):
    result = cli("transform", str(media.talk_mp4()), "-c", "speech-to-text")
    assert word_error_rate(SENTENCE, result.stdout) < 0.25
    assert result.stdout.count("\n") >= 1
    for word in ("input", "cast", "provider", "pocketsphinx", "time", "running"):
        assert word in result.stderr, word
    again = cli("transform", str(media.talk_mp4()), "-c", "speech-to-text")
    assert "nothing sent, the mesh had it" in again.stderr
    assert "found made" in again.stderr
    assert again.stdout == result.stdout


def test_quiet_prints_the_result_alone(cli, media):
    result = cli("transform", str(media.speech_wav()), "-c", "stt", "-q")
    assert word_error_rate(SENTENCE, result.stdout) < 0.25
    assert result.stderr == ""


def test_a_transform_in_json_holds_text_segments_and_report(cli, media):
    facts = cli.json("transform", str(media.talk_mp4()), "-m", "en-us")
    assert word_error_rate(SENTENCE, facts["text"]) < 0.25
    assert facts["segments"][0]["end"] > 1
    assert facts["report"]["accepted"]["provider_id"] == "pocketsphinx"
    assert facts["report"]["uploads"][0]["digest"] == digest_of(media.talk_mp4())


def test_words_become_subtitles_by_the_files_name(cli, media):
    cli("transform", str(media.speech_wav()), "-c", "stt", "-o", "talk.srt")
    text = (cli.folder / "talk.srt").read_text()
    assert text.startswith("1\n00:00:0")
    assert AssetLoader.load(cli.folder / "talk.srt").format.name == "srt"


@pytest.mark.parametrize("ending", ["wav", "mp3", "flac"])
def test_text_becomes_speech_in_the_format_that_the_files_name_says(cli, ending):
    result = cli("transform", "hello there", "-c", "text-to-speech", "-o", f"out/hello.{ending}")
    assert f"wrote out/hello.{ending}" in result.stderr
    assert AssetLoader.load(cli.folder / "out" / f"hello.{ending}").format.name == ending


def test_speech_without_a_file_is_named_by_its_digest(cli):
    result = cli("transform", "hello there", "-c", "text-to-speech")
    digest, media_type = result.stdout.split()
    assert media_type.startswith("audio/")
    cli("assets", "get", digest, "-o", "hello.wav")
    assert digest_of(cli.folder / "hello.wav") == digest


def test_standard_input_and_output_can_be_piped_through(cli, media):
    spoken = subprocess.run(
        [*AUTOMARKET, "transform", "-", "-c", "text-to-speech", "-o", "-", "--address", cli.address],
        input=SENTENCE.encode(),
        capture_output=True,
        check=True,
    ).stdout
    assert spoken.startswith(b"RIFF")
    heard = cli("transform", "-", "-c", "speech-to-text", stdin=spoken)
    assert word_error_rate(SENTENCE, heard.stdout) < 0.35


def test_frames_go_into_a_folder(cli, media):
    words = ("transform", str(media.talk_mp4()), "-c", "video-to-image", "--option", "count=3")
    files = cli.json(*words, "-o", "frames/")["files"]
    assert files == ["frames/001.png", "frames/002.png", "frames/003.png"]
    assert AssetLoader.load(cli.folder / "frames/002.png").format.name == "png"
    cli(*words, "-o", "f.jpg")
    assert AssetLoader.load(cli.folder / "f-003.jpg").format.name == "jpeg"


def test_a_composition_writes_the_video_and_prints_its_facts(cli, media):
    words = ("transform", str(media.talk_mp4()), str(media.picture_png()), "-c", "video-composition")
    overlay = '[{"position": "top-left", "width": 64, "start": 1, "duration": 2}]'
    result = cli(*words, "--option", f"overlays={overlay}", "-o", "out.mp4")
    facts = json.loads(result.stdout)
    assert facts["overlay_info"]["count"] == 1
    assert facts["overlay_info"]["overlays"][0]["final_size"]["width"] == 64
    assert AssetLoader.load(cli.folder / "out.mp4").format.name == "mp4"


def test_inputs_can_be_stored_assets_and_named_by_slot(cli, media):
    (stored,) = cli.json("assets", "put", str(media.talk_mp4()))
    slot = cli.json("models", "en-us")["inputs"][0]["name"]
    result = cli("transform", f"{slot}={stored['digest'][:20]}", "-m", "en-us", "-q")
    assert word_error_rate(SENTENCE, result.stdout) < 0.25


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("nothing.mp4", "-c", "stt"), 4, "NOT_FOUND"),
        (("{talk}", "-c", "stt", "--option", "laguage=en"), 5, "OPTION_UNKNOWN"),
        (("{talk}", "-c", "stt", "--option", "language"), 5, "REQUEST_INVALID"),
        (("hello there", "-c", "text-to-speech", "--option", "speed=99"), 5, "OPTION_INVALID"),
        (("{silent}", "-c", "stt"), 5, "INPUT_UNSUITABLE"),
        (("some words here", "-c", "stt"), 5, "INPUT_UNSUITABLE"),
        (("empty.wav", "-c", "stt"), 5, "INPUT_EMPTY"),
        (("sha256:" + "0" * 64, "-c", "stt"), 4, "ASSET_UNKNOWN"),
        (("{talk}", "{talk}", "{talk}", "-c", "stt"), 5, "REQUEST_INVALID"),
        (("{talk}", "-c", "stt", "--timeout", "0.001"), 1, "DEADLINE_EXCEEDED"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_done_has_its_exit_code_and_reason(cli, media, words, code, reason):
    (cli.folder / "empty.wav").touch()
    paths = {"talk": media.talk_mp4(), "silent": media.silent_mp4()}
    error = cli.error("transform", *(word.format(**paths) for word in words), code=code)
    assert error["reason"] == reason
    assert error["message"]


def test_a_misspelt_option_names_the_nearest(cli, media):
    result = cli("transform", str(media.talk_mp4()), "-c", "stt", "--option", "laguage=en", code=5)
    assert "did you mean language?" in result.stderr


def test_saying_nothing_of_what_to_do_is_wrong_usage(cli, media):
    assert "--capability" in cli("transform", str(media.talk_mp4()), code=2).stderr
    cli("assets", "cast", "abcdef", "-r", "smell", code=2)
    cli("assets", "cast", "abcdef", "-r", "speech", "--width", "3", code=2)
    cli("assets", "get", "abcdef", "--offset", "3", code=2)


def test_an_asset_goes_in_and_comes_out(cli, media):
    shutil.copy(media.talk_mp4(), cli.folder / "talk.mp4")
    with (cli.folder / "talk.mp4").open("ab") as file:
        file.write(os.urandom(10))  # bytes that no other test has
    digest = digest_of(cli.folder / "talk.mp4")
    first = cli("assets", "put", "talk.mp4")
    assert first.stdout == digest + "\n"
    assert "sent" in first.stderr
    assert "nothing sent" in cli("assets", "put", "talk.mp4").stderr
    [again] = cli.json("assets", "put", "talk.mp4")
    assert (again["bytes_sent"], again["bytes_by_file"]) == (0, 0)
    assert digest in {one["digest"] for one in cli.json("assets", "ls", "--uploaded", "--type", "video/")}
    assert digest[:19] in cli("assets", "ls").stdout
    assert "talk.mp4" in cli("assets", "stat", digest[7:20], "--verify").stdout
    cli("assets", "get", digest[:20], "-o", "back/")
    assert digest_of(cli.folder / "back/talk.mp4") == digest
    assert "exists already" in cli("assets", "get", digest, code=5).stderr
    assert len(cli("assets", "get", digest, "-o", "-", "--offset", "4", "--limit", "4").stdout) == 4
    cli("assets", "rm", digest)
    assert cli.error("assets", "stat", digest, code=4)["reason"] == "ASSET_UNKNOWN"
    assert cli.error("assets", "stat", digest[:20], code=4)["reason"] == "ASSET_UNKNOWN"


def test_a_cast_is_made_once(cli, media):
    (stored,) = cli.json("assets", "put", str(media.talk_faststart_mp4()))
    words = ("assets", "cast", stored["digest"], "-r", "speech", "--rate", "8000", "--channels", "1")
    made = cli.json(*words)
    assert made["asset"]["media_info"]["audio"]["sample_rate"] == 8000
    again = cli(*words)
    assert again.stdout == made["asset"]["digest"] + "\n"
    assert "found made" in again.stderr
    children = cli.json("assets", "ls", "--parent", stored["digest"], "--derived")
    assert made["asset"]["digest"] in {one["digest"] for one in children}
    assert "cast" in cli("assets", "stat", made["asset"]["digest"]).stdout


def test_standard_input_becomes_an_asset(cli):
    data = os.urandom(3_000_000)
    result = cli("assets", "put", "-", "--name", "noise", stdin=data)
    assert result.stdout.strip() == "sha256:" + hashlib.sha256(data).hexdigest()
    assert "noise" in cli("assets", "stat", result.stdout.strip()).stdout


def test_a_digest_that_is_none_or_too_short_is_refused(cli):
    assert "not a digest" in cli("assets", "stat", "sha256:xyz", code=5).stderr
    assert "not a digest" in cli("assets", "stat", "abc", code=5).stderr


def test_ctrl_c_ends_a_transform_at_once(cli, media):
    command = [*AUTOMARKET, "transform", "-", "-c", "speech-to-text", "--address", cli.address]
    for _ in range(3):
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            process.stdin.write(media.speech_wav().read_bytes())
            process.stdin.flush()
            time.sleep(1.5)
            begin = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(5) == 130
            assert time.monotonic() - begin < 2
            assert process.stderr is not None
            assert b"Traceback" not in process.stderr.read()


def test_a_file_whose_name_says_something_else_than_it_holds_is_told(cli):
    result = cli("transform", "hello there", "-c", "text-to-speech", "-o", "hello.mp4")
    assert "hello.mp4 holds audio/wav" in result.stderr


def test_a_reader_that_leaves_early_is_no_fault_worth_a_traceback(cli):
    command = f"{' '.join(AUTOMARKET)} capabilities --all --json --address {cli.address} | head -c 10"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in result.stderr


def test_the_doctor_tells_what_is_here_without_a_mesh(alone):
    checks = {check["name"]: check for check in alone.json("doctor")}
    assert checks["python"]["verdict"] == "ok"
    assert checks["automarket[mesh]"]["verdict"] == "ok"
    assert {"ffmpeg", "ffprobe", "flite", "docker", "node", "disk", "provider pocketsphinx"} <= checks.keys()
    assert all(check["hint"] for check in checks.values() if check["verdict"] != "ok")
    assert "ffmpeg" in alone("doctor").stdout


def test_the_doctor_faults_a_machine_without_ffmpeg(alone, monkeypatch):
    monkeypatch.setenv("PATH", str(alone.folder))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{alone.folder}/docker.sock")
    checks = {check["name"]: check for check in json.loads(alone("doctor", "--json").stdout)}
    assert "imageio_ffmpeg" in checks["ffmpeg"]["found"]  # the wheel that the tests install
    assert checks["node"]["verdict"] == "missing"
    assert "apt install docker.io" in checks["docker"]["hint"]
    assert "docker-compose" in checks["compose"]["hint"]
    assert checks["docker"]["found"] == "Docker is not installed"
    assert checks["provider whisper"]["found"] == "Docker is not installed"


def test_a_provider_of_ones_own_is_made_in_one_command(alone):
    result = alone("new-provider", "my-voice")
    assert "pip install -e my-voice" in result.stdout
    assert (alone.folder / "my-voice" / "pyproject.toml").exists()
    assert alone.error("new-provider", "my-voice", code=5)["message"]
    assert alone.error("new-provider", "My Voice", code=5)["message"]
    files = alone.json("new-provider", "other", "--folder", "somewhere")["files"]
    assert all((alone.folder / file).is_file() for file in files)
