#!/bin/sh
# The demo fine-tunes a real pre-trained encoder on real sentences, once with the head
# only and once with LoR2C. `make demo` runs it from the root of the repository.
set -eu
runs=runs/demo
rm -rf "$runs"

majority=$(cut -f2 demo/data/test.tsv | sed 1d | sort | uniq -c | sort -rn |
  awk 'NR==1 {top=$1} {n+=$1} END {printf "%.4f", top/n}')

echo "== head only: the frozen encoder and a trained classifier"
bin/lor2c train -c configs/demo.yaml --set method.name=head --out "$runs/head"
echo
echo "== LoR2C: a low-rank residual connection around every frozen layer"
bin/lor2c train -c configs/demo.yaml --out "$runs/lor2c"

score() { bin/lor2c eval --run "$1" --split test --json | sed 's/.*"accuracy":\([0-9.]*\).*/\1/'; }
echo
echo "== accuracy on the 1,000 test sentences, which neither run has seen"
printf '%-22s %s\n' "majority class" "$majority" \
  "head only" "$(score "$runs/head")" \
  "LoR2C" "$(score "$runs/lor2c")"
echo
echo "adapter: $runs/lor2c/best    logs: $runs/lor2c"
echo "again:   bin/lor2c eval --run $runs/lor2c --split test"
