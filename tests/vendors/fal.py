"""A stand-in for fal.ai: a queue with positions and logs, storage, files that expire, the platform API.

What befalls a request its prompt says, where it is one of these; every other one ends well. For endpoints without a
prompt `befalls` says it.

| prompt | what happens |
| --- | --- |
| slow | it is in progress for ever |
| back | it goes from IN_PROGRESS back to IN_QUEUE, once |
| late | its result is "still in progress" three times after COMPLETED |
| error-late, error-422, error-500, timeout | it is COMPLETED with an error, and the result is that error |
| error-only | it is COMPLETED with an error, and the result is an empty object |
| nsfw, refused | its output is flagged; or it is refused for its content |
| late-cancel | a cancel is answered with 202, and it ends well all the same |
| expires, expired | the URL of its output leads nowhere, the first time or always |
| broken-off | downloads of its output break off in the middle, twice |
| lost, twins | it is taken, and the answer never comes; of the twins there are two, as if made by somebody else |
| lost-unlisted | as lost, and the platform's list does not have it |
| dropped | the connection closes, and nothing was taken |
| mute | it is taken, and the answer is an empty object |
| balance, payment, rate, runner, internal, html-502, gone, string-422, forbidden | it is refused |
"""

from __future__ import annotations

import itertools
import json
import re
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from tests.vendors.fal_files import Storage
from tests.vendors.http import Pause, Reply, answer, meddle, page
from tests.vendors.made import MEDIA_TYPES, made_file
from tests.vendors.said import KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.vendors.http import Request, Step

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "facts" / "fal.json").read_text())
BALANCE = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
NO_USER = "No user found for Key ID and Secret"
POLICY = "The content could not be processed because it contained material flagged by a content checker."
PRICES = {"images": ("image", 0.025), "image": ("image", 0.05), "video": ("second", 0.1)}
OWN_PRICES = {"fal-ai/flux-pro/v1.1": ("megapixels", 0.04), "fal-ai/esrgan": ("GPU second", 0.001)}
GONE = frozenset(("fal-ai/flux-pro/new", "fal-ai/runway-gen3/turbo/image-to-video"))
OTHERS = {
    "acme/kite/dream": {
        "input": {
            "type": "object",
            "properties": {
                "prompt": {"type": "string"},
                "image_url": {"type": "string"},
                "wind": {"type": "number", "minimum": 0, "maximum": 12, "default": 4},
            },
            "required": ["prompt", "image_url"],
        },
        "output": {"type": "object", "properties": {"video": {"type": "object"}, "seed": {"type": "integer"}}},
    }
}
"""Endpoints that nobody lists: they are found by their schema."""
FACE_SWAP = {
    "input": {
        "type": "object",
        "properties": {"base_image_url": {"type": "string"}, "swap_image_url": {"type": "string"}},
        "required": ["base_image_url", "swap_image_url"],
    },
    "output": {"type": "object", "properties": {"image": {"type": "object"}}},
}
ENDPOINTS = FACTS | OTHERS | {"fal-ai/face-swap": FACE_SWAP}


def detail(status: int, said: Any, **headers: str) -> Reply:
    """Give an error as the queue writes it."""
    kind = headers.pop("error_type", "")
    return answer({"detail": said, **({"error_type": kind} if kind else {})}, status, **headers)


def fault(name: str, said: str, kind: str) -> list[dict[str, Any]]:
    """Give an error as a model writes it."""
    return [{"loc": ["body", name], "msg": said, "type": kind, "url": f"https://docs.fal.ai/errors#{kind}"}]


