"""Generate the Python stubs in automarket/v1 from proto/, with the oldest grpcio-tools that the project supports.

Run by `make proto`; `make check` runs it with `--check`, which changes nothing and fails when the committed stubs
differ.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
STUBS = ROOT / "automarket" / "v1"


def generate(out: Path) -> None:
    """Write the stubs of every proto file below `out`."""
    scripts = Path(sysconfig.get_path("scripts"))
    protoc = [
        sys.executable,
        "-m",
        "grpc_tools.protoc",
        f"-I{PROTO}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
    ]
    messages = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    services = [name for name in messages if name.endswith("_service.proto")]
    subprocess.run([*protoc, f"--python_out={out}", f"--mypy_out=quiet:{out}", *messages], check=True, cwd=PROTO)
    plugins = [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"]
    subprocess.run([*protoc, *plugins, *services], check=True, cwd=PROTO)


def differs(one: Path | None, other: Path | None) -> bool:
    """Tell whether two files are not both there with the same bytes."""
    return one is None or other is None or not filecmp.cmp(one, other, shallow=False)


def main() -> int:
    """Generate, or compare when called with --check."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        generate(out)
        new = {path.name: path for path in (out / "automarket" / "v1").iterdir()}
        old = {path.name: path for path in STUBS.glob("*_pb2*")}
        if "--check" in sys.argv:
            differing = sorted(name for name in new.keys() | old.keys() if differs(new.get(name), old.get(name)))
            for name in differing:
                print(f"automarket/v1/{name} does not match proto/: run `make proto`")
            return 1 if differing else 0
        for path in old.values():
            path.unlink()
        for name, path in new.items():
            shutil.copyfile(path, STUBS / name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
