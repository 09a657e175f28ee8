"""What Docker says, in the words of several versions, and what it means."""

from __future__ import annotations

import pytest

from automarket.errors import DiskFull, GpuMissing, ImageUnknown, PortTaken, ServiceStartFailed
from services.runtime.explain import explain_pull, explain_start
from services.whisper import WhisperSettings

SETTINGS = WhisperSettings()


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ("Bind for 127.0.0.1:9000 failed: port is already allocated", PortTaken, "AUTOMARKET_WHISPER_PORT"),
        ("listen tcp4 127.0.0.1:9000: bind: address already in use", PortTaken, "AUTOMARKET_WHISPER_PORT"),
        ('could not select device driver "nvidia" with capabilities: [[gpu]]', GpuMissing, "AUTOMARKET_WHISPER_GPU"),
        ("Error response from daemon: CDI device injection failed", GpuMissing, "nvidia-container-toolkit"),
        ("write /var/lib/docker/x: no space left on device", DiskFull, "docker system"),
        ("No such image: nothing:1", ImageUnknown, "AUTOMARKET_WHISPER_IMAGE"),
        ("Minimum memory limit allowed is 6MB", ServiceStartFailed, "AUTOMARKET_WHISPER_MEMORY"),
    ],
)
def test_why_a_container_was_not_started(text: str, error: type[Exception], hint: str):
    found = explain_start(text, "whisper", SETTINGS)
    assert type(found) is error
    assert hint in (found.hint or "")
    if error is PortTaken:
        assert "9000" in found.message


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("manifest for whisper:none not found: manifest unknown: manifest unknown", ImageUnknown),
        ("pull access denied for nothing, repository does not exist or may require 'docker login'", ImageUnknown),
        (
            "Get https://registry-1.docker.io/v2/: dial tcp: lookup registry-1.docker.io: no such host",
            ServiceStartFailed,
        ),
        ("net/http: TLS handshake timeout", ServiceStartFailed),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", DiskFull),
    ],
)
def test_why_an_image_was_not_pulled(text: str, error: type[Exception]):
    assert type(explain_pull(text, "whisper:1", "whisper", SETTINGS)) is error
