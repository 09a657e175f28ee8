#!/usr/bin/env bash
# Write the lock files in requirements/ anew from pyproject.toml: every package pinned with its hashes, for Python 3.11
# to 3.13. Run by `make lock`.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=.cache/lock-venv/bin/uv
if [ ! -x "$uv" ]; then
  "${AUTOMARKET_PYTHON:-python3}" -m venv .cache/lock-venv
  .cache/lock-venv/bin/pip install --quiet uv
fi

lock() {
  local name=$1
  shift
  "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
    "$@" --output-file "requirements/$name.txt"
}

lock demo pyproject.toml --extra mesh --extra docker --extra pocketsphinx --group build "$@"
lock test pyproject.toml --extra mesh --extra docker --extra pocketsphinx --extra flite --extra ffmpeg \
  --extra faster-whisper --group build --group dev "$@"
lock engines pyproject.toml --extra mesh --extra flite --extra ffmpeg "$@"
# For one Python and Linux: pip would read markers as the Python that runs it, not as the one of the image.
lock test-backends --no-universal --python-platform linux --group test-backends "$@"
lock proto --group proto "$@"
lock bench-litellm --group bench-litellm "$@"
for name in openai anthropic together fal replicate elevenlabs; do
  lock "sdk-$name" --group "sdk-$name" "$@"
done
lock llama-cpp --group llama-cpp --no-emit-package llama-cpp-python "$@"
lock llama-cpp-build --no-deps --no-binary llama-cpp-python --group llama-cpp-build "$@"
