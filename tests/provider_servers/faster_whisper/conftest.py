"""A provider with one model of random weights, and what its processes are."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from provider_servers.faster_whisper.engines import CHILD
from provider_servers.faster_whisper.settings import FasterWhisperSettings
from tests.support.mesh import parent_of, processes
from tests.support.require import require
from tests.support.tiny_whisper import tiny_whisper

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture(scope="session")
def noise():
    """Give the folder of a model that makes up words."""
    require("faster-whisper")
    return tiny_whisper(ROOT / ".cache" / "tiny-whisper")


@pytest.fixture
def settings(noise):
    return FasterWhisperSettings(models=str(noise), device="cpu", cpu_threads=1)


def engines(parent=None):
    """Give the engine processes below a process."""
    parent = parent or os.getpid()
    return [pid for pid, command in processes().items() if CHILD in command and parent_of(pid) == parent]


async def until(condition, seconds=10.0):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, f"not within {seconds} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - begin


def kinds(events):
    return [event.WhichOneof("event") for event in events]


def segments(events):
    return [event.segment for event in events if event.HasField("segment")]


def finished(events):
    [found] = [event.output_finished for event in events if event.HasField("output_finished")]
    return found


def phases(events):
    return [event.progress.phase for event in events if event.HasField("progress")]
