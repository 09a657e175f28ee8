"""The engine behind the API: flite. It imitates a voice by its pitch, which proves that the sample came."""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

from tests.backends.chatterbox.pitch import pitch_of

SAMPLE_RATE = 24_000
SHORTEST_TURBO_SECONDS = 5.0

# The real server has 28 voices; these are flite's, each with a pitch of its own.
VOICES = {
    "Abigail.wav": ("slt", 225),
    "Adrian.wav": ("awb", 105),
    "Emily.wav": ("slt", 180),
    "Michael.wav": ("awb", 140),
}
_LOWEST, _HIGHEST = 70, 330


class EngineError(Exception):
    """The engine could not speak."""


def speak(text: str, voice: tuple[str, int], speed: float) -> np.ndarray:
    """Speak a text, and let nothing else happen meanwhile; give 16-bit samples at SAMPLE_RATE."""
    time.sleep(float(os.environ.get("TEST_SENTENCE_SECONDS", "0")))
    name, pitch = voice
    manner = ("--setf", f"int_f0_target_mean={pitch}", "--setf", f"duration_stretch={1 / speed:.4f}")
    with tempfile.TemporaryDirectory() as folder:
        source, sound = Path(folder, "text"), Path(folder, "sound.wav")
        source.write_text(text.encode("ascii", "ignore").decode())
        subprocess.run(("flite", "-voice", name, *manner, "-f", str(source), "-o", str(sound)), check=True)
        samples, rate = _read(sound.read_bytes())
    return _resampled(samples, rate)


def like(reference: Path, kind: str) -> tuple[str, int]:
    """Give the voice that is nearest to a sample. Turbo takes only samples over 5 s, as the real one."""
    samples, rate = _read(reference.read_bytes())
    if kind == "turbo" and len(samples) / rate <= SHORTEST_TURBO_SECONDS:
        raise EngineError("Audio prompt must be longer than 5 seconds!")
    pitch = pitch_of(samples, rate)
    if pitch is None:
        raise EngineError("nobody speaks in the sample")
    return "slt", int(min(max(pitch, _LOWEST), _HIGHEST))


def seconds_of(file: Path) -> float | None:
    """Give how long a WAV plays; None when it cannot be read."""
    try:
        samples, rate = _read(file.read_bytes())
    except (EOFError, wave.Error):
        return None
    return len(samples) / rate


def as_wav(samples: np.ndarray) -> bytes:
    """Give a whole WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLE_RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def _read(data: bytes) -> tuple[np.ndarray, int]:
    with wave.open(io.BytesIO(data)) as reader:
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
        return samples[:: reader.getnchannels()], reader.getframerate()


def _resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    places = np.arange(0, len(samples) - 1, rate / SAMPLE_RATE)
    return np.interp(places, np.arange(len(samples)), samples)
