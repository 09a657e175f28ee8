#!/usr/bin/env bash
# Write the stubs in automarket/v1 anew from proto/, or with --check only compare. The generator is older than the
# runtime on purpose, so it has an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=.cache/proto-venv
stamp=$venv/.installed
if [ "$(cat "$stamp" 2>/dev/null)" != "$(sha256sum <requirements/proto.txt)" ]; then
  rm -rf "$venv"
  .venv/bin/python -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/proto.txt
  sha256sum <requirements/proto.txt >"$stamp"
fi
"$venv/bin/python" tools/generate_stubs.py "$@"
