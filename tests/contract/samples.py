"""A call that each provider answers well. A provider without one here fails the suite: add it with the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider_servers.runtime.testing import Sample
from tests.vendors.running import STAND_INS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.media import MediaShelf

CHAT = Sample(
    {"text": "Tell me of the harbour."}, {"temperature": 0.5}, "ok", bad_options={"temperature": 3, "max_tokens": 0}
)

_FLUX = "black-forest-labs/flux-schnell"

SAMPLES: dict[str, Callable[[MediaShelf], list[Sample]]] = {
    "pocketsphinx": lambda media: [
        Sample({"audio": media.speech_wav()}, bad_options={"language": "fr"}),
        Sample({"audio": media.talk_mp4()}),
    ],
    "flite": lambda _: [
        Sample({"text": "Hello there. How are you?"}, bad_options={"speed": 9, "voice": "nobody", "language": "fr"}),
    ],
    "ffmpeg": lambda media: [
        Sample({"video": media.talk_mp4()}, model="extract-audio", bad_options={"start": -1, "duration": 0}),
        Sample({"audio": media.speech_wav()}, {"format": {"container": "flac"}}, "convert-audio"),
        Sample({"video": media.talk_mp4()}, {"count": 2}, "extract-images"),
        Sample({"video": media.talk_mp4(), "overlays": (media.picture_png(), media.silent_mp4())}, model="compose"),
    ],
    "whisper": lambda media: [
        Sample({"audio": media.speech_wav()}, bad_options={"language": "klingon", "window_seconds": 3}),
    ],
    "chatterbox": lambda _: [
        Sample(
            {"text": "Hello there. How are you?"},
            bad_options={"speed": 9, "temperature": 0, "seed": 2**32, "voice": "../x"},
        ),
    ],
    "ollama": lambda _: [
        Sample({"text": "Tell me of the harbour."}, {"seed": 1}, bad_options={"temperature": 3, "max_tokens": 0}),
    ],
    "faster-whisper": lambda media: [
        Sample({"audio": media.speech_wav()}, {"language": "en"}, bad_options={"output_format": "docx"}),
    ],
    **{vendor: lambda _: [CHAT] for vendor in STAND_INS},
    "openai": lambda media: [
        CHAT,
        Sample({"text": "Hello there."}, {"speed": 1.5}, "tts-1"),
        Sample({"audio": media.speech_wav()}, {"word_timestamps": True}, "whisper-1"),
        Sample({"text": "a red kite"}, {"count": 2}, "gpt-image-2"),
        Sample({"image": media.picture_png()}, {"prompt": "make it blue"}, "gpt-image-2/edit"),
    ],
    "elevenlabs": lambda media: [
        Sample({"text": "Hello there."}, {"speed": 1.1}, "eleven_flash_v2_5", bad_options={"speed": 9, "stability": 2}),
        Sample({"text": "Hello there.", "voice": media.speech_wav()}, model="eleven_flash_v2_5"),
        Sample({"audio": media.speech_wav()}, {"word_timestamps": True}, "scribe_v2"),
        Sample({"text": "rain"}, {"duration": 1}, "eleven_text_to_sound_v2", bad_options={"duration": 99}),
    ],
    "fal": lambda media: [
        Sample(
            {"text": "a red kite"}, {"steps": 2}, "fal-ai/flux/dev", bad_options={"steps": 51, "aspect_ratio": "7:1"}
        ),
        Sample({"image": media.picture_png()}, {"prompt": "it moves", "video_length": 2}, "framepack"),
        Sample({"video": media.talk_mp4(), "face": media.picture_png()}, model="face-swap"),
    ],
    "creatify": lambda media: [
        Sample({"text": "Hello there."}, {"avatar": "Anna"}, "lipsync", bad_options={"aspect_ratio": "4:3"}),
        Sample({"text": "Hello there."}, {"voice": "Jonas"}, "text-to-speech"),
        Sample({"image": media.picture_png(), "speech": media.speech_wav()}, model="aurora-v1"),
    ],
    "replicate": lambda media: [
        Sample({"text": "a red kite"}, {"steps": 2}, _FLUX, bad_options={"steps": 9, "aspect_ratio": "7:1"}),
        Sample({"image": media.picture_png()}, {"prompt": "it moves"}, "kwaivgi/kling-v2.1"),
        Sample({"text": "Tell me of the harbour."}, {"max_tokens": 9}, "meta/meta-llama-3-8b-instruct"),
    ],
}

# Calls whose inputs fit into one message.
SMALL: dict[str, Callable[[MediaShelf], Sample]] = {
    "pocketsphinx": lambda media: Sample({"audio": _opus(media)}),
    "flite": lambda media: SAMPLES["flite"](media)[0],
    "ffmpeg": lambda media: Sample({"audio": _opus(media)}, {"format": {"container": "wav"}}, "convert-audio"),
    "whisper": lambda media: Sample({"audio": _opus(media)}),
    "chatterbox": lambda media: SAMPLES["chatterbox"](media)[0],
    "ollama": lambda media: SAMPLES["ollama"](media)[0],
    "faster-whisper": lambda media: Sample({"audio": _opus(media)}, {"language": "en"}),
    **{vendor: lambda _: CHAT for vendor in STAND_INS},
    "elevenlabs": lambda media: SAMPLES["elevenlabs"](media)[0],
    "fal": lambda media: SAMPLES["fal"](media)[0],
    "replicate": lambda media: SAMPLES["replicate"](media)[0],
    "creatify": lambda media: SAMPLES["creatify"](media)[0],
}


def _opus(media: MediaShelf) -> Path:
    """Give some seconds of speech in a few kilobytes."""
    return media.ffmpeg("speech.opus", "-i", str(media.speech_wav()), "-c:a", "libopus", "-b:a", "32k")
