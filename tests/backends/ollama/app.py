"""The HTTP API of Ollama 0.32 over a Markov chain; port 11434.

Like the real one it streams JSON lines, leaves zeros out, says errors of a stream in its last line, and stops when the
client goes away. `POST /test/manners` (JSON, see Manners; what is not named is as by default) tells it how to answer.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from tests.backends.common import note, serve
from tests.backends.ollama import engine
from tests.backends.ollama.shelf import Shelf, details, full

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

PORT = 11434
KEEP_SECONDS = 300.0
FOR_EVER = 10**10
CONTEXT = 4096
_DURATIONS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}

app = FastAPI(title="Ollama", version="0.32.0")
_models = os.environ.get("OLLAMA_MODELS") or ("/root/.ollama/models" if "BACKEND" in os.environ else "")
shelf = Shelf(Path(_models) if _models else None)


@dataclass
class Manners:
    """How it answers.

    Attributes:
        load_seconds: how long a model takes that is not in memory.
        token_seconds: between tokens.
        burst: so many tokens leave together.
        pull_seconds: how long a pull takes.
        error_after, cut_after: after so many tokens comes a line with an error, or the end.
        pull_error: what the second line of a pull says.
        stall_after: after so many lines of a pull nothing comes any more.
        piece_bytes: the answer leaves in pieces of so many bytes, whatever they cut.
    """

    load_seconds: float = 0
    token_seconds: float = 0
    burst: int = 1
    pull_seconds: float = 0.2
    error_after: int | None = None
    cut_after: int | None = None
    pull_error: str = ""
    stall_after: int | None = None
    piece_bytes: int = 0


manners = Manners()


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status, self.said = status, said


@app.exception_handler(Refusal)
async def refused(_: Request, refusal: Refusal) -> JSONResponse:
    return JSONResponse({"error": refusal.said}, refusal.status)


@app.post("/test/manners")
async def set_manners(request: Request) -> dict[str, Any]:
    for name, value in vars(Manners(**await request.json())).items():
        setattr(manners, name, value)
    return vars(manners)


@app.api_route("/", methods=["GET", "HEAD"])
async def root() -> PlainTextResponse:
    return PlainTextResponse("Ollama is running")


@app.get("/api/version")
async def version() -> dict[str, str]:
    return {"version": "0.32.0"}


@app.get("/api/tags")
async def tags() -> dict[str, Any]:
    return {"models": shelf.tags()}


@app.get("/api/ps")
async def processes() -> dict[str, Any]:
    return {"models": shelf.loaded()}


@app.post("/api/show")
async def show(request: Request) -> dict[str, Any]:
    name = _held(await _body(request))
    entry = shelf.entry(name)
    facts = {"general.architecture": entry.family, f"{entry.family}.context_length": 131_072}
    return {
        "license": "none: it is a Markov chain",
        "modelfile": f"FROM {full(name)}",
        "parameters": "temperature 0.8",
        "template": "{{ .Prompt }}",
        "details": details(entry),
        "model_info": facts,
        "capabilities": list(entry.capabilities),
        "modified_at": shelf.tags()[0]["modified_at"],
    }


@app.delete("/api/delete")
async def delete(request: Request) -> Response:
    shelf.remove(_held(await _body(request)))
    return Response()


@app.post("/api/pull")
async def pull(request: Request) -> Response:
    body = await _body(request)
    lines = _pulled(_name(body))
    if body.get("stream", True):
        return _streamed(request, lines)
    async for line in lines:
        if "error" in line:
            raise Refusal(500, line["error"])
    return JSONResponse({"status": "success"})


async def _pulled(name: str) -> AsyncGenerator[dict[str, Any]]:
    number = 0
    async for line in shelf.pull(name, manners.pull_seconds):
        number += 1
        if manners.stall_after is not None and number > manners.stall_after:
            await asyncio.sleep(3600)
        if manners.pull_error and number > 1:
            yield {"error": manners.pull_error}
            return
        yield line


@app.post("/api/generate")
async def generate(request: Request) -> Response:
    body = await _body(request)
    prompt = f"{body.get('system', '')}\n{body.get('prompt', '')}" if body.get("prompt") else ""
    return await _written(request, body, prompt, lambda text, _: {"response": text})


@app.post("/api/chat")
async def chat(request: Request) -> Response:
    body = await _body(request)
    prompt = "\n".join(f"{one['role']}: {one.get('content', '')}" for one in body.get("messages") or [])

    def said(text: str, thought: str) -> dict[str, Any]:
        thinking = {"thinking": thought} if thought else {}
        return {"message": {"role": "assistant", "content": text} | thinking}

    return await _written(request, body, prompt, said)


async def _written(request: Request, body: dict[str, Any], prompt: str, say: Any) -> Response:
    name = _held(body)
    entry = shelf.entry(name)
    if "completion" not in entry.capabilities:
        raise Refusal(400, f'"{name}" does not support chat')
    if body.get("think") and "thinking" not in entry.capabilities:
        raise Refusal(400, f'"{name}" does not support thinking')
    if not isinstance(body.get("options") or {}, dict):
        raise Refusal(400, "invalid options")
    if body.get("tools") and "tools" not in entry.capabilities:
        raise Refusal(400, f'"{name}" does not support tools')
    _look_at(body, entry.capabilities)
    _measure(prompt, body)
    thinks = "thinking" in entry.capabilities and body.get("think", True)
    lines = _lines(name, body, prompt, say, thinks=bool(thinks))
    if body.get("stream", True):
        return _streamed(request, lines)
    return JSONResponse(_together([line async for line in lines]))


async def _lines(
    name: str, body: dict[str, Any], prompt: str, say: Any, *, thinks: bool
) -> AsyncGenerator[dict[str, Any]]:
    begin = time.monotonic_ns()
    keep = _seconds(body.get("keep_alive"))

    def line(text: str = "", thought: str = "", **facts: Any) -> dict[str, Any]:
        return {"model": body["model"], "created_at": _now(), **say(text, thought), "done": bool(facts)} | facts

    if not prompt:
        shelf.loaded_until[full(name)] = time.time() + keep
        yield line(done_reason="load" if keep else "unload")
        return
    if shelf.loaded_until.get(full(name), 0) < time.time():
        await asyncio.sleep(manners.load_seconds)
    loaded = time.monotonic_ns()
    shelf.loaded_until[full(name)] = time.time() + FOR_EVER
    written, reason = 0, ""
    try:
        for thought in ("Hm.", " Boats.") if thinks else ():
            yield line(thought=thought)
        if calls := _calls(body):
            written, reason = len(calls), "stop"
            for call in calls:
                yield line() | {"message": {"role": "assistant", "content": "", "tool_calls": [call]}}
        for piece in () if calls else _said(body, prompt):
            if manners.cut_after == written:
                return
            if manners.error_after == written:
                yield {"error": "an error was encountered while running the model"}
                return
            await asyncio.sleep(manners.token_seconds)
            written += 1
            yield line(piece.text)
            reason = piece.done_reason
        end = time.monotonic_ns()
        facts = {
            "total_duration": end - begin,
            "load_duration": loaded - begin,
            "prompt_eval_count": engine.count(prompt),
            "prompt_eval_duration": 1000,
            "eval_count": written,
            "eval_duration": end - loaded,
        }
        yield line(done_reason=reason, **{key: value for key, value in facts.items() if value})
    finally:
        shelf.loaded_until[full(name)] = time.time() + keep
        note("written", tokens=written, reason=reason)


def _said(body: dict[str, Any], prompt: str) -> Iterator[engine.Piece]:
    if body.get("format"):
        return engine.write_json(body["format"])
    return engine.write(prompt, _manner(body.get("options") or {}))


def _calls(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Call the tools that the last message of the user names; its words are the arguments. The first has no id."""
    last = (body.get("messages") or [{}])[-1]
    if last.get("role") != "user":
        return []
    named = [one["function"] for one in body.get("tools") or () if one["function"]["name"] in last["content"]]
    return [
        ({"id": f"call_{number}"} if number else {})
        | {"function": {"name": function["name"], "arguments": {"words": last["content"].split()}}}
        for number, function in enumerate(named)
    ]


