"""Whether the stand-in for Creatify keeps to what is known of its API: every path, every answer, by their schemas."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from jsonschema import Draft202012Validator, ValidationError

from tests.vendors.creatify import API_ID, FACTS, PERSONAS, REASON, REFUSALS, VOICES, Creatify
from tests.vendors.http import FakeServer
from tests.vendors.said import KEY

KEYS = {"x-api-id": API_ID, "x-api-key": KEY}
GOOD = {
    "/api/lipsyncs/": {"creator": PERSONAS[0]["id"], "text": "Hello there", "aspect_ratio": "9x16", "name": "t1"},
    "/api/aurora/": {"image": "https://a.example/face.png", "audio": "https://a.example/voice.mp3"},
    "/api/text_to_speech/": {"script": "Hello there", "accent": VOICES[0]["accents"][0]["id"]},
}
BAD = {
    "/api/lipsyncs/": {"text": "Hello", "aspect_ratio": "9:16"},
    "/api/aurora/": {"image": "https://a.example/face.png"},
    "/api/text_to_speech/": {"script": "x" * 8001},
}


class Caller:
    """Asks a stand-in, and holds each answer against the schema of its status."""

    def __init__(self, fake: Creatify, http: aiohttp.ClientSession, url: str) -> None:
        self.fake, self._http, self._url = fake, http, url
        self.seen: set[tuple[str, str, str]] = set()

    async def ask(self, method, path, *, of=None, body=None, keys=None):
        headers = KEYS if keys is None else keys
        async with self._http.request(method, self._url + path, json=body, headers=headers) as response:
            said = await response.json(content_type=None) if "json" in response.content_type else await response.text()
        known = FACTS["paths"].get(of or path, {}).get(method.lower(), {"responses": {}})["responses"]
        if rule := known.get(str(response.status)):
            schema = rule["content"]["application/json"]["schema"]
            Draft202012Validator({**schema, "components": FACTS["components"]}).validate(said)
            self.seen.add((method.lower(), of or path, str(response.status)))
        return response.status, said

    async def ended(self, path, body):
        """Make a job; give its states and what is said of it in the end."""
        _, said = await self.ask("POST", path, body=body)
        states = [said["status"]]
        while said["status"] not in ("done", "failed", "rejected"):
            await asyncio.sleep(0.01)
            _, said = await self.ask("GET", f"{path}{said['id']}/", of=f"{path}{{id}}/")
            states += [said["status"]] if said["status"] != states[-1] else []
        return states, said


@pytest.fixture
async def caller():
    fake = Creatify(pace=0.05)
    server = FakeServer(fake.handle)
    async with server.serving(), aiohttp.ClientSession() as http:
        yield Caller(fake, http, server.url)


async def test_every_path_and_answer_keeps_to_the_facts(caller):
    for path, body in GOOD.items():
        states, said = await caller.ended(path, body)
        assert states == ["pending", "in_queue", "running", "done"]
        assert said["video_output" if "aurora" in path else "output"].startswith("http://127.0.0.1")
        assert said["credits_used"] > 0
        assert (await caller.ask("GET", path))[1][0]["id"] == said["id"]
        assert len((await caller.ask("GET", f"{path}?ids={said['id']},other", of=path))[1]) == 1
        assert (await caller.ask("POST", path, body=BAD[path]))[0] == 400
        assert (await caller.ask("POST", path, body=body, keys={}))[0] == 401
        assert (await caller.ask("GET", path, keys={}))[0] == 401
        assert (await caller.ask("POST", path, body=body, keys=KEYS | {"x-api-key": "bad"}))[0] == 403
        assert (await caller.ask("GET", f"{path}none/", of=f"{path}{{id}}/"))[0] == 404
        throttled = {"text_prompt": "[throttled]"} if "aurora" in path else {"text": "[throttled]"}
        throttled = {"script": "[throttled]"} if "speech" in path else body | throttled
        assert (await caller.ask("POST", path, body=throttled))[0] == 429
    for name in ("personas", "personas_v2", "voices", "remaining_credits"):
        assert (await caller.ask("GET", f"/api/{name}/"))[0] == 200
    assert caller.seen == {
        (method, path, status)
        for path, methods in FACTS["paths"].items()
        for method, rule in methods.items()
        for status in rule["responses"]
    }


async def test_a_path_without_its_slash_is_not_found(caller):
    assert await caller.ask("POST", "/api/lipsyncs", body=GOOD["/api/lipsyncs/"]) == (404, {"detail": "Not found."})
    assert not caller.fake.submits


async def test_jobs_that_end_badly_or_oddly(caller):
    path, body = "/api/lipsyncs/", GOOD["/api/lipsyncs/"]
    for word, status in (("fails", "failed"), ("rejected", "rejected")):
        states, said = await caller.ended(path, body | {"text": f"[{word}] Hello"})
        assert (states[-1], said["failed_reason"], said["credits_used"]) == (status, REASON, 0)
    with pytest.raises(ValidationError, match="reticulating"):
        await caller.ended(path, body | {"text": "[odd] Hello"})
    _, said = await caller.ended(path, body | {"text": "[nothing] Hello"})
    assert said["output"] is None
    assert (await caller.ask("POST", path, body=body | {"text": "[ok-200] Hello"}))[0] == 200


async def test_every_refusal_costs_nothing(caller):
    statuses = {"no-credit": 400, "no-credit-402": 402, "list-400": 400, "forbidden": 403, "throttled": 429}
    statuses |= {"broken": 500, "html-502": 502, "page": 200}
    for word in REFUSALS:
        asked = caller.ask("POST", "/api/lipsyncs/", body=GOOD["/api/lipsyncs/"] | {"text": f"[{word}]"})
        if word == "dropped":
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await asked
        else:
            assert (await asked)[0] == statuses[word]
    assert not caller.fake.submits
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await caller.ask("POST", "/api/lipsyncs/", body=GOOD["/api/lipsyncs/"] | {"text": "[lost]"})
    assert len(caller.fake.submits) == 1


async def test_credits_run_out(caller):
    caller.fake.credits = 6
    path, body = "/api/lipsyncs/", GOOD["/api/lipsyncs/"]
    assert (await caller.ask("POST", path, body=body))[0] == 201
    assert (await caller.ask("POST", path, body=body))[1] == ["You do not have enough credits."]
    assert (await caller.ask("GET", "/api/remaining_credits/"))[1] == {"remaining_credits": 1}
