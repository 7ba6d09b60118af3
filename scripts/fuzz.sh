#!/bin/sh
# Runs every fuzz target of the module in sequence for the given time:
# sh scripts/fuzz.sh 10s. It stops at the first target that finds a fault; the
# input is then below testdata/fuzz of its package. Run by `make fuzz` from the
# root of the repository.
set -eu
time=${1:?usage: fuzz.sh TIME}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# One PACKAGE:NAME per line.
targets=$(grep -r --include='*_test.go' -o '^func Fuzz[A-Za-z0-9_]*' cmd internal kernels scripts |
  sed 's#/[^/]*:func #:#' | sort -u)
total=$(echo "$targets" | wc -l)
n=0
for target in $targets; do
  n=$((n + 1))
  echo "fuzz: $n of $total: $target"
  # Shortening an input that merely reaches new code would take most of the time.
  status=0
  go test -run '^$' -fuzz "^${target#*:}\$" -fuzztime "$time" -fuzzminimizetime 1x "./${target%%:*}" \
    >"$log" 2>&1 || status=$?
  cat "$log"
  test "$status" -eq 0 && continue
  # Go's fuzzer sometimes reports its own deadline as a failure (golang/go#75804). A fault
  # that an input causes names the input's file, a crash of the worker says so, and a seed
  # that fails stands as a subtest; a deadline has none of them.
  if grep -q '^ *context deadline exceeded$' "$log" &&
    ! grep -q -e 'Failing input' -e 'panic' -e 'terminated unexpectedly' -e '--- FAIL: .*/' "$log"; then
    echo "fuzz: $target ended at its deadline without a failing input"
    continue
  fi
  exit "$status"
done
echo "fuzz: $total targets, $time each, no fault found"
