"""A recording of 500 MB to be written down: no process holds it in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

import automarket
from automarket.media.wav import wav_header
from tests.client.conftest import running_gateway, until_complete
from tests.support.require import require
from tests.vendors.elevenlabs import ElevenLabs
from tests.vendors.forms import read_form
from tests.vendors.running import Running, environment

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(900)]

SIZE = 500_000_000
LIMIT_MEBIBYTES = 120_000_000 / 1024 / 1024


class Noting(ElevenLabs):
    """Notes how large the files are that come."""

    def _hear(self, request):
        self.sizes = [one.size for one in read_form(request).files]
        return super()._hear(request)


@pytest.fixture
def recording(tmp_path) -> Path:
    """Give a recording of 500 MB, silent after its beginning."""
    path = tmp_path / "talk.wav"
    head = wav_header(48_000, 1, SIZE - 44)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(SIZE)
    return path


@pytest.fixture
def vendor(monkeypatch):
    require("ffmpeg")
    running = Running("elevenlabs", Noting())
    for name, value in environment("elevenlabs", running.url).items():
        monkeypatch.setenv(name, value)
    yield running
    running.close()


def peak(process) -> float:
    """Give the most memory that a process has held, in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


async def test_500_mb_are_sent_from_the_file(vendor, recording):
    with running_gateway("elevenlabs") as gateway:
        await until_complete(gateway.address, {"elevenlabs"})
        async with automarket.connect(gateway.address) as mesh:
            stt = await mesh.provider("elevenlabs").speech_to_text("scribe_v2")
            text = await stt.transform(recording)
            assert text.content
        assert vendor.fake.sizes == [SIZE]
        [provider], store = gateway.providers, gateway.own[0]
        held = {"provider": peak(provider), "store": peak(store)}
        assert max(held.values()) < LIMIT_MEBIBYTES, held
