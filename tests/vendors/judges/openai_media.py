"""What OpenAI's SDK makes of a stand-in's pictures, speech and transcripts."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys

import openai

client = openai.OpenAI(api_key=os.environ["JUDGE_KEY"], base_url=sys.argv[1], max_retries=0)


def main() -> None:
    asked = json.load(sys.stdin)
    json.dump({" ".join([work, *map(str, args)]): tried(work, args) for work, *args in asked}, sys.stdout)


def tried(work, args):
    said = {}
    try:
        WORKS[work](said, *args)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what is asked for
        said |= {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
        said |= {"code": getattr(error, "code", None)}
    return said


def take(said, answer) -> None:
    said["sha256"] = [hashlib.sha256(base64.b64decode(one.b64_json)).hexdigest() for one in answer.data]
    said["usage"] = [answer.usage.input_tokens, answer.usage.output_tokens]


def paint(said, model, size) -> None:
    """Make two pictures."""
    options = {"n": 2, "size": size, "output_format": "png", "quality": "low", "background": "auto"}
    take(said, client.images.generate(model=model, prompt="a red kite", **options))


def edit(said, model, path) -> None:
    """Change two pictures."""
    with open(path, "rb") as one, open(path, "rb") as other:  # noqa: PTH123 - as the SDK's own page has it
        take(said, client.images.edit(model=model, image=[one, other], prompt="blue", size="1024x1024"))


def speak(said, model, voice, form) -> None:
    """Speak a text as a stream."""
    with client.audio.speech.with_streaming_response.create(
        model=model, input="Hello there", voice=voice, response_format=form, speed=1.1
    ) as response:
        whole = b"".join(response.iter_bytes())
    said |= {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}


def hear(said, model, path) -> None:
    """Have a file written down, with words."""
    with open(path, "rb") as file:  # noqa: PTH123
        heard = client.audio.transcriptions.create(
            model=model, file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
    said |= {"text": heard.text, "language": heard.language, "words": [[one.word, one.start] for one in heard.words]}
    said["segments"] = [one.text for one in heard.segments]


def translate(said, model, path) -> None:
    """Have a file written down in English."""
    with open(path, "rb") as file:  # noqa: PTH123
        said["text"] = client.audio.translations.create(model=model, file=file, response_format="verbose_json").text


def follow(said, model, path) -> None:
    """Have a file written down while it is heard."""
    more = {"response_format": "diarized_json", "chunking_strategy": "auto"} if "diarize" in model else {}
    said |= {"pieces": [], "segments": [], "text": None}
    with open(path, "rb") as file:  # noqa: PTH123
        for event in client.audio.transcriptions.create(model=model, file=file, stream=True, **more):
            if event.type == "transcript.text.delta":
                said["pieces"].append(event.delta)
            elif event.type == "transcript.text.segment":
                said["segments"].append([event.speaker, event.text])
            else:
                said |= {"text": event.text, "usage": [event.usage.input_tokens, event.usage.output_tokens]}


WORKS = {one.__name__: one for one in (paint, edit, speak, hear, translate, follow)}

if __name__ == "__main__":
    main()
