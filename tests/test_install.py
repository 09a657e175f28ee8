"""What an installation adds to an empty environment."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MB = 1_000_000


def size_of(folder: Path) -> int:
    """Give the space on disk, in bytes."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_client_is_under_65_mb_and_a_whole_mesh_under_125(tmp_path):
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet"]
    # Built from a copy: a build folder of this checkout would lend the wheel files that are long gone.
    source, wheels = tmp_path / "source", tmp_path / "wheels"
    leave = shutil.ignore_patterns(".*", "build", "*.egg-info", "node_modules", "__pycache__")
    shutil.copytree(ROOT, source, ignore=leave)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(wheels)]
    subprocess.run([*build, str(source)], check=True)
    [wheel] = wheels.glob("*.whl")
    [packages] = (environment / "lib").glob("python*/site-packages")
    empty = size_of(packages)
    subprocess.run([*pip, str(wheel)], check=True)
    client = size_of(packages) - empty
    assert client < 65 * MB, client / MB
    subprocess.run([*pip, f"{wheel}[mesh]"], check=True)
    mesh = size_of(packages) - empty
    assert mesh < 125 * MB, mesh / MB
    check = [str(environment / "bin" / "python"), "-c", "import automarket; automarket.connect"]
    subprocess.run(check, check=True, cwd=tmp_path)
