"""What commands print when a person watches."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import re
import subprocess

import pytest

from automarket.cli.progress import LiveProgress
from automarket.cli.terminal import Terminal
from automarket.cli.transform_view import TransformView
from automarket.client.events import TextDelta
from tests.cli.conftest import AUTOMARKET, Cli
from tests.support.media import SENTENCE
from tests.support.words import word_error_rate

pytestmark = pytest.mark.slow

_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(cli: Cli, *arguments: str) -> str:
    """Run a command on a terminal of its own; give everything that it wrote there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "AUTOMARKET_ADDRESS": cli.address, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(
        [*AUTOMARKET, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=cli.folder
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # the terminal is gone when nobody has it open any more
        while piece := os.read(ours, 65536):
            written += piece
    os.close(ours)
    assert process.wait(10) == 0, written
    return written.decode()


def plain(written: str) -> str:
    return _STEERING.sub("", written).replace("\r", "\n")


def test_words_appear_with_their_times_and_progress_moves(cli, media):
    written = on_a_terminal(cli, "transform", str(media.talk_mp4()), "-c", "speech-to-text")
    assert "\x1b[" in written
    heard = " ".join(re.findall(r"^\d+:\d\d\.\d +(.+)$", plain(written), re.MULTILINE))
    assert word_error_rate(SENTENCE, heard) < 0.25
    assert "pocketsphinx" in plain(written)
    assert "?25h" in written, "the cursor is back"


@pytest.mark.parametrize(("size", "way"), [("15.0 MB", "sent"), ("30.0 MB", "handed over by file")])
def test_an_upload_shows_how_far_it_is_and_which_way_it_went(cli, size, way):
    data = os.urandom(int(float(size.split()[0]) * 1e6))
    (cli.folder / "noise.bin").write_bytes(data)
    written = plain(on_a_terminal(cli, "assets", "put", "noise.bin"))
    assert re.search(rf"uploading noise\.bin .*\d MB of {size}", written)
    assert f", {size} {way}\n" in written
    again = plain(on_a_terminal(cli, "assets", "put", "noise.bin"))
    assert ", nothing sent, the mesh had it\n" in again
    assert "uploading" not in again
    back = plain(on_a_terminal(cli, "assets", "get", f"sha256:{hashlib.sha256(data).hexdigest()}", "-o", "back.bin"))
    assert re.search(rf"downloading back\.bin .*\d MB of {size}", back)
    assert (cli.folder / "back.bin").read_bytes() == data


def test_tokens_are_written_as_they_come_and_cannot_steer_the_terminal(capsys):
    screen = Terminal(as_json=False)
    with LiveProgress(screen.live) as progress:
        view = TransformView(screen, progress, ["text"], words=True)
        for token in ("Once ", "upon", "\x1b[2J a time"):
            view.show(TextDelta(0, (token,)))
        view.end_line()
    assert capsys.readouterr().out == "Once upon[2J a time\n"
    assert view.showed_text


def test_json_on_a_terminal_is_only_json(cli):
    assert "\x1b" not in on_a_terminal(cli, "capabilities", "--json")


def test_nothing_moves_where_nobody_watches(cli, media):
    result = cli("transform", str(media.talk_mp4()), "-c", "speech-to-text")
    assert "\x1b" not in result.stdout + result.stderr
