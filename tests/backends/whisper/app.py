"""The HTTP API of whisper-asr-webservice 1.9 (engine faster_whisper) over pocketsphinx.

python -m tests.backends.whisper.app --port N

As in the real one the model is loaded before the port opens, the handlers are `async def` around work that blocks, so
that nothing else is answered meanwhile, and whatever fails is `500 Internal Server Error` with its reason on stderr.
`POST /test/segments?shape=` arrays, older or objects (the default) sets how segments are written.
"""

from __future__ import annotations

import os
import re
import subprocess
from typing import Annotated
from urllib.parse import quote

from fastapi import FastAPI, File, Query, UploadFile
from fastapi.responses import RedirectResponse, StreamingResponse

from tests.backends.common import serve
from tests.backends.whisper.engine import Engine, segment
from tests.backends.whisper.written import written

LANGUAGES = re.split(
    " ",
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd "
    "si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo yue zh",
)
ENGINE = os.environ.get("ASR_ENGINE", "faster_whisper")
VAD = "Enable the voice activity detection (VAD) to filter out parts of the audio without speech"

app = FastAPI(title="Whisper Asr Webservice", version="1.9.1")
engine = Engine()
shape = "objects"


@app.get("/", response_class=RedirectResponse, include_in_schema=False)
async def index():
    return "/docs"


@app.post("/test/segments", include_in_schema=False)
async def set_shape(shape: str):
    globals()["shape"] = shape


@app.post("/asr", tags=["Endpoints"])
async def asr(
    audio_file: Annotated[UploadFile, File()],
    encode: Annotated[bool, Query(description="Encode audio first through ffmpeg")] = True,
    task: Annotated[str | None, Query(json_schema_extra={"enum": ["transcribe", "translate"]})] = "transcribe",
    language: Annotated[str | None, Query(json_schema_extra={"enum": LANGUAGES})] = None,
    initial_prompt: Annotated[str | None, Query()] = None,
    vad_filter: Annotated[bool | None, Query(description=VAD, include_in_schema=ENGINE == "faster_whisper")] = False,
    word_timestamps: Annotated[
        bool, Query(description="Word level timestamps", include_in_schema=ENGINE != "whisperx")
    ] = False,
    diarize: Annotated[bool, Query(include_in_schema=ENGINE == "whisperx")] = False,
    min_speakers: Annotated[int | None, Query(include_in_schema=ENGINE == "whisperx")] = None,
    max_speakers: Annotated[int | None, Query(include_in_schema=ENGINE == "whisperx")] = None,
    output: Annotated[str | None, Query(json_schema_extra={"enum": ["txt", "vtt", "srt", "tsv", "json"]})] = "txt",
):
    if language is not None and language not in LANGUAGES:
        raise ValueError(f"{language} is not a valid language code")
    heard = enumerate(engine.hear(load(audio_file, encode)))
    segments = [segment(number, words, with_words=word_timestamps) for number, words in heard]
    name = quote(audio_file.filename or "")
    headers = {"Asr-Engine": ENGINE, "Content-Disposition": f'attachment; filename="{name}.{output}"'}
    pieces = iter(written(output, language or "en", segments, shape).splitlines(keepends=True))
    return StreamingResponse(pieces, media_type="text/plain", headers=headers)


@app.post("/detect-language", tags=["Endpoints"])
async def detect_language(
    audio_file: Annotated[UploadFile, File()],
    encode: Annotated[bool, Query(description="Encode audio first through FFmpeg")] = True,
):
    words = [word for words in engine.hear(load(audio_file, encode)[: 8 * 32_000]) for word in words]
    confidence = sum(word.probability for word in words) / max(1, len(words))
    return {"detected_language": "english", "language_code": "en", "confidence": confidence}


def load(upload: UploadFile, encode: bool) -> bytes:
    """Give the samples of an upload: bare ones, or whatever FFmpeg reads."""
    data = upload.file.read()
    if not encode:
        if len(data) % 2:
            raise ValueError("buffer size must be a multiple of element size")
        return data
    command = ("ffmpeg", "-v", "error", "-i", "pipe:", "-f", "s16le", "-ac", "1", "-ar", "16000", "-")
    done = subprocess.run(command, check=False, input=data, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"Failed to load audio: {done.stderr.decode()}")
    return done.stdout


if __name__ == "__main__":
    serve(app, port=9000)
