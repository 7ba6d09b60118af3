package adapter

import (
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// meLoRAConfig are the settings of MELoRA.
type meLoRAConfig struct {
	LowRank `yaml:",inline"`
	Groups  int `yaml:"groups" doc:"number of mini LoRAs side by side, each of method.rank on a slice of the width" range:"1..256" example:"4"`
}

// Validate returns a fault if the ranks of all groups together are more than a device supports.
func (c *meLoRAConfig) Validate() (faults []error) {
	if c.Rank >= 1 && c.Groups >= 1 && c.Rank*c.Groups > MaxRank {
		faults = append(faults, fmt.Errorf("method.groups: is %d with a rank of %d; want rank times groups to be at most %d",
			c.Groups, c.Rank, MaxRank))
	}
	return faults
}

var meLoRASpec = spec{
	new:          newMELoRA,
	about:        "MELoRA: mini LoRAs side by side on slices of the width, whose ranks add up",
	section:      func() section { return &meLoRAConfig{lowRankDefaults, 2} },
	learningRate: 1e-3,
	peftType:     "MELORA",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*meLoRAConfig)
		c.describeLoRA(own.LowRank)
		c.More = map[string]any{"groups": own.Groups}
	},
	library: "lor2c",
	load:    "Load it with `lor2c eval --adapter`. A holds the mini LoRAs' A one below the other, and so does B.",
}

// MELoRA adds to a linear layer, for each of n equal slices of its input and output, a LoRA of rank r that maps one to
// the other: LoRA with a block-diagonal A [n r, K] and B [M, n r] (Ren et al. 2024, arXiv:2402.17263, section 3.2). The
// blocks are stored as A [n r, K/n] and B [M, r].
type MELoRA struct {
	Plain
	pairs  map[model.Site]pair
	params []*tape.Param
}

func newMELoRA(b builder) (Method, error) {
	m, c := &MELoRA{pairs: map[model.Site]pair{}}, settingsOf[*meLoRAConfig](b)
	var odd error
	err := b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		switch {
		case odd != nil:
			return
		case in%c.Groups != 0 || out%c.Groups != 0:
			odd = fmt.Errorf("adapter: attach melora: method.groups is %d, and %s has %d inputs and %d outputs; want a divisor "+
				"of both", c.Groups, s.Path, in, out)
			return
		}
		w := pair{b.lowRankA(module, s.Layer, c.Groups*c.Rank, in/c.Groups), b.lowRankB(module, s.Layer, out, c.Rank),
			c.Scale(), float32(c.Dropout)}
		m.pairs[s], m.params = w, append(m.params, w.A, w.B)
	})
	if odd != nil {
		return nil, odd
	}
	return m, err
}

// Params lists A and B of every pair.
func (m *MELoRA) Params() []*tape.Param { return m.params }

// Hook adds the pairs' outputs to their linear layers. The shapes of A and B say how many groups there are.
func (m *MELoRA) Hook(At) model.Hook { return newPairsHook(m.pairs) }

// Fold returns the low-rank maps with the block-diagonal A [n r, K] and B [M, n r].
func (m *MELoRA) Fold(dev compute.Device) (list []Update, err error) {
	for s, w := range m.pairs {
		width, r := w.A.Value.Shape[1], w.B.Value.Shape[1]
		u := Update{Site: s, Out: w.B.Value.Shape[0], Rank: w.A.Value.Shape[0], Scale: w.scale}
		groups := u.Rank / r
		u.In = width * groups
		u.A, u.B = make([]float32, u.Rank*u.In), make([]float32, u.Out*u.Rank)
		for k, row := range slices.Collect(slices.Chunk(w.A.Values(dev), width)) {
			copy(u.A[k*u.In+k/r*width:], row)
		}
		for o, row := range slices.Collect(slices.Chunk(w.B.Values(dev), r)) {
			copy(u.B[o*u.Rank+o*groups/u.Out*r:], row)
		}
		list = append(list, u)
	}
	return inOrder(list), dev.Err()
}
