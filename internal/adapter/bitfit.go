package adapter

import (
	"strings"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

var bitfitSpec = spec{
	new:          newBitFit,
	about:        "BitFit: trains the biases of the base model, including those of its norms",
	learningRate: 1e-3,
	trains:       isBias,
	peftType:     "BITFIT",
	library:      "lor2c",
	load:         "Load it with `lor2c eval --adapter`. It contains biases that replace those of the base model.",
}

// isBias reports whether a parameter with this name in a checkpoint is a bias.
func isBias(name string) bool { return strings.HasSuffix(name, ".bias") }

// BitFit trains every bias of the base model and no other parameter of it (Ben
// Zaken, Goldberg and Ravfogel 2022, arXiv:2106.10199, section 3). As in the
// authors' code, these include the biases of the layer norms.
type BitFit struct {
	Plain
	noUpdates
	biases []*tape.Param
}

func newBitFit(b builder) (Method, error) {
	m := &BitFit{}
	for _, p := range b.Base() {
		if isBias(p.Name) {
			m.biases = append(m.biases, p)
		}
	}
	return m, nil
}

// Params returns the biases in the order of a forward pass.
func (m *BitFit) Params() []*tape.Param { return m.biases }

// Hook returns a Hook that changes nothing, because the biases of the model
// itself are trained.
func (m *BitFit) Hook(At) model.Hook { return model.Base{} }
