#!/bin/sh
# Prints the Python interpreter that the tests of lor2c_peft run with. It is LOR2C_PYTHON, or one in the user's cache
# that this script makes from python/requirements-test.txt, which takes 2.3 GB of the Python package index. If neither
# can be had, the reason is on standard error and the exit status is 1.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "python_env: $1; set LOR2C_PYTHON to a Python with the packages of python/requirements-test.txt" >&2
  exit 1
}

works() {
  "$1" -c 'import torch, gguf, peft, transformers, safetensors, pytest, nbclient, ipykernel, matplotlib' 2>/dev/null
}

if [ -n "${LOR2C_PYTHON:-}" ]; then
  works "$LOR2C_PYTHON" || fail "LOR2C_PYTHON, $LOR2C_PYTHON, lacks a package"
  echo "$LOR2C_PYTHON"
  exit
fi
test "$(uname -sm)" = "Linux x86_64" || fail "the packages are for Linux x86_64, not $(uname -sm)"
env=${XDG_CACHE_HOME:-$HOME/.cache}/lor2c/python-$(sha256sum python/requirements-test.txt | cut -c1-12)
if [ ! -x "$env/bin/python" ]; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail "there is no Python 3.11 or later"
  mkdir -p "$(dirname "$env")"
  new=$(mktemp -d "$env.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  test "$(df -Pk "$new" | awk 'NR==2 {print $4}')" -gt 8000000 || fail "$new has less than 8 GB of room"
  echo "python_env: fetching the packages of python/requirements-test.txt, 2.3 GB" >&2
  python3 -m venv "$new" && "$new/bin/python" -m pip install -q --disable-pip-version-check --no-cache-dir --no-deps \
    --only-binary :all: -r python/requirements-test.txt >&2 || fail "they could not be fetched"
  works "$new/bin/python" || fail "a package cannot be imported"
  # An environment has absolute paths in its scripts, which nothing here runs.
  mv -T "$new" "$env" 2>/dev/null || test -x "$env/bin/python" # another process may have been faster
fi
echo "$env/bin/python"
