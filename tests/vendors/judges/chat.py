"""What the SDKs of OpenAI and Together, which have the same methods, make of a stand-in."""

from __future__ import annotations

import importlib
import json
import os
import sys

PACKAGE, URL = sys.argv[1], sys.argv[2]
sdk = importlib.import_module(PACKAGE)
client = {"openai": "OpenAI", "together": "Together"}[PACKAGE]
client = getattr(sdk, client)(api_key=os.environ["JUDGE_KEY"], base_url=URL, max_retries=0)
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Tell me of the harbour."}]


def main() -> None:
    scenarios = json.load(sys.stdin)
    found = {f"whole {name}": tried(whole, name) for name in scenarios["whole"]}
    found |= {f"stream {name}": tried(streamed, name) for name in scenarios["stream"]}
    found["models"] = tried(models)
    json.dump(found, sys.stdout)


def tried(work, *args):
    said = {}
    try:
        work(*args, said)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what is asked for
        said |= {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
        cause = error.__cause__
        said |= {"cause": type(cause).__name__} if cause is not None else {}
    return said


def whole(model, said) -> None:
    answer = client.chat.completions.create(model=model, messages=ASKED)
    choice = answer.choices[0]
    said |= {"text": choice.message.content, "finish": choice.finish_reason, "model": answer.model}
    said["usage"] = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
    said["calls"] = [[call.id, call.function.name, call.function.arguments] for call in choice.message.tool_calls or ()]


def streamed(model, said) -> None:
    more = {"stream_options": {"include_usage": True}} if PACKAGE == "openai" else {}
    said |= {"text": "", "thoughts": "", "finish": None, "usage": None, "calls": {}}
    for chunk in client.chat.completions.create(model=model, messages=ASKED, stream=True, **more):
        if chunk.usage:
            said["usage"] = [chunk.usage.prompt_tokens, chunk.usage.completion_tokens]
        if not chunk.choices:
            continue
        choice = chunk.choices[0]
        said["finish"] = choice.finish_reason or said["finish"]
        delta = choice.delta
        said["text"] += delta.content or ""
        said["thoughts"] += getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None) or ""
        for call in getattr(delta, "tool_calls", None) or ():
            known = said["calls"].setdefault(str(call.index), ["", "", ""])
            known[0] += call.id or ""
            known[1] += call.function.name or ""
            known[2] += call.function.arguments or ""


def models(said) -> None:
    listed = client.models.list_supported() if PACKAGE == "together" else client.models.list()
    names = [getattr(one, "name", None) or one.id for one in listed]
    said["ids"] = names if PACKAGE == "together" else [one.id for one in listed]


if __name__ == "__main__":
    main()
