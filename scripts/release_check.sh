#!/bin/sh
# Builds the release of some platforms twice, the second time in a clone elsewhere
# and without Go's build cache, and fails if a byte differs:
#
#   sh scripts/release_check.sh OS/ARCH ...
#
# Run from the root of the repository, whose changes must be committed.
set -eu
: "${1:?usage: release_check.sh OS/ARCH ...}"
if [ -n "$(git status --porcelain)" ]; then
  echo "release_check: the working tree has changes, which a clone lacks; commit them first" >&2
  exit 1
fi
twin=$(mktemp -d)
trap 'chmod -R u+w "$twin" && rm -rf "$twin"' EXIT
git clone -q . "$twin/lor2c"
cp kernels/build/*.tar.gz "$twin/lor2c/kernels/build/" 2>/dev/null || true # none without a CUDA compiler

sh scripts/release.sh "$@"
(cd "$twin/lor2c" && GOCACHE="$twin/cache" sh scripts/release.sh "$@" > /dev/null)
diff -r build/release "$twin/lor2c/build/release"
echo "release_check: both builds of $* are equal, byte for byte"
