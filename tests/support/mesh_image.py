"""The image of the mesh's own processes for tests: deploy/Dockerfile on the base of the tests, without any network."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.support.engine import client, machine_lock
from tests.support.images import base_image

_ROOT = Path(__file__).resolve().parent.parent.parent
_FOLDER = _ROOT / ".cache" / "docker-tests"
_LOCKS = [_ROOT / "requirements" / f"{name}.txt" for name in ("demo", "engines")]
_PYTHON = "3.11"  # of the base
_KEPT_WHEELS = "wheels-mesh"


def mesh_image() -> str:
    """Give the tag of the image, made anew when a file that goes into it has changed."""
    base = base_image()
    files = _files()
    digest = hashlib.sha256(base.encode())
    for path in files:
        digest.update(f"\0{path.relative_to(_ROOT)}\0".encode() + path.read_bytes())
    tag = f"automarket-test/mesh:{digest.hexdigest()[:16]}"
    with machine_lock("image-mesh"), client() as docker:
        if not docker.images.list(tag):
            wheels = _wheels()
            with tempfile.TemporaryFile(dir=_FOLDER) as context:
                _pack(context, files, wheels)
                arguments = {"BASE": base, "PACKAGES": "flite"}
                docker.images.build(
                    fileobj=context,
                    custom_context=True,
                    dockerfile="deploy/Dockerfile",
                    buildargs=arguments,
                    tag=tag,
                    rm=True,
                    forcerm=True,
                )
    return tag


def _files() -> list[Path]:
    """Give what .dockerignore lets into a build."""
    lines = (_ROOT / ".dockerignore").read_text().splitlines()
    allowed = [_ROOT / line.removeprefix("!") for line in lines if line.startswith("!")]
    found = [path for one in allowed for path in ([one] if one.is_file() else one.rglob("*"))]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _pack(context, files: list[Path], wheels: list[Path]) -> None:
    with tarfile.open(fileobj=context, mode="w") as tar:
        for path in files:
            tar.add(path, str(path.relative_to(_ROOT)))
        for path in wheels:
            tar.add(path, f"deploy/wheels/{path.name}")
    context.seek(0)


def _wheels() -> list[Path]:
    """Give the wheels of the locked packages, and pip's; downloaded once."""
    locked = b"".join(path.read_bytes() for path in _LOCKS)
    folder = _FOLDER / f"{_KEPT_WHEELS}-{hashlib.sha256(locked).hexdigest()[:16]}"
    if not folder.exists():
        _FOLDER.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_FOLDER) as making:
            new = Path(making) / "wheels"
            platforms = [f"--platform=manylinux_{one}_{platform.machine()}" for one in ("2_28", "2_17")]
            python = [f"--python-version={_PYTHON}", "--only-binary=:all:", *platforms]
            for lock in _LOCKS:
                _download(new, *python, "--require-hashes", "-r", str(lock))
            _download(new, "pip")
            new.rename(folder)
    return sorted(folder.glob("*.whl"))


def _download(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", str(folder), *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")
