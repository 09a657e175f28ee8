"""Images for tests, made without a registry: a small Debian with Python, and the backends of the tests on top of it.

Tags carry a hash of what is inside, so an image is made once and again when its parts change.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.support.engine import client, machine_lock
from tests.support.require import missing

_ROOT = Path(__file__).resolve().parent.parent.parent
_LOCK_FILE = _ROOT / "requirements" / "test-backends.txt"
_SUITE, _PYTHON = "bookworm", "3.11"
_PACKAGES = "base-files,base-passwd,bash,coreutils,dash,flite,grep,libstdc++6,python3,sed"
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")
_SITE = "usr/lib/python3/dist-packages"
# Compiled once here instead of at each start of a container.
_IMPORTED = (
    "asyncio, argparse, fastapi.responses, multipart, numpy, pocketsphinx, uvicorn.lifespan.on, uvicorn.loops.auto"
)


def backend_image(name: str, **faults: object) -> str:
    """Give the tag of the image of `tests/backends/<name>`, made where it is not there yet.

    With faults (see `tests.backends.common.Faults`) containers of the image misbehave from their start.
    """
    base, context = base_image(), _context(name)
    tag = f"automarket-test/{name}:{_digest(context, base.encode())}"
    _build(tag, context, {"BASE": base, "BACKEND": name})
    if faults:
        given = json.dumps(json.dumps(faults, sort_keys=True))
        context = packed({"Dockerfile": f"FROM {tag}\nENV TEST_FAULTS={given}\n".encode()})
        tag = f"automarket-test/{name}:{_digest(context)}"
        _build(tag, context, {})
    return tag


def _build(tag: str, context: bytes, arguments: dict[str, str]) -> None:
    with machine_lock("image-build"), client() as docker:
        if not docker.images.list(tag):
            options = {
                "custom_context": True,
                "network_mode": "none",
                "rm": True,
                "forcerm": True,
                "buildargs": arguments,
            }
            docker.images.build(fileobj=io.BytesIO(context), tag=tag, **options)


def base_image() -> str:
    """Give the tag of the image with Python and all that the backends import."""
    tag = f"automarket-test/base:{_digest(_LOCK_FILE.read_bytes(), _PACKAGES.encode(), _IMPORTED.encode())}"
    with machine_lock("image-base"), client() as docker:
        if not docker.images.list(tag):
            _make_base(docker.api, *tag.split(":"))
    return tag


def _make_base(api, repository: str, tag: str) -> None:
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        missing("docker", "the tests' image is made by mmdebstrap, as root: apt install mmdebstrap")
    folder = _ROOT / ".cache" / "docker-tests"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="base-") as made:
        root = Path(made) / "root"
        without = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT]
        # Packages are unpacked but not configured, which takes a third of the time and suffices for a Python program.
        _run("mmdebstrap", "--variant=extract", "--mode=root", f"--include={_PACKAGES}", *without, _SUITE, str(root))
        _install_wheels(root)
        shutil.copy(root / "usr/share/base-passwd/passwd.master", root / "etc/passwd")
        shutil.copy(root / "usr/share/base-passwd/group.master", root / "etc/group")
        (ffmpeg,) = (root / _SITE / "imageio_ffmpeg" / "binaries").glob("ffmpeg-*")
        (root / "usr/local/bin").mkdir(parents=True)
        (root / "usr/local/bin/ffmpeg").symlink_to("/" + str(ffmpeg.relative_to(root)))
        _run("env", "-i", "/usr/sbin/chroot", str(root), "/usr/bin/python3", "-c", f"import {_IMPORTED}")
        with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
            api.import_image_from_stream(tar.stdout, repository=repository, tag=tag, changes=['CMD ["bash"]'])


def _install_wheels(root: Path) -> None:
    machine = platform.machine()
    platforms = [f"--platform={one}_{machine}" for one in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")]
    python = (f"--python-version={_PYTHON}", "--only-binary=:all:", *platforms)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    _run(*pip, "--no-compile", "--require-hashes", *python, f"--target={root / _SITE}", "-r", str(_LOCK_FILE))


def _run(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def _context(name: str) -> bytes:
    folder = _ROOT / "tests" / "backends"
    files = [_ROOT / "tests" / "__init__.py", folder / "__init__.py", folder / "common.py", *(folder / name).rglob("*")]
    chosen = {str(path.relative_to(_ROOT)): path for path in files if path.is_file() and path.suffix != ".pyc"}
    contents = {name: path.read_bytes() for name, path in chosen.items()}
    return packed({**contents, "Dockerfile": (folder / "Dockerfile").read_bytes()})


def packed(contents: dict[str, bytes]) -> bytes:
    """Pack what a build sees: the same bytes for the same contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in sorted(contents.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
