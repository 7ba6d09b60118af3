#!/bin/sh
# This script packs a folder with everything that gpu-check needs on a machine that has a
# card but neither Go nor a network. `make gpu-bundle` runs it from the root of the
# repository.
set -eu
out=build/gpu-bundle
rm -rf "$out"
# Each test runs in the folder of its package, as under `go test`.
mkdir -p "$out/bin" "$out/testdata" "$out/configs" "$out/internal/gpu/driver" "$out/internal/train"

# Matrix products run in Go, because that machine may not have OpenBLAS.
export CGO_LDFLAGS=
go build -trimpath -ldflags='-s -w' -o "$out/gpu-check" ./cmd/gpu-check
# The version of the binary contains the commit, which gpu-check reports.
go build -buildvcs=auto -tags cuda -trimpath -ldflags='-s -w' -o "$out/bin/lor2c" ./cmd/lor2c
# The tests of the kernels have code with line numbers instead, for compute-sanitizer.
{
  printf '{"Replace":{'
  comma=
  for archive in "$PWD"/build/kernels-lines/archives/*.tar.gz; do
    printf '%s"%s":"%s"' "$comma" "$PWD/kernels/build/${archive##*/}" "$archive"
    comma=,
  done
  printf '}}\n'
} > build/kernels-lines/overlay.json
go test -c -overlay build/kernels-lines/overlay.json -tags cuda -trimpath -ldflags='-s -w' -o "$out/bin/gpu.test" \
  ./internal/gpu
go test -c -tags cuda -trimpath -ldflags='-s -w' -o "$out/bin/driver.test" ./internal/gpu/driver
go test -c -tags cuda -trimpath -ldflags='-s -w' -o "$out/bin/train.test" ./internal/train
cp -r testdata/golden testdata/golden_events testdata/golden_loss testdata/golden_multilabel "$out/testdata/"
cp configs/demo.yaml "$out/configs/"
cp -r demo "$out/"

tar czf "$out.tar.gz" -C build gpu-bundle
size=$(du -m "$out.tar.gz" | cut -f1)
if [ "$size" -gt 80 ]; then
  echo "gpu-bundle: $out.tar.gz has $size MiB; want at most 80, so that it is easy to copy" >&2
  exit 1
fi
echo "$out.tar.gz, $size MiB; unpack it on the machine with the card and run ./gpu-check in it"
