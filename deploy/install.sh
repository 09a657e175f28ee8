#!/bin/sh
# Run by deploy/Dockerfile: `install.sh packages` makes /opt/packages, an environment with all that is locked, and
# `install.sh mesh` /opt/mesh, the mesh itself. So a change of the mesh is a small layer.
set -eu

certificates=/etc/ssl/certs/ca-certificates.crt
if command -v update-ca-certificates >/dev/null; then update-ca-certificates >/dev/null; fi
if [ -e "$certificates" ]; then export PIP_CERT=$certificates; fi
export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_QUIET=1

python=/opt/packages/bin/python
if [ ! -e "$python" ]; then python3 -m venv --without-pip /opt/packages; fi
wheel=$(ls /wheels/pip-*.whl 2>/dev/null || true)
if [ -n "$wheel" ]; then
  export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
  pip() { PYTHONPATH=$wheel "$python" -m pip "$@"; }
else
  pip() { python3 -m pip --python "$python" "$@"; }
fi

case $1 in
packages)
  # The second list adds FFmpeg as a wheel: Debian's has two hundred packages behind it.
  pip install --require-hashes -r requirements/demo.txt
  pip install --require-hashes -r requirements/engines.txt
  "$python" -c 'import pathlib, site; pathlib.Path(site.getsitepackages()[0], "mesh.pth").write_text("/opt/mesh\n")'
  ;;
mesh)
  pip install --no-deps --no-build-isolation --target /opt/mesh .
  cp deploy/start.sh /opt/mesh/
  ;;
esac
