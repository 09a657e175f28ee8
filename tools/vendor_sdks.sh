#!/usr/bin/env bash
# Set up the vendors' own Python SDKs, which judge the stand-ins of the tests, each in an environment of its own under
# .cache: their pins clash, and nothing else needs them. Without them those tests are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

install() {
  local name=$1 lock=requirements/sdk-$1.txt venv=.cache/sdk-$1
  [ "$(cat "$venv/.installed" 2>/dev/null)" = "$(sha256sum <"$lock")" ] && return 0
  printf 'setup: installing Python packages of %s\n' "$lock"
  rm -rf "$venv"
  "${AUTOMARKET_PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" || return 1
  sha256sum <"$lock" >"$venv/.installed"
}

for name in openai anthropic together fal replicate elevenlabs; do
  install "$name" || printf 'setup: pip could not install requirements/sdk-%s.txt; going on without\n' "$name" >&2
done
