#!/bin/sh
# The demo of decoders: what a tiny decoder writes before and after LoR2C. Run by `make demo-decoder` from the root of
# the repository.
set -eu
run=runs/demo-decoder
rm -rf "$run"

# Neither pair of animal and place is in the training data.
write() {
  # The base model does not know its end token, so the text is cut after the words that end a story.
  bin/lor2c generate "$@" --max-new-tokens 60 --stop "The end." -p "A story about a mouse and the house:" \
    -p "A story about a fish and the forest:"
}
echo "== before: the decoder as it comes"
write --model demo/decoder
echo
echo "== LoR2C on 42 stories of one form"
bin/lor2c train -c configs/demo-decoder.yaml --out "$run"
echo
echo "== after: two pairs of animal and place that the run has not seen"
write --adapter "$run/best"
