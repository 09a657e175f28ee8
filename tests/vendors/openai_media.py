"""OpenAI's pictures, speech and transcripts, as the stand-in for OpenAI serves them. The model says what happens.

"gpt-image-2", "gpt-4o-mini-tts", "whisper-1" and "gpt-transcribe" work; "gpt-image-cut", "tts-quota", "whisper-413" and
the like do what their last word says. `paid` is the ledger.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from automarket.assets.formats import detect
from tests.support.media import SENTENCE
from tests.vendors.forms import read_form
from tests.vendors.http import Cut, Pause, Reply, Request, answer, page
from tests.vendors.made import SHELF

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vendors.forms import SentForm
    from tests.vendors.http import Step

MAX_UPLOAD_BYTES = 26_214_400
VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "cedar")
ENDINGS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
WORKING = ("gpt-image-1", "gpt-image-1.5", "gpt-image-2", "tts-1", "gpt-4o-mini-tts", "whisper-1", "gpt-transcribe")
DIARIZES = "gpt-4o-transcribe-diarize"
REQUEST_ID = "req_openai_media"
TOKENS = {"input_tokens": 14, "output_tokens": 272, "total_tokens": 286}
HEARD_TOKENS = {"type": "tokens", "input_tokens": 55, "output_tokens": 20, "total_tokens": 75}
REWRITTEN = "A red kite, high up."


def fault(status: int, said: str, code: str | None, kind: str = "invalid_request_error", param: str | None = None):
    return status, {"error": {"message": said, "type": kind, "param": param, "code": code}}


IMAGE_ERROR = "image_generation_user_error"
REFUSED: dict[str, tuple[int, Any]] = {
    "moderated": fault(400, "Your request was rejected by the safety system.", "moderation_blocked", IMAGE_ERROR),
    "parameter": fault(400, "Unknown parameter: 'quality'.", "unknown_parameter", param="quality"),
    "hard": fault(400, "Billing hard limit has been reached.", "billing_hard_limit_reached"),
    "key": fault(401, "Incorrect API key provided: sk-***.", "invalid_api_key"),
    "unverified": fault(403, "Your organization must be verified to use the model.", None),
    "none": fault(404, "The model does not exist or you do not have access to it.", "model_not_found"),
    "large": fault(
        413, "413: Maximum content size limit (26214400) exceeded (26300000 bytes read)", None, "server_error"
    ),
    "rate": fault(429, "Rate limit reached for images.", "rate_limit_exceeded", "requests"),
    "quota": fault(429, "You exceeded your current quota.", "insufficient_quota", "insufficient_quota"),
    "failed": fault(500, "The server had an error.", None, "server_error"),
    "overloaded": fault(503, "The engine is overloaded.", "server_is_overloaded", "service_unavailable_error"),
}


class OpenAIMedia:
    """Serves the four endpoints."""

    def __init__(self) -> None:
        self.paid: list[tuple[str, str]] = []
        self.forms: list[SentForm] = []

    def handle(self, request: Request) -> Reply | None:
        """Answer a request for media; None for one of another kind."""
        work: dict[str, Callable[[Request], Reply]] = {
            "/images/generations": self._paint,
            "/images/edits": self._edit,
            "/audio/speech": self._speak,
            "/audio/transcriptions": self._hear,
            "/audio/translations": self._hear,
        }
        found = next((one for path, one in work.items() if request.path.endswith(path)), None)
        return None if found is None else found(request)

    def _scenario(self, model: str, made: bytes, kind: str) -> Reply | None:
        name = model.removesuffix("-tts").rpartition("-")[2] if model not in (*WORKING, DIARIZES) else ""
        if name in REFUSED:
            status, body = REFUSED[name]
            more = {"retry_after": "7"} if name == "rate" else {}
            return answer(body, status, x_request_id=REQUEST_ID, **more)
        self.paid.append((model, kind))
        headers = {"content-type": kind, "x-request-id": REQUEST_ID}
        half = made[: max(1, len(made) // 2)]
        replies: dict[str, Callable[[], Reply]] = {
            "cut": lambda: Reply(200, steps=[half, Cut], headers=headers),
            "nothing": lambda: Reply(200, steps=[], headers=headers),
            "slow": lambda: Reply(200, steps=[half, Pause(30), b""], headers=headers),
            "stalled": lambda: Reply(200, steps=[Pause(30)], headers=headers),
            "page": lambda: page(200),
            "html": lambda: page(502),
            "never": lambda: Reply(never=True),
            "garbage": lambda: Reply(200, steps=[b'{"data":[{"b64_json":"!!!!"}]}'], headers=headers),
        }
        return replies[name]() if name in replies else None

    # --- pictures ---

    def _paint(self, request: Request) -> Reply:
        body = request.json
        if body["model"] in ("dall-e-2", "dall-e-3"):
            said = f"The model '{body['model']}' does not exist."
            return answer(fault(400, said, "invalid_value", IMAGE_ERROR, "model")[1], 400)
        return self._pictures(body, "generation")

    def _edit(self, request: Request) -> Reply:
        form = read_form(request)
        self.forms.append(form)
        kinds = [detect(one.content) for one in form.files]
        if not form.get("prompt") or not kinds or not all(one and one.media_type.startswith("image/") for one in kinds):
            return answer(fault(400, "Invalid image file or prompt.", "invalid_image_file")[1], 400)
        return self._pictures(dict(form.fields), "edit")

    def _pictures(self, body: dict[str, Any], kind: str) -> Reply:
        model, count = body["model"], int(body.get("n", 1))
        size, form = body.get("size", "1024x1024"), body.get("output_format", "png")
        if "response_format" in body:
            return answer(fault(400, "Unknown parameter: 'response_format'.", "unknown_parameter")[1], 400)
        shown = [base64.b64encode(picture(size, form, number)).decode() for number in range(count)]
        if model.endswith("-huge"):
            shown = ["A" * (4 * 23_000_000)]
        data = [{"b64_json": one} for one in shown[: 1 if model.endswith("-fewer") else count]]
        if model.endswith("-rewritten"):
            data[0]["revised_prompt"] = REWRITTEN
        if model.endswith("-urls"):
            data = [{"b64_json": None, "url": "https://example.org/1.png"}]
        facts = {"created": 1780014415, "background": "opaque", "output_format": form, "quality": "low", "size": size}
        details = {"input_tokens_details": {"image_tokens": 0, "text_tokens": 14}}
        whole = (
            json.dumps({**facts, "data": data, "usage": {**TOKENS, **details}}, indent=2).replace("/", "\\/").encode()
        )
        reply = self._scenario(model, whole, "application/json")
        return reply or Reply(
            200, steps=[whole], headers={"content-type": "application/json", "x-request-id": REQUEST_ID}
        )

    # --- speech ---

    def _speak(self, request: Request) -> Reply:
        body = request.json
        voice = body["voice"]
        known = voice in VOICES if isinstance(voice, str) else str(voice.get("id", "")).startswith("voice_")
        if not known:
            return answer(fault(400, f"Invalid voice: {voice}", "invalid_value", param="voice")[1], 400)
        if len(body["input"]) > 4096:
            return answer(
                fault(400, "String too long: at most 4096.", "string_above_max_length", param="input")[1], 400
            )
        form = body.get("response_format", "mp3")
        sound = spoken(body["input"], form)
        kind = {"mp3": "audio/mpeg", "pcm": "audio/pcm"}.get(form, f"audio/{form}")
        reply = self._scenario(body["model"], sound, kind)
        return reply or Reply(200, steps=_cut(sound), headers={"content-type": kind, "x-request-id": REQUEST_ID})

    # --- transcripts ---

    def _hear(self, request: Request) -> Reply:
        form = read_form(request)
        self.forms.append(form)
        model, (sent,) = form.get("model"), form.files
        if len(sent.content) + 1000 > MAX_UPLOAD_BYTES:
            return answer(REFUSED["large"][1], 413)
        if sent.name.rpartition(".")[2] not in ENDINGS or detect(sent.content) is None:
            said = f"Invalid file format. Supported formats: {list(ENDINGS)}"
            return answer(fault(400, said, None)[1], 400)
        whisper = model.startswith("whisper")
        if not whisper and form.get("response_format") not in ("", "json", "diarized_json"):
            return answer(fault(400, "response_format is not supported", "unsupported_value")[1], 400)
        if form.get("stream") == "true" and not whisper:
            return self._stream(form)
        whole = json.dumps(heard(form, translated=request.path.endswith("translations"))).encode()
        reply = self._scenario(model, whole, "application/json")
        return reply or Reply(200, whole, headers={"content-type": "application/json", "x-request-id": REQUEST_ID})

    def _stream(self, form: SentForm) -> Reply:
        model = form.get("model")
        words = [f"{' ' * (n > 0)}{word}" for n, word in enumerate(SENTENCE.split())]
        events: list[Any] = [{"type": "transcript.text.delta", "delta": word} for word in words]
        if form.get("response_format") == "diarized_json":
            halves = (" ".join(SENTENCE.split()[:9]), " ".join(SENTENCE.split()[9:]))
            events += [
                {"type": "transcript.text.segment", "id": f"s{n}", "start": n * 2.5, "end": n * 2.5 + 2.4} | told
                for n, told in enumerate({"text": f" {half}", "speaker": "AB"[n]} for n, half in enumerate(halves))
            ]
        done = {"type": "transcript.text.done", "text": SENTENCE, "usage": HEARD_TOKENS}
        ends: dict[str, list[Any]] = {
            "early": [],
            "fault": [{"error": REFUSED["failed"][1]["error"]}],
            "odd": [b"data: {not json}\n\n"],
        }
        last = ends.get(model.rpartition("-")[2], [done])
        steps: list[Step] = [one if isinstance(one, bytes) else _sse(one) for one in (*events, *last)]
        if model.endswith("-paused"):
            steps = [steps[0], Pause(0.5), *steps[1:]]
        if model.endswith("-waits"):
            steps = [steps[0], Pause(30), *steps[1:]]
        whole = b"".join(one for one in steps if isinstance(one, bytes))
        reply = self._scenario(model, whole, "text/event-stream; charset=utf-8")
        return reply or Reply(
            200, steps=steps, headers={"content-type": "text/event-stream", "x-request-id": REQUEST_ID}
        )


def heard(form: SentForm, *, translated: bool = False) -> dict[str, Any]:
    """Give what Whisper hears: SENTENCE in two segments."""
    words = SENTENCE.split()
    times = [(round(n * 0.25, 2), round(n * 0.25 + 0.2, 2)) for n in range(len(words))]
    halves = ((0, 9), (9, len(words)))
    rest = {"tokens": [1], "temperature": 0.0, "avg_logprob": -0.3, "compression_ratio": 0.9, "no_speech_prob": 0.01}
    segments = [
        {"id": n, "seek": 0, "start": times[a][0], "end": times[b - 1][1], "text": " " + " ".join(words[a:b]), **rest}
        for n, (a, b) in enumerate(halves)
    ]
    facts = {"task": "translate" if translated else "transcribe", "language": "english", "duration": 5.5}
    told = {**facts, "text": SENTENCE, "segments": segments, "usage": {"type": "duration", "seconds": 6}}
    if "word" in form.all("timestamp_granularities[]"):
        told["words"] = [{"word": one, "start": a, "end": b} for one, (a, b) in zip(words, times, strict=True)]
    return told


@cache
def picture(size: str, form: str, number: int = 0) -> bytes:
    """Give a picture of a size, another one for each number."""
    size = "1024x1024" if size == "auto" else size
    source = ("-f", "lavfi", "-i", f"testsrc=size={size}:duration={number + 1}", "-ss", str(number), "-frames:v", "1")
    ending = {"jpeg": "jpg"}.get(form, form)
    return SHELF.ffmpeg(f"openai-{size}-{number}.{ending}", *source).read_bytes()


@cache
def spoken(text: str, form: str) -> bytes:
    """Give a text as flite speaks it, in one of the vendor's forms, at 24 kHz."""
    name = f"openai-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    wav = SHELF._make(f"{name}.wav", ["flite", "-voice", "slt", "-t", text, "-o", "{out}"])
    ending = {"pcm": "raw", "opus": "ogg"}.get(form, form)
    codec = {"pcm": ("-f", "s16le"), "opus": ("-c:a", "libopus")}.get(form, ())
    return SHELF.ffmpeg(f"{name}-24k.{ending}", "-i", str(wav), "-ar", "24000", "-ac", "1", *codec).read_bytes()


def _cut(sound: bytes) -> Sequence[Step]:
    return [sound[begin : begin + 1777] for begin in range(0, len(sound), 1777)]


def _sse(value: Any) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