def _look_at(body: dict[str, Any], capabilities: tuple[str, ...]) -> None:
    """Check pictures as far as a model looks at them, and note how many bytes each has."""
    for message in body.get("messages") or []:
        for image in message.get("images") or []:
            if "vision" not in capabilities:
                raise Refusal(400, "this model is missing data required for image input")
            data = base64.b64decode(image, validate=True)
            if not data.startswith((b"\x89PNG", b"\xff\xd8\xff")):
                raise Refusal(500, "Failed to create new sequence: failed to process inputs: image: unknown format")
            note("image", size=len(data))


def _measure(prompt: str, body: dict[str, Any]) -> None:
    """Refuse what is longer than the context, where the client does not want it cut: as the engine inside words it."""
    room, length = (body.get("options") or {}).get("num_ctx", CONTEXT), engine.count(prompt)
    if body.get("truncate", True) or length <= room:
        return
    said = f"request ({length} tokens) exceeds the available context size ({room} tokens), try increasing it"
    error = {"code": 400, "message": said, "type": "exceed_context_size_error"}
    raise Refusal(400, json.dumps({"error": error}))


def _streamed(request: Request, lines: AsyncGenerator[dict[str, Any]]) -> StreamingResponse:
    return StreamingResponse(_pieces(request, lines), media_type="application/x-ndjson")


