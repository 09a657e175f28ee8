"""`automarket chat` and `automarket compare` as people and programs use them, against a language model of the test."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from automarket.errors import ProviderBusy
from provider_servers.runtime import Completion, FinishReason, ReasoningDelta, TextDelta, ToolCallDelta, Usage
from provider_servers.runtime.testing import serving
from tests.cli.conftest import AUTOMARKET
from tests.client.conftest import ROOT, running_gateway, until_complete
from tests.support.chatter import Chatter

pytestmark = pytest.mark.slow
PROMPT = "> "
# Ctrl-C reaches the program whose terminal it is. It takes it by itself: no code may run in a fork of this process,
# in which gRPC has threads.
ON_ITS_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from automarket.cli import main
main()
"""


@pytest.fixture(scope="module")
def gateway():
    with running_gateway() as running:
        yield running


@pytest.fixture
async def chatter(gateway):
    async with serving(Chatter(), gateway.control) as served:
        await until_complete(gateway.address, {"chatter"})
        yield served.provider


@pytest.fixture
def run(gateway, chatter, tmp_path):
    """Give what runs a command, not on a terminal."""

    async def run(*arguments, stdin=b"", code=0):
        process = await asyncio.create_subprocess_exec(
            *AUTOMARKET,
            *arguments,
            cwd=tmp_path,
            env=environment(gateway),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 60)
        assert process.returncode == code, (out, err)
        return out.decode(), err.decode()

    return run


def environment(gateway):
    return {**os.environ, "AUTOMARKET_ADDRESS": gateway.address, "TERM": "xterm", "PYTHONPATH": str(ROOT)}


class Screen:
    """A terminal that somebody types on."""

    def __init__(self, process, descriptor):
        self.process = process
        self._descriptor = descriptor
        self.seen = ""
        self._more = asyncio.Event()
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self):
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self.seen += re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])", "", data.decode(errors="replace")).replace("\r", "")
        self._more.set()

    async def until(self, words, seconds=30):
        """Wait until words are to be seen; forget everything up to their end."""
        try:
            async with asyncio.timeout(seconds):
                while words not in self.seen:
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"not within {seconds} s: {words!r}; to be seen is {self.seen!r}") from None
        before, _, self.seen = self.seen.partition(words)
        return before

    def type(self, words):
        os.write(self._descriptor, words.encode())

    def interrupt(self):
        self.type("\x03")

    async def end(self):
        self.type("\x04")
        return await asyncio.wait_for(self.process.wait(), 20)


@asynccontextmanager
async def on_a_terminal(gateway, folder, *arguments):
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", ON_ITS_TERMINAL),
        *arguments,
        cwd=folder,
        env=environment(gateway),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen = Screen(process, ours)
    try:
        yield screen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)


async def test_a_pipe_is_answered_once(chatter, run):
    out, err = await run("chat", "-m", "chatter", "-s", "Be brief.", "--option", "temperature=0", stdin=b"one two\n")
    assert out == "one two\n"
    assert re.search(r"chatter, chatter-2026-01-01; .*first token after .*2 tokens in, 2 out; 0\.0\d+ USD", err)
    [asked] = chatter.asked
    assert asked.texts() == ["Be brief.", "one two\n"]
    assert asked.options.temperature == 0


async def test_quiet_prints_the_answer_alone_and_words_come_before_the_pipe(chatter, run):
    out, err = await run("chat", "-q", "Review this:", stdin=b"+1 -1")
    assert chatter.asked[0].texts() == ["Review this:+1 -1"]
    assert (out, err) == ("Review this:+1 -1\n", "")


async def test_files_become_parts_of_what_is_asked(chatter, run, media, tmp_path):
    (tmp_path / "notes.md").write_text("# Notes\n\nüber alles\n")
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.4\n\xff")
    await run("chat", "notes.md", str(media.picture_png()), str(media.speech_wav()), "report.pdf", "what is in these?")
    [asked] = chatter.asked
    assert asked.texts() == ["notes.md:\n# Notes\n\nüber alles\n\nwhat is in these?"]
    assert [kind for kind, _, _ in asked.media] == ["image", "audio", "file"]
    assert asked.media[2][1:] == ("application/pdf", b"%PDF-1.4\n\xff")


