"""A stand-in for ElevenLabs: speech, voices, transcripts and sound effects. The model says what happens.

A model of the list, one that is called "eleven..." or "scribe...", works; "cut" breaks off, "quota" refuses. What is
spoken is spoken by flite. `paid` is the ledger: what was asked for that costs credits, once for each request.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from automarket.assets.formats import detect
from tests.support.media import SENTENCE
from tests.vendors.forms import read_form
from tests.vendors.http import Cut, Pause, Reply, Request, answer, page
from tests.vendors.made import SHELF
from tests.vendors.said import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.vendors.http import Step

RACHEL, GEORGE = "21m00Tcm4TlvDq8ikWAM", "JBFqnCBsd6RMkjVDRZzb"
LONGEST = 10_000
REQUEST_ID = "8fa2c1d07e5b"
HEARD_SECONDS = 5.5
PCM_RATE = re.compile(r"pcm_([0-9]+)")


def old(status: str, said: str) -> dict[str, Any]:
    return {"detail": {"status": status, "message": said}}


def new(kind: str, code: str, said: str) -> dict[str, Any]:
    facts = {"type": kind, "code": code, "message": said, "status": code, "request_id": REQUEST_ID, "param": None}
    return {"detail": facts}


QUOTA = "This request exceeds your quota of 10000. You have 0 credits remaining, while 91 credits are required."
FREE = "Free users cannot use library voices via the API. Please upgrade your subscription to use this voice."
REFUSED: dict[str, tuple[int, Any]] = {
    "too-long": (400, old("max_character_limit_exceeded", "This request has too many characters.")),
    "bad-audio": (400, old("invalid_audio", "The audio is too short or broken.")),
    "old-voice": (400, old("voice_not_found", "A voice for the voice_id x was not found.")),
    "flagged": (400, old("content_against_policy", "The text breaks our usage policy.")),
    "key-old": (401, old("invalid_api_key", "Invalid API key")),
    "key-new": (401, new("authentication_error", "invalid_api_key", "Invalid API key")),
    "permission": (401, old("missing_permissions", "The API key lacks the permission text_to_speech.")),
    "quota": (401, old("quota_exceeded", QUOTA)),
    "unusual": (401, old("detected_unusual_activity", "Unusual activity detected. Free Tier usage disabled.")),
    "payment": (401, new("payment_required", "payment_issue", "Your last payment failed.")),
    "paid-plan": (402, new("payment_required", "paid_plan_required", FREE)),
    "creator": (403, old("only_for_creator+", "Only for users of the Creator plan or above.")),
    "no-voice": (404, new("not_found", "voice_not_found", "A voice with voice_id 'x' was not found.")),
    "no-model": (404, old("model_not_found", "A model with model ID none does not exist.")),
    "busy": (409, old("already_running", "It is being worked on already.")),
    "large": (413, old("file_too_large", "The file is too large.")),
    "field": (
        422,
        {"detail": [{"loc": ["body", "seed"], "msg": "Input should be at most 4294967295", "type": "less_than_equal"}]},
    ),
    "text-field": (422, {"detail": "text is required"}),
    "concurrent": (429, old("too_many_concurrent_requests", "Too many concurrent requests: at most 5.")),
    "concurrent-new": (429, new("rate_limit_error", "concurrent_limit_exceeded", "Concurrency limit reached.")),
    "rate": (429, old("rate_limit_exceeded", "Slow down.")),
    "system": (429, old("system_busy", "We are experiencing heavy traffic.")),
    "failed": (500, {"detail": "Internal server error"}),
    "down": (503, {"detail": {"status": "service_unavailable", "message": "Come again"}}),
}
WAITS = {"rate": {"retry_after": "7"}}


@dataclass
class ElevenLabs:
    """The account's voices, the ledger, and what is to happen: `room` is how many voices may be added,
    `voices_refused` whether the key lacks the right to list them."""

    room: int = 10
    paid: list[tuple[str, str]] = field(default_factory=list)
    added: list[Any] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    voices: dict[str, dict[str, Any]] = field(default_factory=dict)
    voices_refused: bool = False
    add_seconds: float = 0.0

    def __post_init__(self) -> None:
        for voice_id, name, labels in ((RACHEL, "Rachel", {"accent": "american"}), (GEORGE, "George - warm", {})):
            self.voices[voice_id] = _voice(voice_id, name, "premade", labels=labels, is_owner=False)
        self.scenarios: dict[str, Callable[[bytes], Reply]] = {
            "cut": lambda sound: _sound([sound[:4000], Cut]),
            "cut-at-once": lambda _: _sound([Cut]),
            "nothing": lambda _: _sound([]),
            "slow": lambda sound: _sound([sound[:4000], Pause(30), sound[4000:]]),
            "stalled": lambda _: Reply(200, steps=[Pause(30)], headers=_headers()),
            "never": lambda _: Reply(never=True),
            "page": lambda _: page(200),
            "html-502": lambda _: page(502),
            "paced": lambda sound: _sound([step for piece in _cut(sound) for step in (piece, Pause(0.1))]),
            "stamped": lambda sound: _sound([Pause(0.05), sound[:2000], Pause(0.2), sound[2000:]]),
        }

    def handle(self, request: Request) -> Reply:
        if request.headers.get("xi-api-key") != KEY:
            return answer(*reversed(REFUSED["key-old"]))
        path = request.path
        if path.startswith("/v1/text-to-speech/") and path.endswith("/stream"):
            return self._speak(request, path.split("/")[3])
        work: dict[str, Callable[[Request], Reply]] = {
            "/v1/models": lambda _: answer(MODELS),
            "/v2/voices": self._list,
            "/v1/voices/add": self._add,
            "/v1/sound-generation": self._effect,
            "/v1/speech-to-text": self._hear,
        }
        return work[path](request) if path in work else self._one(request, path.removeprefix("/v1/voices/"))

    def _list(self, request: Request) -> Reply:
        if self.voices_refused:
            return answer(old("missing_permissions", "The API key lacks the permission voices_read."), 401)
        query = request.query
        found = [one for one in self.voices.values() if query.get("search", "").lower() in json.dumps(one).lower()]
        if query.get("voice_type") == "personal":
            found = [one for one in found if one["category"] != "premade"]
        begin, size = int(query.get("next_page_token", 0)), int(query.get("page_size", 10))
        more = begin + size < len(found)
        facts = {"has_more": more, "total_count": len(found), "next_page_token": str(begin + size) if more else None}
        return answer({"voices": found[begin : begin + size], **facts})

    def _add(self, request: Request) -> Reply:
        form = read_form(request)
        if form.get("name") == "refused":
            return answer(*reversed(REFUSED["bad-audio"]))
        if not form.files or not all(detect(one.content) for one in form.files):
            return answer(old("invalid_audio", "The sample is no audio."), 400)
        if sum(one["category"] == "cloned" for one in self.voices.values()) >= self.room:
            return answer(old("voice_limit_reached", "You have reached the maximum number of custom voices."), 400)
        voice_id = hashlib.sha256(f"{len(self.added)}".encode()).hexdigest()[:20]
        labels = json.loads(form.get("labels", "{}"))
        self.added.append(form)
        self.voices[voice_id] = _voice(
            voice_id, form.get("name"), "cloned", labels=labels, description=form.get("description"), is_owner=True
        )
        return replace(answer({"voice_id": voice_id, "requires_verification": False}), late=self.add_seconds)

    def _one(self, request: Request, voice_id: str) -> Reply:
        if voice_id not in self.voices:
            return answer(*reversed(REFUSED["no-voice"]))
        if request.method == "GET":
            return answer(self.voices[voice_id])
        self.removed.append(voice_id)
        del self.voices[voice_id]
        return answer({"status": "ok"})

    def _speak(self, request: Request, voice_id: str) -> Reply:
        body = request.json
        if voice_id not in self.voices:
            return answer(*reversed(REFUSED["no-voice"]))
        if len(body["text"]) > LONGEST:
            return answer(*reversed(REFUSED["too-long"]))
        sound = spoken(body["text"], request.query.get("output_format", "mp3_44100_128"))
        return self._made(body["model_id"], sound, len(body["text"]), f"{voice_id} {body['text']}")

    def _effect(self, request: Request) -> Reply:
        body = request.json
        seconds = body.get("duration_seconds") or 1.0
        sound = effect(seconds, request.query.get("output_format", "mp3_44100_128"))
        return self._made(body["model_id"], sound, int(100 * seconds), body["text"])

    def _made(self, model: str, sound: bytes, cost: int, what: str) -> Reply:
        name = model.partition("+")[0]
        if name in REFUSED:
            return answer(*reversed(REFUSED[name]), **WAITS.get(name, {}))
        self.paid.append((model, what))
        if name in self.scenarios:
            return self.scenarios[name](sound)
        return _sound(_cut(sound), character_cost=str(cost))

    def _hear(self, request: Request) -> Reply:
        form = read_form(request)
        model = form.get("model_id").removeprefix("scribe-")
        if model in REFUSED:
            return answer(*reversed(REFUSED[model]), **WAITS.get(model, {}))
        (sent,) = form.files
        if detect(sent.content) is None:
            return answer(*reversed(REFUSED["bad-audio"]))
        self.paid.append((form.get("model_id"), sent.name))
        if model == "slow":
            return Reply(200, steps=[b'{"text":', Pause(30)], headers=_headers("application/json"))
        if model in ("never", "page", "html-502", "stalled"):
            return self.scenarios[model](b"")
        heard = {"text": "", "words": []} if model == "silent" else transcript(form)
        facts = {"language_code": "eng", "language_probability": 0.98, "transcription_id": "t1"}
        return answer({**facts, "audio_duration_secs": HEARD_SECONDS, "additional_formats": None, **heard})


def transcript(form: Any) -> dict[str, Any]:
    """Give SENTENCE as two people say it, and a laugh."""
    words, step = [], 0.25
    for number, word in enumerate([*SENTENCE.split(), "(laughter)"]):
        start = number * step + (1.5 if number > 8 else 0)
        kind = "audio_event" if word.startswith("(") else "word"
        speaker = "speaker_0" if number < 12 else "speaker_1"
        facts = {"start": start, "end": start + 0.2, "type": kind, "speaker_id": speaker, "logprob": -0.1}
        if number:
            words.append({**facts, "text": " ", "start": start - 0.05, "end": start, "type": "spacing"})
        words.append({"text": word, **facts})
    if form.get("tag_audio_events") == "false":
        words = words[:-2]
    return {"text": "".join(one["text"] for one in words), "words": words}


def _headers(kind: str = "audio/mpeg", **more: str) -> dict[str, str]:
    facts = {"content-type": kind, "request-id": REQUEST_ID, "current-concurrent-requests": "1"}
    return facts | {name.replace("_", "-"): value for name, value in more.items()}


def _sound(steps: Sequence[Step], **headers: str) -> Reply:
    return Reply(200, steps=steps, headers=_headers(**headers))


def _cut(sound: bytes) -> list[bytes]:
    """Cut sound at odd places."""
    return [sound[begin : begin + 1777] for begin in range(0, len(sound), 1777)]


def _voice(voice_id: str, name: str, category: str, **more: Any) -> dict[str, Any]:
    facts = {"voice_id": voice_id, "name": name, "category": category, "labels": {}, "description": None}
    lists = {"available_for_tiers": [], "high_quality_base_model_ids": [], "verified_languages": []}
    return {**facts, **lists, "preview_url": f"https://example.org/{voice_id}.mp3", "settings": None, **more}


def _encoded(name: str, source: Sequence[str], output_format: str) -> bytes:
    kind, rate, *kbits = output_format.split("_")
    codecs = {"mp3": ("-c:a", "libmp3lame"), "opus": ("-c:a", "libopus"), "pcm": ("-c:a", "pcm_s16le", "-f", "s16le")}
    quality = ("-b:a", f"{kbits[0]}k") if kbits else ()
    made = SHELF.ffmpeg(
        f"{name}-{output_format}.{'raw' if kind == 'pcm' else kind}",
        *(*source, "-ar", rate, "-ac", "1", *codecs[kind], *quality),
    )
    return made.read_bytes()


@cache
def spoken(text: str, output_format: str) -> bytes:
    """Give a text as flite speaks it, in one of the vendor's forms."""
    name = f"eleven-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    wav = SHELF._make(f"{name}.wav", ["flite", "-voice", "slt", "-t", text, "-o", "{out}"])
    return _encoded(name, ("-i", str(wav)), output_format)


