#!/bin/sh
# Runs every fuzz target of the module in sequence for the given time:
# sh scripts/fuzz.sh 10s. It stops at the first target that finds a fault; the
# input is then below testdata/fuzz of its package. Run by `make fuzz` from the
# root of the repository.
set -eu
time=${1:?usage: fuzz.sh TIME}

# One PACKAGE:NAME per line.
targets=$(grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' cmd internal kernels scripts | sed 's#/[^/]*:func #:#' | sort -u)
total=$(echo "$targets" | wc -l)
n=0
for target in $targets; do
  n=$((n + 1))
  echo "fuzz: $n of $total: $target"
  # Shortening an input that merely reaches new code would take most of the time.
  go test -run '^$' -fuzz "^${target#*:}\$" -fuzztime "$time" -fuzzminimizetime 1x "./${target%%:*}"
done
echo "fuzz: $total targets, $time each, no fault found"