async def test_json_tells_everything(chatter, run):
    chatter.script = [
        ReasoningDelta(("Hm",)),
        TextDelta(("Yes", "!")),
        ToolCallDelta(0, "c1", "weather", '{"town":"Bergen"}'),
        Completion(FinishReason.TOOL_CALLS, "tool_use", "m-1", "req_9"),
        Usage("token", 5, 7, cached_input_units=2, reasoning_units=1),
    ]
    out, err = await run("chat", "hi there", "--json", "-m", "chatter")
    told = json.loads(out)
    assert err == ""
    assert (told["text"], told["reasoning"], told["finish_reason"]) == ("Yes!", "Hm", "tool_calls")
    assert told["tool_calls"] == [{"id": "c1", "name": "weather", "arguments": '{"town":"Bergen"}'}]
    assert told["tokens"] == {"prompt": 5, "completion": 7, "cached": 2, "reasoning": 1}
    assert (told["served_model"], told["vendor_request_id"], told["vendor_finish_reason"]) == (
        "m-1",
        "req_9",
        "tool_use",
    )
    assert (told["model"], told["provider"]) == ("chatter", "chatter")
    assert 0 <= told["first_token_seconds"] <= told["seconds"]
    assert told["cost"] > 0


async def test_tokens_leave_as_they_come(gateway, chatter, tmp_path):
    chatter.script = [TextDelta(("first",)), 30.0]
    process = await asyncio.create_subprocess_exec(
        *AUTOMARKET, "chat", "-q", "hi there", env=environment(gateway), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert await asyncio.wait_for(process.stdout.readexactly(5), 20) == b"first"
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 10) == 130
    await asyncio.wait_for(chatter.asked[0].ended.wait(), 0.5)


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "reason"),
    [
        (("-m", "nobody"), b"hi", 4, "MODEL_UNKNOWN"),
        ((), b"", 5, "INPUT_EMPTY"),
        ((), b"\xff\xfe", 5, "REQUEST_INVALID"),
        (("--option", "temperature=9"), b"hi", 5, "OPTION_INVALID"),
        (("--option", "temprature=1"), b"hi", 5, "OPTION_UNKNOWN"),
        (("none.pdf",), b"hi", 4, "NOT_FOUND"),
        (("-m", "chatter", "--option", "stop=3"), b"hi", 5, "OPTION_INVALID"),
    ],
)
async def test_what_fails_is_told_and_is_the_exit_code(run, arguments, stdin, code, reason):
    out, err = await run("chat", *arguments, "--json", stdin=stdin, code=code)
    assert out == ""
    assert json.loads(err)["error"]["reason"] == reason


async def test_an_answer_that_was_cut_says_so(chatter, run):
    chatter.script = [TextDelta(("It is",)), Completion(FinishReason.LENGTH)]
    out, err = await run("chat", "hi there")
    assert out == "It is\n"
    assert "the answer was cut" in err


async def test_a_conversation_on_a_terminal_remembers_what_was_said(gateway, chatter, tmp_path):
    async with on_a_terminal(gateway, tmp_path, "chat", "-m", "chatter", "-s", "Be brief.") as screen:
        await screen.until("Ctrl-D ends")
        await screen.until(PROMPT)
        screen.type("one two\n")
        assert "one two" in await screen.until("tokens in")
        await screen.until(PROMPT)
        screen.type("three \\\n")
        screen.type("four\n")
        await screen.until("tokens in")
        await screen.until(PROMPT)
        screen.type("/new\n")
        await screen.until("a new conversation")
        await screen.until(PROMPT)
        screen.type("five\n")
        await screen.until("tokens in")
        await screen.until(PROMPT)
        assert await screen.end() == 0
    assert [asked.texts() for asked in chatter.asked] == [
        ["Be brief.", "one two"],
        ["Be brief.", "one two", "one two", "three \nfour"],
        ["Be brief.", "five"],
    ]
    assert chatter.asked[1].roles() == ["system", "user", "assistant", "user"]


