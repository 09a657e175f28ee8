"""A stand-in for Replicate: models with schemas, predictions that take their time, files, and a stream of what is said.

What befalls a prediction the name of its model says, where that is "acme/..."; every other one ends well:

| model | what happens |
| --- | --- |
| slow | it is processing for ever |
| late-cancel | a cancel is answered, and comes too late |
| fails, fails-oddly, nsfw, sensitive | it fails: with a sentence, with an object, by a safety check |
| aborted, empty, removed, expired | it ends as such; its output is an empty list, was removed, or answers 404 |
| no-credit, forbidden, throttled, throttled-text, bad-version, broken, overloaded, html-502, page | it is refused |
| lost, twins | it is taken, and the answer never comes; of the twins there are two, as if made by somebody else |
| dropped | the connection closes, and nothing was taken |
| unlisted | as lost, and the list does not have it yet |
| says-cut, says-error, says-then-fails | the stream breaks off once, has an error in it, or fails after some of it |
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tests.vendors.http import Cut, Pause, Reply, answer, meddle, page
from tests.vendors.made import MEDIA_TYPES, made, spoken
from tests.vendors.replicate_checks import faults, missing, problem
from tests.vendors.replicate_files import Files
from tests.vendors.replicate_models import MODELS
from tests.vendors.said import KEY, TEXT, TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.vendors.http import Request, Step
    from tests.vendors.replicate_models import FakeModel

PAGE = 100
NSFW = "NSFW content detected. Try running it again, or try a different prompt."
SENSITIVE = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
NO_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB"
CREDIT = (
    "You have insufficient credit to run this model. Go to https://replicate.com/account/billing#billing to purchase "
    "credit. Once you purchase credit, please wait a few minutes before trying again."
)
WHISPER = {"segments": [], "transcription": TEXT, "detected_language": "english"}


REFUSALS: dict[str, Callable[[], Reply]] = {
    "no-credit": lambda: problem(402, CREDIT, "Insufficient credit"),
    "forbidden": lambda: problem(403, "You do not have permission to run this model.", "Forbidden"),
    "throttled": lambda: problem(429, "Request was throttled. Your rate limit resets in ~30s.", retry_after="7"),
    "throttled-text": lambda: problem(429, "Request was throttled. Your rate limit resets in ~30s."),
    "bad-version": lambda: problem(
        422,
        "The specified version does not exist (or perhaps you don't have permission to use it?)",
        "Invalid version or not permitted",
    ),
    "broken": lambda: problem(500, "An internal error occurred.", "Internal server error"),
    "overloaded": lambda: problem(503, "Service is temporarily unavailable."),
    "html-502": lambda: page(502),
    "page": lambda: page(200),
    "dropped": lambda: Reply(never=True),
}


@dataclass(slots=True)
class Prediction:
    """One prediction, taken at `begun` (monotonic); `cancelled` is when its cancel came in time."""

    id: str
    model: FakeModel
    input: dict[str, Any]
    begun: float
    created_at: str
    cancelled: float | None = None
    is_listed: bool = True

    @property
    def scenario(self) -> str:
        owner, _, name = self.model.name.partition("/")
        return name if owner == "acme" else "ok"


@dataclass(slots=True)
class Replicate:
    """The stand-in.

    Attributes:
        starting, processing: seconds of each state.
        stays: a state that no prediction leaves for now; empty lets them go on.
        keeps: seconds for which the output of an ended prediction is there.
        answers_late: seconds after which a submit is answered that was taken at once.
        submits: the paid ledger: ids of predictions, oldest first.
        cancels: ids of predictions whose cancel was called.
        leaks: paths of files that were asked for with the key, which is nobody else's business.
        film: what a video is that was made; a small one when left out.
        instead: what the next requests get, once each: method, end of the path, answer.
    """

    starting: float = 0.1
    processing: float = 0.2
    stays: str = ""
    keeps: float = 3600.0
    answers_late: float = 0.0
    submits: list[str] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    film: Path | None = None
    instead: deque[tuple[str, str, Reply]] = field(default_factory=deque)
    predictions: dict[str, Prediction] = field(default_factory=dict)
    files: Files = field(default_factory=Files)
    models: dict[str, FakeModel] = field(default_factory=lambda: {one.name: one for one in MODELS})

    def handle(self, request: Request) -> Reply:
        if (meddled := meddle(self.instead, request)) is not None:
            return meddled
        if request.path.startswith("/delivery/"):
            return self._delivery(request)
        if request.headers.get("authorization") not in (f"Bearer {KEY}", f"Token {KEY}"):
            return problem(401, "You did not pass a valid authentication token", "Unauthenticated")
        for method, pattern, act in self._routes():
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return act(request, *found.groups())
        return missing()

    def _routes(self) -> list[tuple[str, str, Callable[..., Reply]]]:
        return [
            ("POST", "/v1/predictions", self._create),
            ("POST", "/v1/models/([^/]+/[^/]+)/predictions", self._create_official),
            ("GET", "/v1/predictions", self._list),
            ("GET", "/v1/predictions/([^/]+)", self._get),
            ("POST", "/v1/predictions/([^/]+)/cancel", self._cancel),
            ("GET", "/v1/models/([^/]+/[^/]+)", self._model),
            ("GET", "/v1/models/([^/]+/[^/]+)/versions", self._versions),
            ("GET", "/v1/models/([^/]+/[^/]+)/versions/([^/]+)", self._version),
            ("POST", "/v1/files", self.files.upload),
            ("GET", "/v1/files", self.files.list),
            ("GET", "/v1/files/([^/]+)", self.files.get),
            ("DELETE", "/v1/files/([^/]+)", self.files.delete),
            ("GET", "/v1/account", lambda _: answer({"type": "user", "username": "acme", "name": "Acme"})),
            ("GET", "/stream/v1/files/([^/]+)", self._stream),
        ]

    # --- predictions ---

    def _create(self, request: Request) -> Reply:
        asked = request.json
        name, _, version = asked["version"].rpartition(":")
        wanted = (version,) if name or "/" not in version else ()
        known = [one for one in self.models.values() if one.version in wanted or (one.official and one.name == version)]
        return self._run(request, known[0], asked["input"]) if known else REFUSALS["bad-version"]()

    def _create_official(self, request: Request, name: str) -> Reply:
        model = self.models.get(name)
        return self._run(request, model, request.json["input"]) if model is not None and model.official else missing()

    def _run(self, request: Request, model: FakeModel, given: dict[str, Any]) -> Reply:
        scenario = model.name.removeprefix("acme/")
        if refuse := REFUSALS.get(scenario):
            return refuse()
        if found := faults(model, given):
            return answer(found, 422, content_type="application/problem+json")
        made_now = [self._take(model, given) for _ in range(1 + (scenario == "twins"))]
        made_now[0].is_listed = scenario != "unlisted"
        is_lost = scenario in ("lost", "unlisted", "twins")
        shown = self._shown(made_now[0], request)
        return Reply(never=True) if is_lost else _late(answer(shown, 201), self.answers_late)

    def _take(self, model: FakeModel, given: dict[str, Any]) -> Prediction:
        number = len(self.predictions)
        name = base64.b32encode(sha256(f"{number}-{model.name}".encode()).digest())[:26].decode().lower()
        taken = Prediction(name, model, given, time.monotonic(), _now())
        self.predictions[name] = taken
        self.submits.append(name)
        return taken

    def status(self, one: Prediction) -> str:
        """Give the state that a prediction is in now."""
        elapsed = (one.cancelled or time.monotonic()) - one.begun
        if one.cancelled is not None:
            return "canceled"
        if one.scenario == "aborted":
            return "aborted" if elapsed > self.starting else "starting"
        if elapsed < self.starting or self.stays == "starting":
            return "starting"
        if elapsed < self.starting + self.processing or self.stays == "processing" or one.scenario == "slow":
            return "processing"
        return "failed" if one.scenario in FAILING else "succeeded"

    def _get(self, request: Request, name: str) -> Reply:
        one = self.predictions.get(name)
        return missing() if one is None else answer(self._shown(one, request))

    def _cancel(self, request: Request, name: str) -> Reply:
        one = self.predictions.get(name)
        if one is None:
            return missing()
        self.cancels.append(name)
        if self.status(one) in ("starting", "processing") and one.scenario != "late-cancel":
            one.cancelled = time.monotonic()
        return answer(self._shown(one, request))

    def _list(self, request: Request) -> Reply:
        after, before = (_moment(request.query.get(f"created_{end}")) for end in ("after", "before"))
        begin = int(request.query.get("cursor", "0"))
        found = [one for one in reversed(self.predictions.values()) if one.is_listed]
        found = [one for one in found if after is None or _moment(one.created_at) >= after]
        found = [one for one in found if before is None or _moment(one.created_at) < before]
        following = f"{_base(request)}/v1/predictions?cursor={begin + PAGE}"
        shown = [self._shown(one, request) for one in found[begin : begin + PAGE]]
        more = following if len(found) > begin + PAGE else None
        return answer({"next": more, "previous": None, "results": shown})

    def _shown(self, one: Prediction, request: Request) -> dict[str, Any]:
        status, base = self.status(one), _base(request)
        ended = one.begun + self.starting + self.processing
        is_removed = status == "succeeded" and (one.scenario == "removed" or time.monotonic() - ended > self.keeps)
        urls = {"get": f"{base}/v1/predictions/{one.id}", "cancel": f"{base}/v1/predictions/{one.id}/cancel"}
        urls |= {"web": f"https://replicate.com/p/{one.id}"}
        urls |= {"stream": f"{base}/stream/v1/files/{one.id}"} if _tells(one.model) else {}
        shown: dict[str, Any] = {
            "id": one.id,
            "model": one.model.name,
            "version": "hidden" if one.model.official else one.model.version,
            "input": {} if is_removed else one.input,
            "logs": self._logs(one, status),
            "output": None if is_removed else self._output(one, status, base),
            "data_removed": is_removed,
            "error": self._error(one, status),
            "status": status,
            "created_at": one.created_at,
            "source": "api",
            "deadline": None,
            "urls": urls,
        }
        if status not in ("starting", "aborted"):
            shown["started_at"] = one.created_at
        if status not in ("starting", "processing"):
            shown |= {"completed_at": _now(), "metrics": {"predict_time": one.model.seconds, "total_time": 3.4}}
        return shown

    def _logs(self, one: Prediction, status: str) -> str:
        if status == "starting":
            return ""
        steps = ["Using seed: 42", " 50%|█████     | 2/4 [00:01<00:01]", "100%|██████████| 4/4 [00:02<00:00]"]
        return "\n".join(steps[: 2 if status == "processing" else 3]) + "\n"

    def _error(self, one: Prediction, status: str) -> Any:
        if status == "aborted":
            return "Prediction was aborted before it started: its deadline passed."
        if status != "failed":
            return None
        oddly = {"detail": NO_MEMORY, "code": "E1001"}
        return {"nsfw": NSFW, "sensitive": SENSITIVE, "fails-oddly": oddly}.get(one.scenario, NO_MEMORY)

    def _output(self, one: Prediction, status: str, base: str) -> Any:
        if _tells(one.model):
            share = (time.monotonic() - one.begun - self.starting) / max(self.processing, 1e-9)
            told = list(TOKENS) if status == "succeeded" else list(TOKENS[: int(len(TOKENS) * min(max(share, 0), 1))])
            return told or None
        if status != "succeeded":
            return None
        if one.model.makes in ("text", "object"):
            srt = {"srt_file": f"{base}/delivery/{one.id}/0.srt"}
            return f"Caption: {TEXT}" if one.model.makes == "text" else WHISPER | srt
        suffix = one.input.get("output_format", one.model.makes)
        count = 0 if one.scenario == "empty" else one.input.get("num_outputs", 1)
        files = [f"{base}/delivery/{one.id}/{number}.{suffix}" for number in range(count)]
        return files if one.model.output.get("type") == "array" else files[0]

    # --- files ---

    def _delivery(self, request: Request) -> Reply:
        if "authorization" in request.headers:
            self.leaks.append(request.path)
        _, _, name, file = request.path.split("/")
        one = self.predictions.get(name)
        number, suffix = file.split(".")
        if one is None or one.scenario == "expired" or suffix == "srt":
            return Reply(404, b"Not Found", headers={"content-type": "text/plain"})
        if suffix == "mp4" and self.film is not None:
            return Reply(200, file=self.film, headers={"content-type": MEDIA_TYPES["mp4"]})
        data = spoken() if suffix == "speech" else made(suffix, int(number))
        kind = "audio/wav" if suffix == "speech" else MEDIA_TYPES[suffix]
        return Reply(200, data, headers={"content-type": kind})

    def given(self, prediction: str, name: str) -> bytes:
        """Give the bytes of the file that a prediction was given as an input."""
        value = self.predictions[prediction].input[name]
        if value.startswith("data:"):
            return base64.b64decode(value.partition(",")[2])
        return self.files.content[value.rpartition("/")[2]]

    # --- models, and what they say ---

    def _model(self, request: Request, name: str) -> Reply:
        model = self.models.get(name)
        if model is None:
            return missing()
        owner, _, short = name.partition("/")
        return answer(
            {
                "url": f"https://replicate.com/{name}",
                "owner": owner,
                "name": short,
                "description": f"What {short} does.",
                "visibility": "public",
                "github_url": None,
                "paper_url": None,
                "license_url": None,
                "is_official": model.official,
                "run_count": 5,
                "cover_image_url": None,
                "default_example": _example(model) if owner != "acme" else None,
                "latest_version": _version_of(model),
            }
        )

    def _versions(self, _: Request, name: str) -> Reply:
        model = self.models.get(name)
        found = [] if model is None or model.official else [_version_of(model)]
        return missing() if model is None else answer({"next": None, "previous": None, "results": found})

    def _version(self, _: Request, name: str, version: str) -> Reply:
        model = self.models.get(name)
        return answer(_version_of(model)) if model is not None and model.version == version else missing()

    def _stream(self, request: Request, name: str) -> Reply:
        one = self.predictions.get(name)
        if one is None or not _tells(one.model):
            return missing()
        seen = int(request.headers.get("last-event-id", "0:-1").partition(":")[2]) + 1
        headers = {"content-type": "text/event-stream"}
        return Reply(200, steps=self._told(one, seen), headers=headers)

    def _told(self, one: Prediction, seen: int) -> list[Step]:
        scenario = one.scenario.removeprefix("says-")
        wait = max(0.0, one.begun + self.starting - time.monotonic())
        told: list[Step] = [Pause(wait)]
        pace = self.processing / len(TOKENS)
        for number, token in list(enumerate(TOKENS))[seen:]:
            if scenario == "cut" and number == 5 and seen == 0:
                return [*told, Cut]
            if scenario in ("error", "then-fails") and number == 5:
                failing = [sse("error", number, json.dumps({"detail": NO_MEMORY}))] if scenario == "error" else []
                return [*told, *failing, sse("done", number + 1, json.dumps({"reason": "error"}))]
            told += [sse("output", number, token), Pause(pace)]
            if number == 2:
                told.append(sse("logs", number, "step 1"))
        return [
            *told,
            Pause(0.0),
            sse("done", len(TOKENS), json.dumps({"reason": "canceled"} if one.cancelled else {})),
        ]


def sse(name: str, number: int, data: str) -> bytes:
    """Give one event; the lines of its data are told one by one."""
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {name}\nid: 1690212292:{number}\n{lines}\n".encode()


FAILING = ("fails", "fails-oddly", "nsfw", "sensitive", "says-then-fails")


def _late(reply: Reply, seconds: float) -> Reply:
    return Reply(reply.status, reply.body, headers=reply.headers, late=seconds)


def _tells(model: FakeModel) -> bool:
    return "x-cog-array-type" in model.output


def _example(model: FakeModel) -> dict[str, Any] | None:
    """Give the prediction that a model's page shows."""
    if model.makes in ("text", "object"):
        return None
    suffix = {"speech": "wav"}.get(model.makes, model.makes)
    files = [f"https://replicate.delivery/xezq/1/out-0.{suffix}"]
    return {
        "id": "gm3qorzdhgbfurvjtvhg6dckhu",
        "model": model.name,
        "version": model.version,
        "status": "succeeded",
        "input": dict.fromkeys(model.required, "https://replicate.delivery/pbxt/in"),
        "output": files if model.output.get("type") == "array" else files[0],
        "logs": "",
        "error": None,
        "metrics": {"predict_time": 4.0, "total_time": 4.5},
        "created_at": "2026-01-02T03:04:05.678Z",
        "urls": {},
    }


def _version_of(model: FakeModel) -> dict[str, Any]:
    facts = {"id": model.version, "created_at": "2026-01-02T03:04:05.678901Z", "cog_version": "0.9.4"}
    return facts | {"openapi_schema": model.schema()}


def _base(request: Request) -> str:
    return f"http://{request.headers['host']}"


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _moment(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)
