#!/usr/bin/env bash
# Set up LiteLLM's proxy, which `make bench-llm` compares with, in an environment of its own under .cache. OpenAI's SDK is
# there from `make setup`. Where one is missing, the measurements say so.
set -euo pipefail
cd "$(dirname "$0")/.."

lock=requirements/bench-litellm.txt venv=.cache/bench-litellm
[ "$(cat "$venv/.installed" 2>/dev/null)" = "$(sha256sum <"$lock")" ] && exit 0
printf 'setup: installing Python packages of %s\n' "$lock"
rm -rf "$venv"
.venv/bin/python -m venv "$venv"
if "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"; then
  sha256sum <"$lock" >"$venv/.installed"
else
  printf 'setup: pip could not install %s; going on without\n' "$lock" >&2
fi
