#!/usr/bin/env bash
# Everything that must hold and needs no running mesh. Every check runs; the exit code says whether one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
failed=0

check() {
  local name=$1
  shift
  if output=$("$@" 2>&1); then
    printf 'ok      %s\n' "$name"
  else
    printf 'FAILED  %s\n%s\n' "$name" "$output"
    failed=1
  fi
}

# The contract may grow but not break what clients of the last commit on main rely on. A clone without history has
# nothing to compare with but itself.
breaking() {
  local base
  base=$(git rev-parse --verify --quiet origin/main || git rev-parse --verify --quiet main || git rev-parse HEAD)
  "$bin/buf" breaking --against ".git#ref=$base"
}

check "ruff format" "$bin/ruff" format --check --quiet .
check "ruff" "$bin/ruff" check --quiet .
check "pyright" "$bin/pyright"
check "buf lint" "$bin/buf" lint
check "buf format" "$bin/buf" format --diff --exit-code
check "buf breaking" breaking
check "stubs match the protos" tools/proto.sh --check
check "floors" "$bin/python" tools/check_floors.py
check "docs links" "$bin/python" tools/check_links.py
exit $failed
