package adapter_test

import (
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/tape"
)

// recorder counts how often a pass draws the mask of each site.
type recorder struct {
	*nulldev.Device
	sites map[uint32]int
}

func (r recorder) note(drop compute.Dropout) {
	if drop.Active() {
		r.sites[drop.Site]++
	}
}

func (r recorder) Dropout(_, _ compute.Tensor, drop compute.Dropout) { r.note(drop) }

func (r recorder) LowRankDown(_, _, _ compute.Tensor, drop compute.Dropout) { r.note(drop) }

func (r recorder) LayerNorm(o compute.LayerNormArgs) { r.note(o.Drop) }

func (r recorder) Attention(_, _, _, _, _ compute.Tensor, o compute.AttnOpts) { r.note(o.Dropout) }

// TestMasks: no two dropouts of a step share a mask. If an adapter shared a
// mask with its layer, both paths would drop the same elements.
func TestMasks(t *testing.T) {
	// The model has one mask for the embedding, three in each of four layers, and
	// two in RoBERTa's head.
	const own = 1 + 4*3 + 2
	added := map[string]int{
		"lor2c": 4, "lor2c-share": 4, "lor2c-span-1-3": 2, "lor2c-spans-0-1-and-2-3": 2, "lora-query-value": 8,
		"lor2c-injected-1-and-3": 2 + 4, "lor2c-span-0-2-injected-3": 1 + 2, "share-span-2-3-injected-0": 2 + 2,
		"lora-linear": 24, "full": 0,
		"lora-rslora": 8, "lora-plus": 8, "sharelora-a": 8, "sharelora-b": 8, "sharelora-ab": 24, "sharelora-all": 24,
		"aslora": 8, "aslora-linear": 24,
		"dylora": 8, "pissa": 8,
		"pissa-exact": 24,
		"olora":       8, "vera": 8, "vera-linear": 24, "melora": 8, "melora-linear": 24, "adalora": 8, "adalora-linear": 24,
		"ia3": 0, "dora": 8, "dora-linear": 24, "ia3-linear": 0,
		"bitfit": 0, "head": 0,
		"reslora-is": 8, "reslora-bs": 24, "reslora-ms": 8, "reslora-ms-all": 24, "adapter-pfeiffer": 0, "adapter-houlsby": 0,
		"hydralora": 8, "loramoe": 8, "loramoe-query": 8, "adamix": 0, "adamix-up": 0, "adamix-lora": 8, "prefix": 0,
	}
	for _, m := range methods {
		t.Run("method="+m.name, func(t *testing.T) {
			r := recorder{nulldev.Open(4), map[uint32]int{}}
			n := attach(t, r, "roberta", m.config, m.merge)
			// Only the forward pass counts, because gradients draw the same masks again.
			tp := &tape.Tape{Dev: r, Train: true}
			n.Model.Forward(n.Model.NewPass(tp, join(micro()), n.Method.Hook(adapter.At{})))
			for site, times := range r.sites {
				if times != 1 {
					t.Errorf("site %d is drawn %d times in one pass", site, times)
				}
			}
			if got, want := len(r.sites), own+added[m.name]; got != want {
				t.Errorf("%d sites draw a mask; want %d", got, want)
			}
		})
	}
}
