"""The voices of a provider through the whole mesh: client, gateway, store and a provider in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

import automarket
from automarket import sync
from automarket.errors import DeadlineExceeded, InputTooLarge, InputUnsuitable, InvalidRequestError, RequestIdReused
from provider_servers.runtime.testing import serving
from tests.client.conftest import running_gateway, until_complete
from tests.support.choir import Choir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_gateway("tests.support.choir:Choir", "tests.support.choir:OtherCrowd") as running:
        yield running.address


@pytest.fixture
async def mesh(address) -> AsyncIterator[automarket.Mesh]:
    await until_complete(address, {"choir", "crowd"})
    async with automarket.connect(address) as mesh:
        yield mesh


async def test_a_voice_is_made_of_a_file_a_film_and_a_stream_and_removed(mesh, media):
    async def live() -> AsyncIterator[bytes]:
        yield media.speech_wav().read_bytes()

    choir = mesh.provider("singers")
    stored = await mesh.assets.put(media.talk_mp4())
    samples = [media.speech_wav(), media.talk_mp4(), media.tone_wav().read_bytes(), stored, live()]
    made = await choir.create_voice("Mine", samples, description="like me", labels={"age": "old"})
    assert (made.name, made.cloned, made.labels) == ("Mine", True, {"age": "old"})
    assert [one.id for one in await choir.voices(cloned=True)] == [made.id]
    assert await choir.voices("mine like") == [made]
    await choir.delete_voice(made)
    await choir.delete_voice(made.id)
    assert await choir.voices(cloned=True) == []


async def test_an_equal_repeat_gives_the_voice_that_is_there(mesh, media):
    choir, request_id = mesh.provider("choir"), str(uuid.uuid4())
    made = await choir.create_voice("Mine", media.speech_wav(), request_id=request_id)
    assert await choir.create_voice("Mine", media.speech_wav(), request_id=request_id) == made
    with pytest.raises(RequestIdReused):
        await choir.create_voice("Other", media.speech_wav(), request_id=request_id)
    await choir.delete_voice(made)


async def test_all_pages_are_read(mesh):
    assert len(await mesh.provider("crowd").voices()) == 2345


async def test_what_is_no_recording_is_refused_before_anything_is_sent(mesh, media):
    choir = mesh.provider("choir")
    for wrong, error in (("text", InputUnsuitable), (media.picture_png(), InputUnsuitable), ([], InvalidRequestError)):
        with pytest.raises(error) as caught:
            await choir.create_voice("Mine", wrong)
        assert any(field.startswith("samples") for field in caught.value.fields)


async def test_a_voice_that_takes_too_long_is_given_up(mesh, media):
    with pytest.raises(DeadlineExceeded):
        await mesh.provider("choir").create_voice("slow", media.speech_wav(), timeout=0.3)


async def test_at_a_provider_server_by_itself_small_samples_go_with_the_request(media):
    small, large = media.ffmpeg("second.wav", "-t", "1", "-i", str(media.speech_wav())), media.speech_wav()
    async with serving(Choir()) as served, automarket.connect(served.server.describe().endpoints[0].address) as direct:
        made = await direct.provider("choir").create_voice("Mine", small)
        assert made.cloned
        with pytest.raises(InputTooLarge, match="no asset store"):
            await direct.provider("choir").create_voice("Mine", large)


def test_a_script_without_async_has_the_same(address, media):
    with sync.connect(address) as mesh:
        choir = mesh.provider("choir")
        made = choir.create_voice("Script", media.speech_wav())
        assert made in choir.voices()
        choir.delete_voice(made)


def run(address, *words, code=0):
    command = [sys.executable, "-P", "-m", "automarket", "voices", *words]
    environment = {**os.environ, "AUTOMARKET_ADDRESS": address}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done
    return done


def test_the_command_line_lists_makes_and_removes_voices(address, media):
    listed = json.loads(run(address, "ls", "choir", "--json").stdout)
    assert [one["id"] for one in listed] == ["alto", "bass"]
    shown = run(address, "ls", "choir", "--text", "swabian").stdout
    assert "Alma" in shown
    assert "Boris" not in shown
    words = ("create", "choir", "Mine", str(media.speech_wav()), str(media.talk_mp4()), "--label", "accent=own")
    voice = run(address, *words).stdout.strip()
    assert json.loads(run(address, "ls", "choir", "--cloned", "--json").stdout)[0]["labels"] == {"accent": "own"}
    run(address, "rm", "choir", voice, voice)
    assert "no voice fits" in run(address, "ls", "choir", "--cloned").stderr
    assert "has no value" in run(address, *words[:-1], "accent", code=5).stderr
    refused = run(address, "rm", "choir", "alto", "--json", code=5)
    assert "choir's own" in json.loads(refused.stderr)["error"]["message"]
