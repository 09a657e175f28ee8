"""A stand-in for Creatify: lip-sync of its persons, talking portraits (Aurora), speech; all of them jobs to be polled.

There is no official description of the API, and no SDK: it keeps to facts/creatify.json, which a test walks. What
befalls a job a word in square brackets says, in its text, script or text_prompt, "[rejected] Hello":

| word | what happens |
| --- | --- |
| slow | it runs for ever |
| fails, rejected | it ends as such, with a reason |
| nothing, expired | it is done without an output; with one that is gone |
| odd | it has a status for a while that nobody knows |
| no-credit, no-credit-402, list-400, forbidden, throttled, broken, html-502, page | it is refused |
| lost, dropped | it is taken, and the answer never comes; the connection closes, and nothing was taken |
| ok-200 | it is taken, and answered with 200 |
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator

from tests.vendors.http import Reply, answer, meddle, page
from tests.vendors.made import MEDIA_TYPES, made, spoken
from tests.vendors.said import KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.vendors.http import Request

API_ID = "creatify-id-0123456789"
FACTS = json.loads((Path(__file__).parent / "facts" / "creatify.json").read_text())
STATES = ("pending", "in_queue", "running")
PERSONAS = [
    {"id": "18fccce8-86e7-5f31-abc8-18915cb872be", "creator_name": "Anna", "gender": "f", "style": "presenter"},
    {"id": "2b1c9f2e-0c1d-4a77-9f0e-3a5f0a9c7d11", "creator_name": "Ben", "gender": "m", "style": "selfie"},
]
VOICES = [
    {
        "name": "Fatima",
        "gender": "female",
        "accents": [
            {
                "id": "7a258b67-e1d3-4025-8904-8429daa3a34d",
                "accent_name": "American English accent",
                "preview_url": "https://previews.example/fatima.mp3",
            },
            {
                "id": "6f8ca7a8-87b9-4f5d-905d-cc4598e79717",
                "accent_name": "British English accent",
                "preview_url": None,
            },
        ],
    },
    {"name": "Jonas", "gender": "male", "accents": [{"id": "c0ffee00-0000-4000-8000-000000000001"}]},
]
KINDS = {"lipsyncs": "LipsyncIn", "aurora": "AuroraIn", "text_to_speech": "TextToSpeechIn"}
CREDITS = {"lipsyncs": 5, "aurora": 1, "text_to_speech": 1}
REASON = "The script was refused by moderation."
NOT_FOUND = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


def detail(status: int, said: str, **headers: str) -> Reply:
    return answer({"detail": said}, status, **headers)


REFUSALS: dict[str, Callable[[], Reply]] = {
    "no-credit": lambda: answer(["You do not have enough credits."], 400),
    "no-credit-402": lambda: detail(402, "Insufficient credits."),
    "list-400": lambda: answer(["Failed to scrape url: https://shop.example/item", "Try another."], 400),
    "forbidden": lambda: detail(403, "You do not have permission to perform this action."),
    "throttled": lambda: detail(429, "Request was throttled. Expected available in 30 seconds.", retry_after="30"),
    "broken": lambda: Reply(500, b"<h1>Server Error (500)</h1>", headers={"content-type": "text/html"}),
    "html-502": lambda: page(502),
    "page": lambda: page(200),
    "dropped": lambda: Reply(never=True),
}


@dataclass(slots=True)
class Job:
    """One job, taken at `begun` (monotonic)."""

    id: str
    kind: str
    asked: dict[str, Any]
    word: str
    begun: float
    created_at: str


@dataclass(slots=True)
class Creatify:
    """The stand-in.

    Attributes:
        pace: seconds of each state.
        stays: a state that no job leaves for now.
        answers_late: seconds after which a submit is answered that was taken at once.
        credits: what the account has left.
        submits: the paid ledger: ids of jobs, oldest first.
        leaks: paths of media that were asked for with a key.
        instead: what the next requests get, once each: method, end of the path, answer.
        bucket: what was put at /bucket/..., which stands for a place of the user's own; `puts` are the requests.
    """

    pace: float = 0.1
    stays: str = ""
    answers_late: float = 0.0
    credits: float = 1_000_000
    submits: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    instead: deque[tuple[str, str, Reply]] = field(default_factory=deque)
    jobs: dict[str, Job] = field(default_factory=dict)
    bucket: dict[str, bytes] = field(default_factory=dict)
    puts: list[Request] = field(default_factory=list)

    def handle(self, request: Request) -> Reply:
        if (meddled := meddle(self.instead, request)) is not None:
            return meddled
        if request.path.startswith(("/bucket/", "/media/")):
            return self._file(request)
        given = (request.headers.get("x-api-id"), request.headers.get("x-api-key"))
        if None in given:
            return detail(401, "Authentication credentials were not provided.")
        return self._known(request) if given == (API_ID, KEY) else detail(403, "Invalid API ID or key.")

    def _known(self, request: Request) -> Reply:
        found = re.fullmatch(r"/api/(lipsyncs|aurora|text_to_speech)/(?:([^/]+)/)?", request.path)
        if found and request.method == "POST" and not found[2]:
            return self._create(request, found[1])
        if found and request.method == "GET":
            return self._get(request, found[1], found[2]) if found[2] else self._list(request, found[1])
        return self._catalogue(request)

    def _catalogue(self, request: Request) -> Reply:
        known = {"voices": VOICES, "personas": PERSONAS, "personas_v2": PERSONAS}
        known |= {"remaining_credits": {"remaining_credits": self.credits}}
        name = request.path.removeprefix("/api/").removesuffix("/")
        is_there = request.method == "GET" and request.path.endswith("/") and name in known
        return answer(known[name]) if is_there else detail(404, "Not found.")

    # --- jobs ---

    def _create(self, request: Request, kind: str) -> Reply:
        asked = request.json
        if faults := _faults(kind, asked):
            return answer(faults, 400)
        said = f"{asked.get('text')} {asked.get('script')} {asked.get('text_prompt')}"
        marked = re.search(r"\[([a-z0-9-]+)\]", said)
        word = marked[1] if marked else ""
        if refuse := REFUSALS.get(word):
            return refuse()
        if said_of := self._unreachable(asked):
            return answer([said_of], 400)
        if self.credits < CREDITS[kind]:
            return REFUSALS["no-credit"]()
        one = Job(str(uuid.uuid4()), kind, asked, word, time.monotonic(), datetime.now(UTC).isoformat())
        self.jobs[one.id] = one
        self.submits.append(one.id)
        self.credits -= CREDITS[kind]
        if word == "lost":
            return Reply(never=True)
        shown = answer(self._shown(one, request), 200 if word == "ok-200" else 201)
        return Reply(shown.status, shown.body, headers=shown.headers, late=self.answers_late)

    def _unreachable(self, asked: dict[str, Any]) -> str:
        for name in ("audio", "image"):
            parts = urlsplit(asked.get(name) or "http://elsewhere/")
            if parts.path.startswith("/bucket/") and parts.path not in self.bucket:
                return f"Failed to download {name}."
        return ""

    def status(self, one: Job) -> str:
        """Give the state that a job is in now."""
        number = int((time.monotonic() - one.begun) / self.pace) if self.pace else len(STATES)
        if self.stays in STATES:
            number = min(number, STATES.index(self.stays))
        if one.word == "slow":
            number = min(number, len(STATES) - 1)
        if number == 1 and one.word == "odd":
            return "reticulating"
        ends = {"fails": "failed", "rejected": "rejected"}
        return STATES[number] if number < len(STATES) else ends.get(one.word, "done")

    def _get(self, request: Request, kind: str, name: str) -> Reply:
        one = self.jobs.get(name)
        return answer(self._shown(one, request)) if one and one.kind == kind else detail(404, "Not found.")

    def _list(self, request: Request, kind: str) -> Reply:
        wanted = request.query["ids"].split(",") if "ids" in request.query else None
        found = [one for one in self.jobs.values() if one.kind == kind and (wanted is None or one.id in wanted)]
        return answer([self._shown(one, request) for one in reversed(found)])

    def _shown(self, one: Job, request: Request) -> dict[str, Any]:
        status = self.status(one)
        suffix = "speech" if one.kind == "text_to_speech" else "mp4"
        url = f"http://{request.headers['host']}/media/{one.id}/out.{suffix}"
        output = url if status == "done" and one.word != "nothing" else None
        is_bad = status in ("failed", "rejected")
        shown: dict[str, Any] = {
            "id": one.id,
            "status": status,
            "failed_reason": REASON if is_bad else "" if one.kind == "text_to_speech" else None,
            "credits_used": CREDITS[one.kind] if status == "done" else 0,
            "duration": 1 if status == "done" else None,
            "created_at": one.created_at,
            "updated_at": datetime.now(UTC).isoformat(),
            "webhook_url": None,
            "media_job": str(uuid.uuid5(uuid.NAMESPACE_URL, one.id)),
        }
        if one.kind == "text_to_speech":
            return shown | {"script": one.asked["script"], "accent": one.asked.get("accent"), "output": output}
        progress = {"pending": 0, "running": 0.5, "done": "1.0"}.get(status, 0)
        shown |= {"name": one.asked.get("name"), "progress": progress, "video_thumbnail": None, "preview": None}
        return shown | {"output" if one.kind == "lipsyncs" else "video_output": output}

    # --- files ---

    def _file(self, request: Request) -> Reply:
        if {"x-api-id", "x-api-key"} & request.headers.keys():
            self.leaks.append(request.path)
        if request.path.startswith("/bucket/"):
            return self._bucket(request)
        _, _, name, file = request.path.split("/")
        one = self.jobs.get(name)
        if one is None or one.word == "expired":
            return Reply(403, NOT_FOUND, headers={"content-type": "application/xml"})
        if file.endswith("speech"):
            return Reply(200, spoken(), headers={"content-type": "audio/wav"})
        return Reply(200, made("mp4"), headers={"content-type": MEDIA_TYPES["mp4"]})

    def _bucket(self, request: Request) -> Reply:
        if request.method == "PUT":
            self.puts.append(request)
            self.bucket[request.path] = request.body
            return Reply(200)
        found = self.bucket.get(request.path)
        return Reply(404) if found is None else Reply(200, found)


def _faults(kind: str, asked: dict[str, Any]) -> dict[str, list[str]]:
    """Give what is wrong with a request, by field, in the words of Django REST framework."""
    rule = {"$ref": f"#/components/schemas/{KINDS[kind]}", "components": FACTS["components"]}
    faults: dict[str, list[str]] = {}
    for error in Draft202012Validator(rule).iter_errors(asked):
        if error.validator == "required":
            faults[error.message.split("'")[1]] = ["This field is required."]
        elif error.validator == "enum":
            faults[str(error.absolute_path[0])] = [f'"{error.instance}" is not a valid choice.']
        elif error.validator == "maxLength":
            most = error.validator_value
            faults[str(error.absolute_path[0])] = [f"Ensure this field has no more than {most} characters."]
        else:
            field = str(next(iter(error.absolute_path), "non_field_errors"))
            faults[field] = [str(error.message)]
    if kind == "lipsyncs" and not faults and not (asked.get("text") or asked.get("audio")):
        faults["non_field_errors"] = ["Either audio or text is required."]
    return faults
