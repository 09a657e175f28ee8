"""The HTTP API of devnen's Chatterbox-TTS-Server 2.0.2 over flite; port 8004.

Like the real one it speaks in its event loop: meanwhile it answers nobody. TEST_MODEL chooses what it says of its model
(original, turbo, multilingual), TEST_LOAD_SECONDS how long that takes to load while the port is open already, and
TEST_SENTENCE_SECONDS how much longer each request takes.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, UploadFile
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from tests.backends.chatterbox import engine
from tests.backends.common import note, serve

PORT = 8004
LONGEST_REFERENCE_SECONDS = 30
LANGUAGES = {"original": ["en"], "turbo": ["en"], "multilingual": ["de", "en", "es", "fr"]}

app = FastAPI(title="Chatterbox TTS Server", version="2.0.2")
kind = os.environ.get("TEST_MODEL", "original")
_official = Path("/app/reference_audio")
references = _official if _official.is_dir() else Path(tempfile.mkdtemp(prefix="chatterbox-references-"))
_loaded_at: float | None = time.monotonic() + float(os.environ.get("TEST_LOAD_SECONDS", "0"))

Format = Literal["wav", "opus", "mp3"]


class Custom(BaseModel):
    """The body of POST /tts."""

    text: str = Field(min_length=1)
    voice_mode: Literal["predefined", "clone"] = "predefined"
    predefined_voice_id: str | None = None
    reference_audio_filename: str | None = None
    output_format: Format | None = "wav"
    split_text: bool | None = True
    chunk_size: int | None = Field(default=120, ge=50, le=500)
    temperature: float | None = None
    exaggeration: float | None = None
    cfg_weight: float | None = None
    seed: int | None = None
    speed_factor: float | None = None
    language: str | None = None


class Plain(BaseModel):
    """The body of POST /v1/audio/speech."""

    model: str
    text: str = Field(alias="input")
    voice: str
    response_format: Format = "wav"
    speed: float = 1.0
    seed: int | None = None


@app.get("/api/model-info")
async def model_info() -> dict[str, Any]:
    return {
        "loaded": _is_loaded(),
        "type": kind,
        "class_name": {"original": "ChatterboxTTS", "turbo": "ChatterboxTurboTTS"}.get(
            kind, "ChatterboxMultilingualTTS"
        ),
        "device": "cpu",
        "sample_rate": engine.SAMPLE_RATE if _is_loaded() else None,
        "supports_paralinguistic_tags": kind == "turbo",
        "available_paralinguistic_tags": ["laugh", "chuckle", "sigh"] if kind == "turbo" else [],
        "turbo_available_in_package": True,
        "multilingual_available_in_package": True,
        "supports_multilingual": kind == "multilingual",
        "supported_languages": {code: code for code in LANGUAGES[kind]},
    }


@app.get("/get_predefined_voices")
async def predefined_voices() -> list[dict[str, str]]:
    return [{"display_name": name.removesuffix(".wav"), "filename": name} for name in sorted(engine.VOICES)]


@app.get("/v1/audio/voices")
async def voices() -> dict[str, Any]:
    return {"status": "ok", "voices": sorted(engine.VOICES)}


@app.get("/get_reference_files")
async def reference_files() -> list[str]:
    return sorted(path.name for path in references.iterdir() if path.suffix in (".wav", ".mp3"))


@app.post("/upload_reference")
async def upload_reference(files: list[UploadFile]) -> JSONResponse:
    kept: list[str] = []
    errors: list[dict[str, str]] = []
    for file in files:
        name = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(file.filename or "").name).strip("_")
        fault = await _keep(name, file)
        if fault:
            errors.append({"filename": name, "error": fault})
        else:
            kept.append(name)
    answer = {
        "message": f"Processed {len(files)} file(s).",
        "uploaded_files": kept,
        "all_reference_files": await reference_files(),
        "errors": errors,
    }
    return JSONResponse(answer, 400 if errors and not kept else 200)


@app.post("/tts")
async def tts(request: Custom) -> Response:
    _require_model()
    if request.voice_mode == "predefined":
        if not request.predefined_voice_id:
            raise HTTPException(400, "Missing 'predefined_voice_id' for 'predefined' voice mode.")
        if request.predefined_voice_id not in engine.VOICES:
            raise HTTPException(404, f"Predefined voice file '{request.predefined_voice_id}' not found.")
        file = request.predefined_voice_id
    else:
        if not request.reference_audio_filename:
            raise HTTPException(400, "Missing 'reference_audio_filename' for 'clone' voice mode.")
        file = request.reference_audio_filename
        if not (references / file).is_file():
            raise HTTPException(404, f"Reference audio file '{file}' not found.")
        if fault := _too_long(references / file):
            raise HTTPException(400, f"Invalid reference audio: {fault}")
    speed = 1.0 if request.speed_factor is None else request.speed_factor
    note("speak", text=request.text, file=file, **request.model_dump(exclude={"text", "output_format"}))
    try:
        made = _speak(request.text, file, speed, request.output_format or "wav")
    except engine.EngineError:
        raise HTTPException(500, "TTS engine failed to synthesize audio for chunk 1.") from None
    except (OSError, EOFError, subprocess.SubprocessError) as error:
        raise HTTPException(500, f"Error processing audio chunk 1: {error}") from None
    name = f"tts_output_{time.strftime('%Y%m%d_%H%M%S')}.{request.output_format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(io.BytesIO(made), media_type=f"audio/{request.output_format}", headers=headers)


@app.post("/v1/audio/speech")
async def speech(request: Plain) -> Response:
    if request.voice not in engine.VOICES and not (references / request.voice).is_file():
        raise HTTPException(404, f"Voice file '{request.voice}' not found.")
    _require_model()
    try:
        made = _speak(request.text, request.voice, request.speed, request.response_format)
    except Exception as error:  # noqa: BLE001 - as the real one
        raise HTTPException(500, str(error)) from None
    return StreamingResponse(io.BytesIO(made), media_type=f"audio/{request.response_format}")


@app.post("/api/unload")
async def unload() -> dict[str, str]:
    global _loaded_at  # noqa: PLW0603 - the one model of the server
    _loaded_at = None
    return {"message": "Model unloaded."}


@app.post("/restart_server")
async def restart() -> dict[str, Any]:
    global _loaded_at  # noqa: PLW0603
    _loaded_at = time.monotonic()
    return {"message": "Model hot-swap successful.", "restart_needed": False}


def _is_loaded() -> bool:
    return _loaded_at is not None and time.monotonic() >= _loaded_at


def _require_model() -> None:
    if not _is_loaded():
        raise HTTPException(503, "TTS engine model is not currently loaded or available.")


async def _keep(name: str, file: UploadFile) -> str:
    """Keep an uploaded file and give what is wrong with it. One that is there already stays as it is."""
    if not name.lower().endswith((".wav", ".mp3")):
        return "Invalid file type. Only .wav and .mp3 are allowed."
    path = references / name
    if path.exists():
        return ""
    try:
        with path.open("wb") as copy:
            shutil.copyfileobj(file.file, copy)
    except OSError as error:
        return str(error)  # and what was written stays
    if fault := _too_long(path):
        path.unlink()
    return fault


def _too_long(path: Path) -> str:
    seconds = engine.seconds_of(path)
    if seconds is not None and seconds <= 0:
        return f"Reference audio file '{path.name}' has zero or negative duration."
    if seconds is not None and seconds > LONGEST_REFERENCE_SECONDS:
        return f"Reference audio duration ({seconds:.2f}s) exceeds maximum allowed ({LONGEST_REFERENCE_SECONDS}s)."
    return ""


def _speak(text: str, file: str, speed: float, form: Format) -> bytes:
    voice = engine.VOICES.get(file) or engine.like(references / file, kind)
    sound = engine.as_wav(engine.speak(text, voice, speed))
    return sound if form == "wav" else _encoded(sound, form)


def _encoded(sound: bytes, form: Format) -> bytes:
    command = shutil.which("ffmpeg")
    if command is None:
        import imageio_ffmpeg

        command = imageio_ffmpeg.get_ffmpeg_exe()
    arguments = (command, "-nostdin", "-v", "error", "-i", "-", "-f", "ogg" if form == "opus" else form, "-")
    return subprocess.run(arguments, input=sound, capture_output=True, check=True).stdout


if __name__ == "__main__":
    serve(app, port=PORT)
