#!/bin/sh
# Builds the release into build/release: an archive for each platform, a bill of
# materials (CycloneDX) of each binary, the wheel of the Python package, and SHA256SUMS.
#
#   sh scripts/release.sh [OS/ARCH ...]
#
# The same commit, Go release and, for linux/amd64, C compiler and kernels give the
# same bytes; scripts/release_check.sh compares. Run by `make release`, which
# compiles the CUDA kernels first, from the root of the repository.
set -eu
targets=${*:-linux/amd64 linux/arm64 darwin/arm64 darwin/amd64 windows/amd64}
out=build/release
sbom=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

epoch=$(git log -1 --format=%ct)
export TZ=UTC LC_ALL=C
umask 022
rm -rf "$out"
mkdir -p "$out/common/completions"

# The binary of this machine writes the files that are the same on every
# platform.
CGO_ENABLED=0 go build -trimpath -tags man -o "$out/native" ./cmd/lor2c
for shell in bash zsh fish powershell; do
  "$out/native" completion "$shell" > "$out/common/completions/lor2c.$shell"
done
mkdir "$out/common/man"
SOURCE_DATE_EPOCH=$epoch "$out/native" man "$out/common/man"
cp LICENSE NOTICE THIRD_PARTY_LICENSES README.md CHANGELOG.md "$out/common/"

build() { # build OS ARCH FILE
  export GOOS="$1" GOARCH="$2" CGO_ENABLED=0 CGO_LDFLAGS= CGO_CFLAGS=
  set -- -buildvcs=true -trimpath -ldflags='-s -w -buildid=' -o "$3" ./cmd/lor2c
  if [ "$GOOS/$GOARCH" = linux/amd64 ] && [ -f kernels/build/compute_80.tar.gz ]; then
    # The build has the CUDA device, which needs cgo, but not OpenBLAS, which
    # users would have to install.
    export CGO_ENABLED=1 CGO_CFLAGS="-O2 -I$PWD/internal/gpu/culazy/include"
    set -- -tags cuda "$@"
  fi
  go build "$@"
}

# too_large fails for a binary of more than 48 MB, the size of the largest with some
# room.
too_large() { # too_large FILE
  bytes=$(wc -c < "$1")
  if [ "$bytes" -gt 48000000 ]; then
    echo "release: $1 has $bytes bytes; want at most 48,000,000" >&2
    exit 1
  fi
}

for target in $targets; do
  os=${target%/*} arch=${target#*/} exe=
  [ "$os" = windows ] && exe=.exe
  echo "release: $target"
  (build "$os" "$arch" "$out/lor2c$exe")
  too_large "$out/lor2c$exe"
  version=$(go version -m "$out/lor2c$exe" | awk '$1 == "mod" { print $3 }')
  name=lor2c-$version-$os-$arch
  cp -r "$out/common" "$out/$name"
  mv "$out/lor2c$exe" "$out/$name/"
  # go run reports its progress on standard error, which is shown only if it fails.
  go run "$sbom" bin -json -std -noserial -notimestamp \
    -output "$out/$name.cdx.json" "$out/$name/lor2c$exe" 2> "$out/sbom.log" ||
    { cat "$out/sbom.log" >&2; exit 1; }
  find "$out/$name" -exec touch -d "@$epoch" {} +
  if [ "$os" = windows ]; then
    (cd "$out" && find "$name" -type f | sort | zip -q -X -9 "$name.zip" -@)
  else
    tar --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -C "$out" -cf - "$name" |
      gzip -9n > "$out/$name.tar.gz"
  fi
  rm -rf "${out:?}/$name"
done
rm -rf "$out/common" "$out/native" "$out/sbom.log"

# The package that loads LoR2C adapters in Python. hatchling, whose version python/pyproject.toml pins, comes from the
# Python package index.
echo "release: lor2c_peft"
python3 -m pip --version >/dev/null 2>&1 || { echo "release: the Python wheel needs python3 with pip" >&2; exit 1; }
SOURCE_DATE_EPOCH=$epoch python3 -m pip wheel -q --disable-pip-version-check --no-deps --no-cache-dir -w "$out" ./python
(cd "$out" && sha256sum -- * > ../SHA256SUMS && mv ../SHA256SUMS .)
cat "$out/SHA256SUMS"
