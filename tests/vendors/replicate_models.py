"""Models of the stand-in for Replicate, each with the OpenAPI schema that Cog writes for it.

Some have the names of well-known ones, whose inputs have these names, ranges and defaults; those of "acme" are named
for what befalls them. A schema's properties come in any order: `x-order` says which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

URI = {"type": "string", "format": "uri"}
ITERATOR = {"x-cog-array-type": "iterator"}
TOLD = {"type": "array", "items": {"type": "string"}, **ITERATOR, "x-cog-array-display": "concatenate"}
FILES = {"type": "array", "items": URI}


@dataclass(frozen=True, slots=True)
class FakeModel:
    """One model.

    Attributes:
        name: owner/name.
        inputs: properties of its input, without `x-order`, in order.
        required: those that have to be given.
        output: schema of the output.
        makes: what it makes: a suffix ("png"), "text" or "object".
        choices: enums by name, each a schema of its own that an input refers to, as Cog writes them.
        official: it runs at /models/owner/name/predictions, and its version is hidden.
        seconds: predict_time of a run.
    """

    name: str
    inputs: dict[str, Any]
    required: tuple[str, ...]
    output: dict[str, Any]
    makes: str
    choices: dict[str, dict[str, Any]] = field(default_factory=dict)
    official: bool = False
    seconds: float = 2.5

    @property
    def version(self) -> str:
        return sha256(self.name.encode()).hexdigest()

    def schema(self) -> dict[str, Any]:
        """Give its OpenAPI schema, the last input first."""
        numbered = [(name, {"title": name.title(), **rule, "x-order": n}) for n, (name, rule) in self._numbered()]
        known = {name: {"title": name, "description": "An enumeration.", **rule} for name, rule in self.choices.items()}
        shown = {
            "Input": {
                "type": "object",
                "title": "Input",
                "properties": dict(reversed(numbered)),
                "required": list(self.required),
            },
            "Output": {"title": "Output", **self.output},
            **known,
            "PredictionRequest": {"type": "object", "properties": {"input": {"$ref": "#/components/schemas/Input"}}},
        }
        return {"openapi": "3.0.2", "info": {"title": "Cog", "version": "0.1.0"}, "components": {"schemas": shown}}

    def _numbered(self) -> Any:
        return enumerate(self.inputs.items())


def _choice(name: str, **more: Any) -> dict[str, Any]:
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}], **more}


def _number(kind: str, least: float, most: float, **more: Any) -> dict[str, Any]:
    return {"type": kind, "minimum": least, "maximum": most, **more}


PROMPT = {"type": "string", "description": "Prompt for generated image"}
SEED = {"type": "integer", "description": "Random seed. Set for reproducible generation"}
FLUX = {
    "prompt": PROMPT,
    "aspect_ratio": _choice("aspect_ratio", default="1:1", description="Aspect ratio for the generated image"),
    "num_outputs": _number("integer", 1, 4, default=1, description="Number of outputs to generate"),
    "num_inference_steps": _number("integer", 1, 4, default=4, description="Number of denoising steps."),
    "seed": SEED,
    "output_format": _choice("output_format", default="webp", description="Format of the output images"),
    "output_quality": _number("integer", 0, 100, default=80, description="Quality when saving the output images"),
    "disable_safety_checker": {"type": "boolean", "default": False, "description": "Disable safety checker."},
    "go_fast": {"type": "boolean", "default": True, "description": "Run faster predictions."},
}
RATIOS = {"type": "string", "enum": ["1:1", "16:9", "21:9", "3:2", "2:3", "4:5", "5:4", "3:4", "4:3", "9:16", "9:21"]}
FLUX_CHOICES = {"aspect_ratio": RATIOS, "output_format": {"type": "string", "enum": ["webp", "jpg", "png"]}}
SCENARIOS = (
    "ok",
    "slow",
    "late-cancel",
    "fails",
    "fails-oddly",
    "nsfw",
    "sensitive",
    "aborted",
    "empty",
    "removed",
    "expired",
    "no-credit",
    "forbidden",
    "throttled",
    "throttled-text",
    "bad-version",
    "broken",
    "overloaded",
    "html-502",
    "page",
    "lost",
    "dropped",
    "unlisted",
    "twins",
)
"""What befalls a prediction of "acme/..."; see the stand-in."""

MODELS = [
    FakeModel(
        "black-forest-labs/flux-schnell",
        FLUX,
        ("prompt",),
        FILES,
        "webp",
        choices=FLUX_CHOICES,
        official=True,
    ),
    FakeModel(
        "black-forest-labs/flux-kontext-pro",
        {
            "prompt": {"type": "string", "description": "Text description of what you want to generate, or the edit"},
            "input_image": {**URI, "nullable": True, "description": "Image to use as reference. jpeg, png, gif, webp."},
            "aspect_ratio": _choice("aspect_ratio", default="match_input_image", description="Of the image."),
            "seed": SEED,
            "output_format": _choice("output_format", default="png", description="Output format."),
            "safety_tolerance": _number("integer", 0, 6, default=2, description="0 is most strict"),
        },
        ("prompt",),
        URI,
        "png",
        choices={
            "aspect_ratio": {"type": "string", "enum": ["match_input_image", "1:1", "16:9", "9:16"]},
            "output_format": {"type": "string", "enum": ["jpg", "png"]},
        },
        official=True,
    ),
    FakeModel(
        "nightmareai/real-esrgan",
        {
            "image": {**URI, "description": "Input image"},
            "scale": _number("number", 0, 10, default=4, description="Factor to scale image by"),
            "face_enhance": {"type": "boolean", "default": False, "description": "Run GFPGAN face enhancement"},
        },
        ("image",),
        URI,
        "png",
        seconds=1.8,
    ),
    FakeModel(
        "salesforce/blip",
        {
            "image": {**URI, "description": "Input image"},
            "task": _choice("task", default="image_captioning", description="Choose a task."),
            "question": {"type": "string", "description": "Type question for the input image"},
        },
        ("image",),
        {"type": "string"},
        "text",
        choices={"task": {"type": "string", "enum": ["image_captioning", "visual_question_answering"]}},
    ),
    FakeModel(
        "yorickvp/llava-13b",
        {
            "image": {**URI, "description": "Input image"},
            "prompt": {"type": "string", "description": "Prompt to use for text generation"},
            "top_p": _number("number", 0, 1, default=1, description="Samples from the likeliest tokens"),
            "temperature": {"type": "number", "minimum": 0, "default": 0.2, "description": "Randomness of outputs"},
            "max_tokens": {"type": "integer", "minimum": 0, "default": 1024, "description": "Most tokens to generate"},
        },
        ("image", "prompt"),
        TOLD,
        "text",
    ),
    FakeModel(
        "meta/meta-llama-3-8b-instruct",
        {
            "prompt": {"type": "string", "default": "", "description": "Prompt"},
            "system_prompt": {"type": "string", "default": "You are a helpful assistant", "description": "System"},
            "max_tokens": {"type": "integer", "default": 512, "description": "Most tokens to generate"},
            "temperature": {"type": "number", "default": 0.7, "description": "Randomness of outputs"},
            "top_p": {"type": "number", "default": 0.95, "description": "Nucleus"},
            "presence_penalty": {"type": "number", "default": 0, "description": "Presence penalty"},
        },
        (),
        TOLD,
        "text",
        official=True,
    ),
    FakeModel(
        "wan-video/wan-2.2-t2v-fast",
        {
            "prompt": {"type": "string", "description": "Prompt for video generation"},
            "num_frames": _number("integer", 81, 121, default=81, description="Number of video frames."),
            "resolution": _choice("resolution", default="480p", description="Resolution of video."),
            "aspect_ratio": _choice("aspect_ratio", default="16:9", description="Aspect ratio of video."),
            "frames_per_second": _number("integer", 5, 30, default=16, description="Frames per second."),
            "seed": {**SEED, "nullable": True},
        },
        ("prompt",),
        URI,
        "mp4",
        choices={
            "resolution": {"type": "string", "enum": ["480p", "720p"]},
            "aspect_ratio": {"type": "string", "enum": ["16:9", "9:16"]},
        },
        official=True,
    ),
    FakeModel(
        "kwaivgi/kling-v2.1",
        {
            "prompt": {"type": "string", "description": "Text prompt for video generation"},
            "negative_prompt": {"type": "string", "default": "", "description": "Things you do not want to see"},
            "start_image": {**URI, "description": "First frame of the video"},
            "end_image": {**URI, "description": "Last frame of the video (pro mode is required)"},
            "mode": _choice("mode", default="standard", description="Standard is 720p, pro is 1080p."),
            "duration": _choice("duration", default=5, description="Duration of the video in seconds"),
        },
        ("prompt", "start_image"),
        URI,
        "mp4",
        choices={
            "mode": {"type": "string", "enum": ["standard", "pro"]},
            "duration": {"type": "integer", "enum": [5, 10]},
        },
        official=True,
    ),
    FakeModel(
        "bytedance/latentsync",
        {
            "video": {**URI, "description": "Input video"},
            "audio": {**URI, "description": "Input audio to sync to"},
            "guidance_scale": _number("number", 0, 10, default=1, description="Guidance scale"),
            "seed": {"type": "integer", "default": 0, "description": "Set to 0 for a random seed"},
        },
        ("video", "audio"),
        URI,
        "mp4",
    ),
    FakeModel(
        "cdingram/face-swap",
        {
            "swap_image": {**URI, "description": "Swap image: the face to put in"},
            "input_image": {**URI, "description": "Target image"},
        },
        ("swap_image", "input_image"),
        URI,
        "jpg",
    ),
    FakeModel(
        "arabyai-replicate/roop_face_swap",
        {
            "swap_image": {**URI, "description": "Image of the face"},
            "target_video": {**URI, "description": "Video in which the face is put"},
        },
        ("swap_image", "target_video"),
        URI,
        "mp4",
    ),
    FakeModel(
        "topazlabs/video-upscale",
        {
            "video": {**URI, "description": "Video file to upscale"},
            "target_resolution": _choice("target_resolution", default="1080p", description="Target resolution"),
            "target_fps": _number("integer", 15, 120, default=30, description="Target FPS"),
        },
        ("video",),
        URI,
        "mp4",
        choices={"target_resolution": {"type": "string", "enum": ["720p", "1080p", "4k"]}},
        official=True,
    ),
    FakeModel(
        "jaaari/kokoro-82m",
        {
            "text": {"type": "string", "description": "Text input (long text is automatically split)"},
            "voice": _choice("voice", default="af_bella", description="Voice to use for synthesis"),
            "speed": _number("number", 0.1, 5, default=1, description="Speech speed multiplier"),
        },
        ("text",),
        URI,
        "speech",
        choices={"voice": {"type": "string", "enum": ["af_bella", "af_nicole", "am_adam", "bm_george"]}},
    ),
    FakeModel(
        "meta/musicgen",
        {
            "model_version": _choice("model_version", default="stereo-melody-large", description="Model to use"),
            "prompt": {"type": "string", "description": "A description of the music you want to generate."},
            "input_audio": {**URI, "description": "An audio file that will influence the generated music."},
            "duration": {"type": "integer", "default": 8, "description": "Duration of the generated audio in seconds."},
            "continuation": {"type": "boolean", "default": False, "description": "Continue `input_audio`."},
            "output_format": _choice("output_format", default="wav", description="Output format."),
            "seed": {"type": "integer", "description": "Seed for random number generator."},
        },
        (),
        URI,
        "wav",
        choices={
            "model_version": {"type": "string", "enum": ["stereo-melody-large", "stereo-large", "melody-large"]},
            "output_format": {"type": "string", "enum": ["wav", "mp3"]},
        },
    ),
    FakeModel(
        "openai/whisper",
        {
            "audio": {**URI, "description": "Audio file"},
            "language": _choice("language", default="auto", description="Language spoken in the audio"),
            "translate": {"type": "boolean", "default": False, "description": "Translate the text to English"},
            "temperature": {"type": "number", "default": 0, "description": "Temperature to use for sampling"},
        },
        ("audio",),
        {
            "type": "object",
            "properties": {
                "segments": {},
                "transcription": {"type": "string"},
                "detected_language": {"type": "string"},
                "srt_file": URI,
            },
        },
        "object",
        choices={"language": {"type": "string", "enum": ["auto", "en", "de"]}},
    ),
    *(
        FakeModel(f"acme/{name}", FLUX, ("prompt",), FILES, "png", choices=FLUX_CHOICES, official=name == "ok")
        for name in SCENARIOS
    ),
    *(
        FakeModel(f"acme/says-{name}", {"prompt": {"type": "string"}}, ("prompt",), TOLD, "text")
        for name in ("well", "cut", "error", "then-fails")
    ),
]