@cache
def effect(seconds: float, output_format: str) -> bytes:
    """Give a sound of so many seconds, in one of the vendor's forms."""
    tone = ("-f", "lavfi", "-i", f"aevalsrc=sin(900*t*t):s=44100:d={seconds}")
    return _encoded(f"eleven-effect-{seconds}", tone, output_format)


def _model(model: str, name: str, most: int, languages: Sequence[str], **more: Any) -> dict[str, Any]:
    facts = {"model_id": model, "name": name, "description": f"{name} speaks.", "can_do_text_to_speech": True}
    can = {"can_be_finetuned": True, "can_do_voice_conversion": False, "can_use_style": True}
    boost = {"can_use_speaker_boost": True, "serves_pro_voices": False, "token_cost_factor": 1.0}
    limits = {"requires_alpha_access": False, "maximum_text_length_per_request": most}
    users = {"max_characters_request_free_user": 2500, "max_characters_request_subscribed_user": 5000}
    listed = [{"language_id": one, "name": one} for one in languages]
    rates = {"character_cost_multiplier": 1.0, "cost_discount_multiplier": 1.0}
    last = {"languages": listed, "model_rates": rates, "concurrency_group": "standard"}
    return {**facts, **can, **boost, **limits, **users, **last, **more}


MODELS = [
    _model("eleven_multilingual_v2", "Eleven Multilingual v2", LONGEST, ["en", "de"]),
    _model(
        "eleven_flash_v2_5",
        "Eleven Flash v2.5",
        40_000,
        ["en", "de", "ja"],
        can_use_style=False,
        model_rates={"character_cost_multiplier": 0.5, "cost_discount_multiplier": 1.0},
    ),
    _model("eleven_english_sts_v2", "Speech to speech", 5000, ["en"], can_do_text_to_speech=False),
]