REFUSALS: dict[str, Callable[[], Reply]] = {
    "balance": lambda: detail(403, BALANCE),
    "forbidden": lambda: detail(403, "This key may not run models."),
    "payment": lambda: detail(402, "Payment required."),
    "rate": lambda: detail(
        429, "Too many requests.", error_type="concurrent_requests_limit", retry_after="7", x_fal_needs_retry="1"
    ),
    "runner": lambda: detail(503, "No runner could be scheduled.", error_type="runner_scheduling_failure"),
    "internal": lambda: detail(500, "Something went wrong.", error_type="internal_error"),
    "string-422": lambda: detail(422, "The prompt is not one."),
    "gone": lambda: detail(404, "Application 'flux' not found"),
    "html-502": lambda: page(502),
    "dropped": lambda: Reply(never=True),
}
ERRORS: dict[str, tuple[int, Any, str]] = {
    "error-late": (422, fault("image_url", "Could not read the picture.", "image_load_error"), "image_load_error"),
    "error-422": (422, fault("prompt", "The prompt is too odd.", "value_error"), "value_error"),
    "refused": (422, fault("prompt", POLICY, "content_policy_violation"), "content_policy_violation"),
    "error-500": (500, "The runner failed.", "internal_error"),
    "timeout": (504, "The generation took too long.", "generation_timeout"),
}
LOST = ("lost", "twins", "lost-unlisted", "mute")
STEPS = 4


@dataclass(slots=True)
class Work:
    """One request, taken at `begun` (monotonic); `cancelled` is when its cancel came in time."""

    id: str
    endpoint: str
    input: dict[str, Any]
    scenario: str
    begun: float
    sent_at: str
    cancelled: float | None = None
    late_left: int = 3
    fetched: int = 0
    breaks_left: int = 2
    is_listed: bool = True

    @property
    def base(self) -> str:
        return f"/{'/'.join(self.endpoint.split('/')[:2])}/requests/{self.id}"


