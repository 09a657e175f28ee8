"""Models of Replicate that are offered without being asked for, and what its hardware costs.

What a model takes is read from its schema; this table says what a schema does not: what it is for, where its name and
schema leave that open, and by which name other providers have it, too.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """One model: owner/name, what it does, and its name at every provider where it has one."""

    slug: str
    capability: str
    canonical_id: str = ""


KNOWN = (
    Known("black-forest-labs/flux-schnell", "text-to-image", "black-forest-labs/flux-schnell"),
    Known("black-forest-labs/flux-dev", "text-to-image", "black-forest-labs/flux-dev"),
    Known("black-forest-labs/flux-1.1-pro", "text-to-image", "black-forest-labs/flux-1.1-pro"),
    Known("black-forest-labs/flux-kontext-pro", "image-to-image", "black-forest-labs/flux-kontext-pro"),
    Known("nightmareai/real-esrgan", "image-upscale"),
    Known("salesforce/blip", "image-to-text"),
    Known("yorickvp/llava-13b", "image-to-text"),
    Known("wan-video/wan-2.2-t2v-fast", "text-to-video"),
    Known("wan-video/wan-2.2-i2v-fast", "image-to-video"),
    Known("kwaivgi/kling-v2.1", "image-to-video"),
    Known("bytedance/latentsync", "lip-sync", "bytedance/latentsync"),
    Known("arabyai-replicate/roop_face_swap", "face-swap"),
    Known("topazlabs/video-upscale", "video-upscale"),
    Known("jaaari/kokoro-82m", "text-to-speech", "hexgrad/kokoro-82m"),
    Known("meta/musicgen", "text-to-music", "meta/musicgen"),
    Known("openai/whisper", "speech-to-text", "openai/whisper-large-v3"),
    Known("meta/meta-llama-3-8b-instruct", "text-to-text"),
)
BY_SLUG = {one.slug: one for one in KNOWN}

HARDWARE = {
    "cpu": 0.0001,
    "gpu-t4": 0.000225,
    "gpu-l40s": 0.000975,
    "gpu-a100-large": 0.0014,
    "gpu-h100": 0.001525,
}
"""US dollars for a second of a run, by the vendor's names of its hardware: https://replicate.com/pricing, 2026."""
