#!/bin/sh
# This script unpacks the CUDA compiler of scripts/toolchain.txt into .toolchain. It
# downloads 166 MB from the Python package index and checks their hashes. It does nothing
# if the compiler is already there.
set -eu
cd "$(dirname "$0")/.."

fail() {
  echo "toolchain: $1; install CUDA 11.8 or later with nvcc on PATH or in CUDA_HOME, or Python with pip" >&2
  exit 1
}

if cmp -s scripts/toolchain.txt .toolchain/packages.txt; then exit 0; fi
test "$(uname -sm)" = "Linux x86_64" || fail "the compiler is for Linux x86_64, not $(uname -sm)"
python3 -m pip --version >/dev/null 2>&1 || fail "fetching the compiler needs Python with pip, which is missing"

new=$(mktemp -d .toolchain.XXXXXX)
trap 'rm -rf "$new"' EXIT
total=$(grep -c '^[^#]' scripts/toolchain.txt)
echo "toolchain: fetching a CUDA compiler into .toolchain: $total packages, 166 MB"
n=0
grep '^[^#]' scripts/toolchain.txt | while read -r package; do
  n=$((n + 1))
  echo "toolchain: $n of $total: ${package%% *}"
  echo "$package" > "$new/one.txt"
  python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    -r "$new/one.txt" -d "$new/wheels" || exit 1
done || fail "the packages of scripts/toolchain.txt could not be fetched"
for wheel in "$new"/wheels/*.whl; do
  case $wheel in
  *_cu11-*) into=$new/cu11 ;;
  *_cu12-*) into=$new/cu12 ;;
  *) into=$new/cu13 ;;
  esac
  python3 -m zipfile -e "$wheel" "$into"
done

mv "$new/cu13/nvidia/cu13" "$new/cuda"
mv "$new/cu12/nvidia/cuda_nvcc/bin/ptxas" "$new/cuda/bin/ptxas-12.9"
mv "$new/cu11/nvidia/cuda_nvcc/bin/ptxas" "$new/cuda/bin/ptxas-11.8"
rm -rf "$new/wheels" "$new/one.txt" "$new"/cu1? "$new"/cuda/lib "$new"/cuda/bin/nvlink
chmod +x "$new"/cuda/bin/* "$new"/cuda/nvvm/bin/*
"$new/cuda/bin/nvcc" --version >/dev/null || fail "nvcc does not run here"
cp scripts/toolchain.txt "$new/packages.txt"
chmod 755 "$new"
rm -rf .toolchain
mv "$new" .toolchain