@dataclass(slots=True)
class Fal:
    """The stand-in.

    Attributes:
        queued, running: seconds of each state.
        stays: a state that no request leaves for now: "IN_QUEUE" or "IN_PROGRESS"; empty lets them go on.
        keeps: seconds for which an output is there.
        befalls: what happens to requests of an endpoint.
        submits: the paid ledger: ids, oldest first; `bodies` are their inputs.
        cancels: ids of requests whose cancel was called.
        output: a file that is what every output is, instead of the usual small ones.
        streams: whether states can be streamed.
        instead: what the next requests get, once each: method, end of the path, answer.
    """

    queued: float = 0.1
    running: float = 0.2
    stays: str = ""
    keeps: float = 3600.0
    befalls: dict[str, str] = field(default_factory=dict)
    submits: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    output: Path | None = None
    streams: bool = True
    units: str = ""
    instead: deque[tuple[str, str, Reply]] = field(default_factory=deque)
    work: dict[str, Work] = field(default_factory=dict)
    storage: Storage = field(default_factory=Storage)

    def handle(self, request: Request) -> Reply:
        if (meddled := meddle(self.instead, request)) is not None:
            return meddled
        if request.path.startswith("/made/"):
            return self._file(request)
        if (stored := self.storage.open_routes(request)) is not None:
            return stored
        if request.headers.get("authorization") != f"Key {KEY}":
            return detail(401, NO_USER)
        return self.storage.keyed_routes(request) or self._routed(request)

    def _routed(self, request: Request) -> Reply:
        for method, pattern, act in self._routes():
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return act(request, *found.groups())
        return detail(404, "Not found")

    def _routes(self) -> list[tuple[str, str, Callable[..., Reply]]]:
        return [
            ("GET", "/v1/models/pricing", self._pricing),
            ("GET", "/v1/models/requests/by-endpoint", self._requests),
            ("GET", "/v1/models", self._described),
            ("GET", "/[^/]+/[^/]+/requests/([^/]+)/status", self._status),
            ("GET", "/[^/]+/[^/]+/requests/([^/]+)/status/stream", self._stream),
            ("GET", "/[^/]+/[^/]+/requests/([^/]+)", self._result),
            ("PUT", "/[^/]+/[^/]+/requests/([^/]+)/cancel", self._cancel),
            ("POST", "/([^/]+/[^/]+(?:/.+)?)", self._submit),
        ]

    # --- the queue ---

    def _submit(self, request: Request, endpoint: str) -> Reply:
        known = ENDPOINTS.get(endpoint)
        if known is None or endpoint in GONE:
            return detail(404, f"Application '{endpoint.split('/')[1]}' not found")
        given = request.json
        scenario = self.befalls.get(endpoint) or str(given.get("prompt", ""))
        if scenario in REFUSALS:
            return REFUSALS[scenario]()
        if faults := self._faults(known["input"], given, request):
            return answer({"detail": faults}, 422, x_fal_retryable="false")
        one = self._take(endpoint, given, scenario)
        if scenario == "twins":
            self._take(endpoint, given, scenario)
        if scenario in LOST:
            one.is_listed = scenario != "lost-unlisted"
            return answer({}) if scenario == "mute" else Reply(never=True)
        told = {
            "status": "IN_QUEUE",
            "gateway_request_id": one.id,
            "queue_position": 2,
            **self._addresses(one, request),
        }
        return answer(told, x_fal_request_id=one.id)

    def _take(self, endpoint: str, given: dict[str, Any], scenario: str) -> Work:
        one = Work(str(uuid.uuid4()), endpoint, given, scenario, time.monotonic(), datetime.now(UTC).isoformat())
        self.work[one.id] = one
        self.submits.append(one.id)
        self.bodies.append(given)
        return one

    def _faults(self, schema: dict[str, Any], given: dict[str, Any], request: Request) -> list[dict[str, Any]]:
        """Say what is wrong with an input: its schema, fields that it lacks, URLs that lead nowhere."""
        found = []
        for one in Draft202012Validator(schema).iter_errors(given):
            name = one.path[0] if one.path else one.message.split("'")[1]
            kind = "missing" if one.validator == "required" else "value_error"
            found += fault(str(name), "field required" if kind == "missing" else one.message[:200], kind)
        for name, value in given.items():
            if name not in schema["properties"]:
                found += fault(name, "extra fields not permitted", "extra_forbidden")
            urls = value if isinstance(value, list) else [value]
            if name.endswith(("_url", "_urls")) and not all(self.storage.has(url) for url in urls):
                found += fault(name, "The file could not be downloaded.", "file_download_error")
        return found

    def _addresses(self, one: Work, request: Request) -> dict[str, str]:
        base = f"http://{request.headers['host']}{one.base}"
        return {
            "request_id": one.id,
            "response_url": base,
            "status_url": f"{base}/status",
            "cancel_url": f"{base}/cancel",
        }

    def state(self, one: Work) -> tuple[str, int, int]:
        """Give the state of a request, its position in the queue, and how many steps it has done."""
        if one.cancelled is not None and one.scenario != "late-cancel":
            return "COMPLETED", 0, 0
        age = time.monotonic() - one.begun
        if self.stays == "IN_QUEUE" or age < self.queued:
            return "IN_QUEUE", max(0, 2 - int(3 * age / max(self.queued, 1e-6))), 0
        age -= self.queued
        if self.stays == "IN_PROGRESS" or one.scenario == "slow":
            return "IN_PROGRESS", 0, min(STEPS - 1, int(STEPS * age / max(self.running, 1e-6)))
        if one.scenario == "back" and self.running / 3 < age < 2 * self.running / 3:
            return "IN_QUEUE", 1, 1
        if age < self.running:
            return "IN_PROGRESS", 0, 1 + int((STEPS - 1) * age / self.running)
        return "COMPLETED", 0, STEPS

    def _told(self, one: Work, request: Request) -> dict[str, Any]:
        state, position, steps = self.state(one)
        told: dict[str, Any] = {"status": state, **self._addresses(one, request)}
        if state == "IN_QUEUE":
            return told | {"queue_position": position}
        logs = [
            {"message": f"step {step}/{STEPS}", "level": "INFO", "source": "USER", "timestamp": one.sent_at}
            for step in range(1, steps + 1)
        ]
        told["logs"] = logs if request.query.get("logs") in ("1", "true") else None
        if state == "IN_PROGRESS":
            return told
        if one.cancelled is not None and one.scenario != "late-cancel":
            return told | {"error": "Request was cancelled.", "error_type": "client_cancelled"}
        if one.scenario in ERRORS or one.scenario == "error-only":
            kind = ERRORS.get(one.scenario, (0, 0, "internal_error"))[2]
            told |= {"error": "The model failed.", "error_type": kind}
        return told | {"metrics": {"inference_time": self.running}}

    def _status(self, request: Request, name: str) -> Reply:
        one = self.work.get(name)
        if one is None:
            return detail(404, "Request not found")
        told = self._told(one, request)
        return answer(told, 200 if told["status"] == "COMPLETED" else 202)

    def _stream(self, request: Request, name: str) -> Reply:
        one = self.work.get(name)
        if one is None or not self.streams:
            return detail(404, "Request not found")
        steps: Any = _Steps(self._states(one, request))
        return Reply(200, steps=steps, headers={"content-type": "text/event-stream"})

    def _states(self, one: Work, request: Request) -> Iterator[Step]:
        last = None
        while True:
            told = self._told(one, request)
            if told != last:
                last = told
                yield f"data: {json.dumps(told)}\n\n".encode()
            if told["status"] == "COMPLETED":
                return
            yield Pause(min(self.queued, self.running, 0.2) / 4 or 0.01)

    def _result(self, request: Request, name: str) -> Reply:
        one = self.work.get(name)
        if one is None:
            return detail(404, "Request not found")
        is_late = one.scenario == "late" and one.late_left > 0
        if self.state(one)[0] != "COMPLETED" or is_late:
            one.late_left -= is_late
            return answer({"detail": "Request is still in progress", **self._addresses(one, request)}, 400)
        if one.cancelled is not None and one.scenario != "late-cancel":
            return detail(
                499, "Request was cancelled.", error_type="client_cancelled", x_fal_error_type="client_cancelled"
            )
        if one.scenario in ERRORS:
            status, said, kind = ERRORS[one.scenario]
            known = {"x_fal_error_type": kind} if isinstance(said, str) else {"x_fal_retryable": "false"}
            return answer({"detail": said, **({"error_type": kind} if isinstance(said, str) else {})}, status, **known)
        if one.scenario == "error-only":
            return answer({})
        one.fetched += 1
        units = {"x_fal_billable_units": self.units} if self.units else {}
        return answer(self._output(one, request), x_fal_request_id=one.id, **units)

    def _cancel(self, _request: Request, name: str) -> Reply:
        self.cancels.append(name)
        one = self.work.get(name)
        if one is None:
            return answer({"status": "NOT_FOUND"}, 404)
        state = self.state(one)[0]
        if state == "COMPLETED":
            return answer({"status": "ALREADY_COMPLETED"}, 400)
        one.cancelled = time.monotonic()
        if state == "IN_QUEUE" and one.scenario != "late-cancel":
            return answer({"status": "OK"})
        return answer({"status": "CANCELLATION_REQUESTED"}, 202)

    # --- what is made ---

    def _output(self, one: Work, request: Request) -> dict[str, Any]:
        made_of = ENDPOINTS[one.endpoint]["output"]["properties"]
        suffix = "mp4" if "video" in made_of else "png" if one.input.get("output_format") == "png" else "jpg"
        count = int(one.input.get("num_images", 1)) if "images" in made_of else 1
        files = []
        for number in range(count):
            url = f"http://{request.headers['host']}/made/{one.id}/{one.fetched}/{number}.{suffix}"
            picture = {"width": 320, "height": 180} if suffix != "mp4" else {}
            files.append({"url": url, "content_type": MEDIA_TYPES[suffix], **picture})
        made_by: dict[str, Any] = (
            {"images": files} if "images" in made_of else {"video" if suffix == "mp4" else "image": files[0]}
        )
        if "seed" in made_of:
            made_by["seed"] = one.input.get("seed", 42)
        if "has_nsfw_concepts" in made_of:
            made_by["has_nsfw_concepts"] = [one.scenario == "nsfw"] * count
        if "prompt" in made_of:
            made_by["prompt"] = one.input.get("prompt", "")
        return made_by

    def _file(self, request: Request) -> Reply:
        _, _, name, fetched, file = request.path.split("/")
        one = self.work[name]
        number, suffix = file.split(".")
        age = time.monotonic() - one.begun - self.queued - self.running
        gone = one.scenario == "expired" or (one.scenario == "expires" and fetched == "1")
        if gone or age > self.keeps:
            return detail(404, "File not found")
        breaks = None
        path = self.output or made_file(suffix, int(number))
        if one.scenario == "broken-off" and one.breaks_left:
            one.breaks_left -= 1
            breaks = path.stat().st_size // 3
        return Reply(200, file=path, breaks_after=breaks, headers={"content-type": MEDIA_TYPES[suffix]})

    # --- the platform ---

    def _pricing(self, request: Request) -> Reply:
        prices = []
        for name in request.query["endpoint_id"].split(","):
            if name in ENDPOINTS:
                made_of = ENDPOINTS[name]["output"]["properties"]
                usual = next(PRICES[one] for one in PRICES if one in made_of)
                unit, price = OWN_PRICES.get(name, usual)
                prices.append({"endpoint_id": name, "unit_price": price, "unit": unit, "currency": "USD"})
        return answer({"prices": prices, "next_cursor": None, "has_more": False})

    def _described(self, request: Request) -> Reply:
        name = request.query.get("endpoint_id", "")
        known = ENDPOINTS.get(name)
        if known is None:
            error = {"type": "not_found", "message": f"Endpoint {name} not found", "docs_url": "", "request_id": "r"}
            return answer({"error": error}, 404)
        entry = {"endpoint_id": name, "metadata": {"display_name": name.title(), "description": "", "status": "active"}}
        if request.query.get("expand") == "openapi-3.0":
            entry["openapi"] = openapi(name, known)
        return answer({"models": [entry], "next_cursor": None, "has_more": False})

    def _requests(self, request: Request) -> Reply:
        since = datetime.fromisoformat(request.query["start"])
        items = [
            {
                "request_id": one.id,
                "endpoint_id": one.endpoint,
                "sent_at": one.sent_at,
                **({"json_input": one.input} if request.query.get("expand") == "payloads" else {}),
            }
            for one in self.work.values()
            if one.is_listed and one.endpoint == request.query["endpoint_id"]
            if datetime.fromisoformat(one.sent_at) >= since
        ]
        return answer({"items": items[: int(request.query.get("limit", 50))], "next_cursor": None, "has_more": False})


