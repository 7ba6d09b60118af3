package adapter_test

import (
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/tape"
)

// TestModulesMeetBehindNorms: a module ends, and the next begins, directly
// after the norm that wrote their rows, so that a device can fuse the three
// ops. If a module ends with the last layer, only the rows of first tokens are
// read.
func TestModulesMeetBehindNorms(t *testing.T) {
	want := map[string][2]int{ // number of norms that are followed by an end and a beginning, and by an end only
		"lor2c": {2, 4}, "lor2c-share": {2, 4}, "lor2c-span-1-3": {0, 2}, "lor2c-injected-1-and-3": {0, 2},
		"lor2c-spans-0-1-and-2-3": {0, 2}, "lora-query-value": {0, 0},
	}
	for _, m := range methods {
		if _, ok := want[m.name]; !ok {
			continue
		}
		t.Run("method="+m.name, func(t *testing.T) {
			dev := nulldev.Open(4)
			n := attach(t, dev, "roberta", m.config, m.merge)
			tp := &tape.Tape{Dev: dev, Train: true}
			pass := n.Model.NewPass(tp, join(micro()), n.Method.Hook(adapter.At{}))
			dev.Ops = nil
			n.Model.Forward(pass)
			ops := strings.Join(dev.Ops, " ")
			got := [2]int{strings.Count(ops, "LayerNorm LowRankUp LowRankDown"), strings.Count(ops, "LayerNorm LowRankUp")}
			if got != want[m.name] {
				t.Errorf("%d norms with an end and a beginning, %d with an end; want %v; ops: %s", got[0], got[1], want[m.name],
					ops)
			}
		})
	}
}
