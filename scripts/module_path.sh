#!/bin/sh
# This script renames the Go module: sh scripts/module_path.sh example.org/me/lor2c. It
# rewrites go.mod and every import path. Nothing else in the repository contains the
# module's path.
set -eu
cd "$(dirname "$0")/.."
new=${1:?usage: module_path.sh NEW/PATH}
old=$(go list -m)
go mod edit -module "$new"
git grep -l "\"$old/" -- '*.go' | xargs sed -i "s#\"$old/#\"$new/#g"
gofmt -w $(git ls-files '*.go')
go build ./...
