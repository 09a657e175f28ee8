"""Which file of the server speaks."""

from __future__ import annotations

import pytest

from automarket.errors import BackendFailed, DiskFull, InputUnsuitable, OptionInvalid
from provider_servers.chatterbox.client import ModelInfo
from provider_servers.chatterbox.sample import VoiceSample
from provider_servers.chatterbox.voices import Voices

SAMPLE = VoiceSample(b"wav", 8.0, "am-12")


class Server:
    """What the client would tell of a server."""

    def __init__(self, *voices, kind="original", faults=()):
        self.own = voices
        self.kind = kind
        self.faults = list(faults)
        self.files = []
        self.asked = 0

    async def voices(self):
        self.asked += 1
        return self.own

    async def reference_files(self):
        return tuple(self.files)

    async def model_info(self):
        return ModelInfo(self.kind, ("en",))

    async def upload_reference(self, name, wav):
        if name not in self.files:
            self.files.append(name)  # and where it fails, a part of it stays
            if self.faults:
                raise self.faults.pop(0)
        return name


@pytest.mark.parametrize(
    ("wanted", "file"),
    [("", "Emily.wav"), ("Adrian", "Adrian.wav"), ("adrian.wav", "Adrian.wav"), ("old man", "Old Man.mp3")],
)
async def test_a_voice_is_found_by_its_name(wanted, file):
    assert await Voices().own(Server("Adrian.wav", "Emily.wav", "Old Man.mp3"), wanted) == file


async def test_a_server_with_other_voices_speaks_in_its_first():
    assert await Voices().own(Server("Zoe.wav", "Adrian.wav"), "") == "Zoe.wav"


async def test_a_voice_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(OptionInvalid, match="'Nobody'") as caught:
        await Voices().own(Server("Adrian.wav", "Emily.wav"), "Nobody")
    assert caught.value.hint == "there are: Adrian, Emily"
    with pytest.raises(BackendFailed, match="no voices"):
        await Voices().own(Server(), "")


async def test_the_server_is_asked_once_and_again_when_it_may_have_a_new_voice():
    server, voices = Server("Emily.wav"), Voices()
    for _ in range(3):
        await voices.own(server, "Emily")
    assert server.asked == 1
    server.own = ("Emily.wav", "Zoe.wav")
    assert await voices.own(server, "Zoe") == "Zoe.wav"


async def test_a_sample_is_uploaded_once():
    server, voices = Server(), Voices()
    assert [await voices.clone(server, SAMPLE) for _ in range(3)] == ["am-12.wav"] * 3
    assert server.files == ["am-12.wav"]


async def test_a_name_under_which_an_upload_failed_is_not_used_again():
    server, voices = Server(faults=[DiskFull("full"), BackendFailed("gone")]), Voices()
    for error in (DiskFull, BackendFailed):
        with pytest.raises(error):
            await voices.clone(server, SAMPLE)
    assert await voices.clone(server, SAMPLE) == "am-12-2.wav"


@pytest.mark.parametrize("seconds", [3.0, 5.0])
async def test_turbo_needs_a_longer_sample(seconds):
    sample = VoiceSample(b"wav", seconds, "am-13")
    assert await Voices().clone(Server(), sample) == "am-13.wav"
    with pytest.raises(InputUnsuitable, match="Turbo needs more than 5 s"):
        await Voices().clone(Server(kind="turbo"), sample)
    assert await Voices().clone(Server(kind="turbo"), SAMPLE) == "am-12.wav"
