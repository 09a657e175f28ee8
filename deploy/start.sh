#!/bin/sh
# Start a process of the mesh: start.sh MODULE [ARGUMENT ...]. Its temporary files are beside the assets, so that an
# output is handed over without being copied; what the last one left there is removed.
set -eu
export TMPDIR="/data/tmp/$PROCESS"
rm -rf "$TMPDIR"
mkdir -p "$TMPDIR"
exec python -P -m "$@"