class _Steps:
    """Steps that are made as they are sent."""

    def __init__(self, steps: Iterator[Step]) -> None:
        self._steps = steps

    def __iter__(self) -> Iterator[Step]:
        return itertools.chain(self._steps)


def openapi(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Give an endpoint's OpenAPI document, as the platform API gives it: inputs and outputs by reference."""
    title = "".join(part.title() for part in re.split(r"\W+", name))

    def ref(end: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{title}{end}"}}}

    status = {"application/json": {"schema": {"$ref": "#/components/schemas/QueueStatus"}}}
    return {
        "openapi": "3.0.4",
        "info": {"title": f"Queue OpenAPI for {name}", "version": "1.0.0"},
        "components": {
            "schemas": {
                "QueueStatus": {"type": "object", "properties": {"status": {"type": "string"}}},
                f"{title}Input": {"title": f"{title}Input", "x-fal-order-properties": [], **known["input"]},
                f"{title}Output": {"title": f"{title}Output", **known["output"]},
            }
        },
        "paths": {
            f"/{name}/requests/{{request_id}}/status": {"get": {"responses": {"200": {"content": status}}}},
            f"/{name}": {
                "post": {
                    "requestBody": {"required": True, "content": ref("Input")},
                    "responses": {"200": {"content": status}},
                }
            },
            f"/{name}/requests/{{request_id}}": {"get": {"responses": {"200": {"content": ref("Output")}}}},
        },
    }
