"""What ElevenLabs' SDK makes of a stand-in."""

from __future__ import annotations

import hashlib
import json
import os
import sys

from elevenlabs.client import ElevenLabs

client = ElevenLabs(api_key=os.environ["JUDGE_KEY"], base_url=sys.argv[1])
ONCE = {"max_retries": 0}


def main() -> None:
    asked = json.load(sys.stdin)
    json.dump({" ".join([work, *map(str, args)]): tried(work, args) for work, *args in asked}, sys.stdout)


def tried(work, args):
    said = {}
    try:
        WORKS[work](said, *args)
    except Exception as error:  # noqa: BLE001 - whatever the SDK raises is what is asked for
        body = getattr(error, "body", None)
        said |= {"error": type(error).__name__, "status": getattr(error, "status_code", None)}
        said |= {"detail": body.get("detail") if isinstance(body, dict) else str(body)}
    return said


def take(said, pieces) -> None:
    whole = b""
    for piece in pieces:
        whole += piece
        said["bytes"] = len(whole)
    said |= {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}


def speak(said, voice, model, output_format) -> None:
    """Speak a text as a stream."""
    pieces = client.text_to_speech.stream(
        voice, text="Hello there", model_id=model, output_format=output_format, seed=7, request_options=ONCE
    )
    take(said, pieces)


def effect(said, model) -> None:
    """Make a sound."""
    options = {"duration_seconds": 1.0, "prompt_influence": 0.5, "loop": True, "request_options": ONCE}
    take(said, client.text_to_sound_effects.convert(text="rain", model_id=model, **options))


def hear(said, model, path) -> None:
    """Have a file written down."""
    with open(path, "rb") as file:  # noqa: PTH123 - as the SDK's own page has it
        heard = client.speech_to_text.convert(
            model_id=model,
            file=file,
            diarize=True,
            tag_audio_events=False,
            keyterms=["fox", "dog"],
            request_options=ONCE,
        )
    said |= {"text": heard.text, "language": heard.language_code, "seconds": heard.audio_duration_secs}
    said["words"] = [[one.text, one.start, one.end, one.type, one.speaker_id] for one in heard.words]


def voices(said, size) -> None:
    """List the voices, page by page."""
    said["names"], token = [], None
    while True:
        page = client.voices.search(page_size=size, next_page_token=token, request_options=ONCE)
        said["names"] += [one.name for one in page.voices]
        if not page.has_more:
            return
        token = page.next_page_token


def clone(said, name, path) -> None:
    """Make a voice, look at it, and remove it."""
    with open(path, "rb") as file:  # noqa: PTH123 - as the SDK's own page has it
        made = client.voices.ivc.create(
            name=name, files=[file], description="mine", labels={"accent": "plain"}, request_options=ONCE
        )
    voice = client.voices.get(made.voice_id, request_options=ONCE)
    said |= {"name": voice.name, "category": voice.category, "labels": voice.labels, "description": voice.description}
    said["removed"] = client.voices.delete(made.voice_id, request_options=ONCE).status
    client.voices.get(made.voice_id, request_options=ONCE)


def models(said) -> None:
    """List the models."""
    said["ids"] = [[one.model_id, one.can_do_text_to_speech] for one in client.models.list(request_options=ONCE)]


WORKS = {one.__name__: one for one in (speak, effect, hear, voices, clone, models)}

if __name__ == "__main__":
    main()
