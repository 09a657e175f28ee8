"""faster-whisper over one window of sound. Blocks; `provider_servers.faster_whisper.child` runs it in a process."""

from __future__ import annotations

import importlib
import math
import struct
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LENGTH = struct.Struct("<I")
"""What goes before what is asked, on its way to a child."""
TIDY_SECONDS = 1.0
"""How long a child that is to end may take to remove what it has begun to fetch."""

_FULL_SCALE = 32768.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What an engine is loaded with: see the settings."""

    source: str
    cache_dir: str = ""
    device: str = "auto"
    compute_type: str = "auto"
    cpu_threads: int = 0


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of a window; an empty language is found out."""

    language: str = ""
    translate: bool = False
    word_timestamps: bool = False
    prompt: str = ""
    vad_filter: bool = False
    detect_only: bool = False

    def as_json(self) -> dict[str, Any]:
        """Give it as what JSON can carry."""
        return asdict(self)


def load(folder: Path, plan: Plan) -> Any:
    """Load a model."""
    engine: Any = importlib.import_module("faster_whisper")
    return engine.WhisperModel(
        str(folder),
        device=plan.device,
        compute_type=plan.compute_type,
        cpu_threads=plan.cpu_threads,
        local_files_only=True,
    )


def hear(model: Any, sound: bytes | Path, asking: Asking) -> Iterator[dict[str, Any]]:
    """Transcribe 16-bit samples at 16 kHz: first the language, then the segments as the engine finds them."""
    samples = _samples(sound)
    if asking.detect_only:
        language, probability, _ = model.detect_language(samples, vad_filter=asking.vad_filter)
        yield {"language": language, "probability": probability}
        return
    segments, info = model.transcribe(
        samples,
        language=asking.language or None,
        task="translate" if asking.translate else "transcribe",
        initial_prompt=asking.prompt or None,
        word_timestamps=asking.word_timestamps,
        vad_filter=asking.vad_filter,
    )
    yield {"language": info.language, "probability": info.language_probability}
    for one in segments:
        words = [[*map(float, (word.start, word.end, word.probability)), word.word.strip()] for word in one.words or ()]
        yield {"segment": [float(one.start), float(one.end), _confidence(one), one.text.strip(), words]}


def _samples(sound: bytes | Path) -> Any:
    numpy: Any = importlib.import_module("numpy")
    whole = numpy.frombuffer(sound, dtype="<i2") if isinstance(sound, bytes) else numpy.fromfile(sound, dtype="<i2")
    return whole.astype(numpy.float32) / _FULL_SCALE


def _confidence(segment: Any) -> float:
    """Give how sure the model is, 0 to 1: the mean likelihood of its tokens, if somebody speaks at all."""
    likelihood = math.exp(min(0.0, segment.avg_logprob)) * (1.0 - segment.no_speech_prob)
    return min(1.0, max(0.0, likelihood))
