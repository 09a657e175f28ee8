#!/usr/bin/env bash
# Set up llama.cpp's server for Python in .cache/llama-cpp, an environment of its own: the real engine behind OpenAI's API
# in the tests. It is compiled with as little in it as serves a tiny model, which takes some minutes the first time; the
# wheel is kept in the user's cache folder, for every checkout. What is lacking is written to .cache/llama-cpp.missing.
set -euo pipefail
cd "$(dirname "$0")/.."
source=requirements/llama-cpp-build.txt deps=requirements/llama-cpp.txt venv=.cache/llama-cpp missing=.cache/llama-cpp.missing
built=$(cat "$source" tools/llama_cpp.sh | sha256sum | cut -c1-16)-$(uname -m)
version="$built $(sha256sum <"$deps")"
wheels=${XDG_CACHE_HOME:-$HOME/.cache}/automarket/llama-cpp/$built

fail() {
  printf '%s\n' "$1" | tee "$missing" >&2
  exit 1
}

[ "$(cat "$venv/.installed" 2>/dev/null)" = "$version" ] && exit 0
mkdir -p .cache
rm -rf "$venv" "$missing"
"${AUTOMARKET_PYTHON:-python3}" -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet --require-hashes -r "$deps" || fail "pip could not install $deps"

build() {
  local work define
  work=$(mktemp -d)
  trap 'rm -rf "$work"' RETURN
  # Nothing of this library is used by the server for Python, and it takes half of the time.
  echo 'set(LLAMA_BUILD_COMMON OFF)' >"$work/only.cmake"
  define=(LLAVA_BUILD=OFF "CMAKE_PROJECT_INCLUDE=$work/only.cmake" CMAKE_C_FLAGS_RELEASE=-O1 CMAKE_CXX_FLAGS_RELEASE=-O1)
  for name in NATIVE OPENMP LLAMAFILE CPU_REPACK AVX AVX2 FMA F16C BMI2 SSE42 ALL_WARNINGS; do
    define+=("GGML_$name=OFF")
  done
  mkdir -p "$wheels"
  # pip gives settings of the build only to what is named on its command line, so the sources are fetched before.
  "${pip[@]}" download --no-deps --no-build-isolation --require-hashes -r "$source" -d "$work" >"$wheels/build.log" 2>&1 &&
    CMAKE_BUILD_PARALLEL_LEVEL=$(nproc) nice "${pip[@]}" wheel -v --no-deps --no-build-isolation "$work"/*.tar.gz -w "$work" \
      -C cmake.build-type=Release -C build.targets=llama -C cmake.define.LLAMA_ALL_WARNINGS=OFF \
      "${define[@]/#/-Ccmake.define.}" >>"$wheels/build.log" 2>&1 || return 1
  mv "$work"/*.whl "$wheels/"
}

if ! ls "$wheels"/*.whl >/dev/null 2>&1; then
  for program in cmake c++ ninja; do
    command -v "$program" >/dev/null || fail "llama.cpp needs $program to be built; run: apt install cmake g++ ninja-build"
  done
  echo "setup: building llama.cpp; this takes some minutes, once"
  build || fail "llama.cpp could not be built; $wheels/build.log says why"
fi
"${pip[@]}" install --quiet --no-deps "$wheels"/*.whl || fail "pip could not install $wheels"
echo "$version" >"$venv/.installed"
