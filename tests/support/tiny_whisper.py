"""A Whisper of random weights for the real engine: its words are noise, and it hears nothing."""

from __future__ import annotations

import fcntl
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LAYERS, HEADS, WIDTH, MELS = 1, 2, 32, 80
VOCABULARY, TEXT_TOKENS = 51_865, 50_257
SEED, SURENESS, END_BIAS = 2, 2.0, 30.0
NO_SPEECH = 50_362
CONTEXT, POSITIONS = 448, 1500
FIRST_LANGUAGE, LANGUAGES = TEXT_TOKENS + 2, 99


def tiny_whisper(folder: Path) -> Path:
    """Make the model in `folder`, once; 14 MB."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "tokenizer.json").exists():
            folder.mkdir(exist_ok=True)
            _write(folder)
    return folder


def _write(folder: Path) -> None:
    from tokenizers import AddedToken, Tokenizer, models

    words = _vocabulary()
    spec = _spec()
    spec.register_vocabulary(words)
    spec.validate()
    spec.optimize()
    spec.save(str(folder))
    known = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="noise0"))
    known.add_special_tokens([AddedToken(word, special=True) for word in words if word.startswith("<|")])
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": MELS}))
    known.save(str(folder / "tokenizer.json"))  # last: it says that the rest is there


def _vocabulary() -> list[str]:
    from faster_whisper.tokenizer import _LANGUAGE_CODES

    return [
        *(f"noise{number}" for number in range(TEXT_TOKENS - 1)),
        "",  # what the engine tells vocabularies of many languages by
        "<|endoftext|>",
        "<|startoftranscript|>",
        *(f"<|{code}|>" for code in _LANGUAGE_CODES[:LANGUAGES]),
        *(
            f"<|{word}|>"
            for word in ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")
        ),
        *(f"<|{step * 0.02:.2f}|>" for step in range(1501)),
    ]


class _Chance:
    """Random weights, the same every time."""

    def __init__(self) -> None:
        import numpy as np

        self._numpy = np
        self._generator = np.random.default_rng(SEED)

    def weights(self, *shape: int, spread: float = 0.05) -> Any:
        return (self._generator.standard_normal(shape) * spread).astype(self._numpy.float32)

    def norm(self, spec: Any) -> None:
        spec.gamma = self._numpy.ones(WIDTH, self._numpy.float32)
        spec.beta = self._numpy.zeros(WIDTH, self._numpy.float32)

    def linear(self, spec: Any, rows: int, columns: int = WIDTH) -> None:
        spec.weight = self.weights(rows, columns)
        spec.bias = self._numpy.zeros(rows, self._numpy.float32)

    def attention(self, spec: Any, *parts: int) -> None:
        self.norm(spec.layer_norm)
        for linear, width in zip(spec.linear, parts, strict=True):
            self.linear(linear, width * WIDTH)

    def feed_forward(self, spec: Any) -> None:
        self.norm(spec.layer_norm)
        self.linear(spec.linear_0, 4 * WIDTH)
        self.linear(spec.linear_1, WIDTH, 4 * WIDTH)


def _spec() -> Any:
    from ctranslate2.specs import whisper_spec

    made, chance = whisper_spec.WhisperSpec(LAYERS, HEADS, LAYERS, HEADS), _Chance()
    encoder, decoder = made.encoder, made.decoder
    for convolution, inputs in ((encoder.conv1, MELS), (encoder.conv2, WIDTH)):
        convolution.weight = chance.weights(WIDTH, inputs, 3)
        convolution.bias = chance.weights(WIDTH)
    encoder.position_encodings.encodings = chance.weights(POSITIONS, WIDTH)
    decoder.position_encodings.encodings = chance.weights(CONTEXT, WIDTH)
    decoder.embeddings.weight = chance.weights(VOCABULARY, WIDTH)
    # Sure of its words, and soon done: the engine takes a text that is likely and short at its first try.
    decoder.projection.weight = chance.weights(VOCABULARY, WIDTH, spread=SURENESS)
    decoder.projection.bias = chance.weights(VOCABULARY, spread=0)
    decoder.projection.bias[TEXT_TOKENS] = END_BIAS
    decoder.projection.bias[NO_SPEECH] = -100  # every sound is speech to it
    decoder.scale_embeddings = False
    for part in (encoder, decoder):
        chance.norm(part.layer_norm)
        for layer in part.layer:
            chance.attention(layer.self_attention, 3, 1)
            chance.feed_forward(layer.ffn)
    for layer in decoder.layer:
        chance.attention(layer.attention, 1, 2, 1)
    made.config.suppress_ids = []
    made.config.suppress_ids_begin = [TEXT_TOKENS]
    made.config.lang_ids = list(range(FIRST_LANGUAGE, FIRST_LANGUAGE + LANGUAGES))
    made.config.alignment_heads = [[0, 0]]
    return made
