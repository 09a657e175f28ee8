"""What Anthropic's SDK makes of a stand-in."""

from __future__ import annotations

import json
import os
import sys

# This file's folder would hide the SDK, which has its name.
sys.path.pop(0)
import anthropic

client = anthropic.Anthropic(api_key=os.environ["JUDGE_KEY"], base_url=sys.argv[2], max_retries=0)
ASKED = {"system": "Be brief.", "messages": [{"role": "user", "content": "Tell me of the harbour."}], "max_tokens": 100}


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
    return said


def whole(model, said) -> None:
    take(client.messages.create(model=model, **ASKED), said)


def streamed(model, said) -> None:
    said["pieces"] = ""
    with client.messages.stream(model=model, **ASKED) as stream:
        for event in stream:
            if event.type == "text":
                said["pieces"] += event.text
        take(stream.get_final_message(), said)


def take(message, said) -> None:
    said["text"] = "".join(block.text for block in message.content if block.type == "text")
    said["thoughts"] = "".join(block.thinking for block in message.content if block.type == "thinking")
    said["signatures"] = [block.signature for block in message.content if block.type == "thinking"]
    said["calls"] = [[block.id, block.name, block.input] for block in message.content if block.type == "tool_use"]
    said |= {"finish": message.stop_reason, "model": message.model}
    said["usage"] = [message.usage.input_tokens, message.usage.output_tokens]


def models(said) -> None:
    said["ids"] = [one.id for one in client.models.list(limit=2)]


if __name__ == "__main__":
    main()