async def _pieces(request: Request, lines: AsyncGenerator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Give the answer's bytes, burst by burst; the work ends when the client has gone."""
    held, waiting = b"", 0
    try:
        async for line in lines:
            if await request.is_disconnected():
                return
            held += _json(line) + b"\n"
            waiting += 1
            if waiting >= manners.burst or line.get("done") or "error" in line:
                for piece in _cut(held):
                    yield piece
                    await asyncio.sleep(0)
                held, waiting = b"", 0
        if held:
            yield held
    finally:
        await lines.aclose()


def _cut(data: bytes) -> list[bytes]:
    size = manners.piece_bytes or len(data)
    return [data[place : place + size] for place in range(0, len(data), size)]


def _json(line: dict[str, Any]) -> bytes:
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


def _together(lines: list[dict[str, Any]]) -> dict[str, Any]:
    if "error" in lines[-1]:
        raise Refusal(500, lines[-1]["error"])
    last = dict(lines[-1])
    if "response" in last:
        return last | {"response": "".join(line["response"] for line in lines)}
    message = {"role": "assistant", "content": "".join(line["message"]["content"] for line in lines)}
    thinking = "".join(line["message"].get("thinking", "") for line in lines)
    calls = [call for line in lines for call in line["message"].get("tool_calls", ())]
    return last | {
        "message": message | ({"thinking": thinking} if thinking else {}) | ({"tool_calls": calls} if calls else {})
    }


async def _body(request: Request) -> dict[str, Any]:
    text = await request.body()
    if not text:
        raise Refusal(400, "missing request body")
    try:
        body: Any = json.loads(text)
    except ValueError as error:
        raise Refusal(400, str(error)) from error
    return body


def _name(body: dict[str, Any]) -> str:
    if not body.get("model"):
        raise Refusal(400, "model is required")
    return body["model"]


def _held(body: dict[str, Any]) -> str:
    name = _name(body)
    if not shelf.has(name):
        raise Refusal(404, f"model '{name}' not found")
    return name


def _manner(options: dict[str, Any]) -> engine.Manner:
    known = {key: options[key] for key in ("num_predict", "temperature", "top_k", "seed") if key in options}
    return engine.Manner(**known, stop=tuple(options.get("stop") or ()))


def _seconds(keep_alive: Any) -> float:
    if keep_alive is None:
        return KEEP_SECONDS
    if isinstance(keep_alive, str):
        number = keep_alive.rstrip("hms")
        keep_alive = float(number) * _DURATIONS[keep_alive[len(number) :] or "s"]
    return FOR_EVER if keep_alive < 0 else keep_alive


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    serve(app, port=PORT)