async def test_control_c_stops_the_answer_and_not_the_program(gateway, chatter, tmp_path):
    chatter.script = [TextDelta(("a long",)), 60.0]
    async with on_a_terminal(gateway, tmp_path, "chat", "-m", "chatter") as screen:
        await screen.until(PROMPT)
        for number in range(3):
            screen.type("hi\n")
            await screen.until("a long")
            screen.interrupt()
            await screen.until("stopped")
            await asyncio.wait_for(chatter.asked[number].ended.wait(), 1)
            await screen.until(PROMPT)
        screen.interrupt()
        await screen.until("Ctrl-D ends the conversation")
        await screen.until(PROMPT)
        chatter.script = None
        screen.type("bye bye\n")
        await screen.until("tokens in")
        await screen.until(PROMPT)
        assert await screen.end() == 0
    assert chatter.asked[-1].texts() == ["hi", "a long"] * 3 + ["bye bye"]


async def test_what_fails_or_is_stopped_at_once_counts_as_not_asked(gateway, chatter, tmp_path):
    chatter.script = [ProviderBusy("too much to do", hint="wait a little", retry_after=2)]
    (tmp_path / "notes.txt").write_text("tides")
    async with on_a_terminal(gateway, tmp_path, "chat", "-m", "chatter", "hi there") as screen:
        await screen.until("too much to do")
        await screen.until("wait a little")
        await screen.until(PROMPT)
        chatter.script = [60.0]
        screen.type("what?\n")
        await asyncio.sleep(0.5)
        screen.interrupt()
        await screen.until("stopped")
        await screen.until(PROMPT)
        chatter.script = None
        screen.type("/file none.txt\n")
        await screen.until("there is no file none.txt")
        screen.type("/file notes.txt\n")
        await screen.until("goes with what is asked next")
        screen.type("so?\n")
        await screen.until("tokens in")
        await screen.until(PROMPT)
        assert await screen.end() == 0
    assert chatter.asked[-1].texts() == ["notes.txt:\ntides\nso?"]


async def test_thoughts_are_shown_on_a_terminal_beside_the_answer(gateway, chatter, tmp_path):
    chatter.script = [ReasoningDelta(("Let me see\x1b[2J.",)), TextDelta(("Yes.",)), Completion(FinishReason.STOP)]
    async with on_a_terminal(gateway, tmp_path, "chat", "-m", "chatter", "hi there") as screen:
        await screen.until("Let me see[2J.")
        assert "\n" in await screen.until("Yes.")
        await screen.until(PROMPT)
        assert await screen.end() == 0


async def test_a_language_model_is_described_with_its_context_and_its_price(run):
    out, _ = await run("models", "chatter")
    assert re.search(r"context +8,192 tokens, answers up to 1,024 *\n", out)
    assert re.search(r"price +1000 USD per million tokens in, 2000 out *\n", out)
    assert re.search(r"\nresponse_format\.json_schema\.schema +text", out)


async def test_models_are_compared_and_one_that_fails_is_a_row(chatter, run):
    out, err = await run("compare", "one two three", "--models", "chatter,plain@chatter,nobody")
    assert "--- chatter (chatter, chatter)\none two three\n" in out
    table = out[out.index("first token") :].splitlines()
    assert re.match(r"chatter +chatter +\S+ s +3 +[\d.]+ +\S+ s +0\.0\d+ USD", table[1])
    assert re.match(r"nobody .*MODEL_UNKNOWN", table[3])
    assert "nobody" in err


async def test_a_comparison_in_json(chatter, run):
    out, _ = await run("compare", "-", "--models", "chatter, nobody", "--json", "--option", "seed=7", stdin=b"one two")
    first, second = json.loads(out)
    assert (first["text"], first["tokens"], first["provider"]) == ("one two", 2, "chatter")
    assert first["tokens_per_second"] > 0
    assert second["error"]["reason"] == "MODEL_UNKNOWN"
    assert chatter.asked[0].options.seed == 7


async def test_a_comparison_where_all_fail_has_the_first_ones_exit_code(run):
    out, _ = await run("compare", "hi there", "--models", "nobody,nothing", "-q", code=4)
    assert out.count("MODEL_UNKNOWN") == 2
