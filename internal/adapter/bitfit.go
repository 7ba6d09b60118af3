package adapter

import (
	"strings"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

var bitfitSpec = spec{
	new:          newBitFit,
	about:        "BitFit: the biases of the base model are trained, those of its norms among them",
	learningRate: 1e-3,
	trains:       isBias,
	peftType:     "BITFIT",
	library:      "lor2c",
	load:         "Load it with `lor2c eval --adapter`. It holds the biases of the base model, in place of the base's own.",
}

// isBias reports whether a parameter is a bias by its name in a checkpoint.
func isBias(name string) bool { return strings.HasSuffix(name, ".bias") }

// BitFit trains every bias of the base model and nothing else of it (Ben Zaken, Goldberg and Ravfogel 2022,
// arXiv:2106.10199, section 3). The biases of the layer norms are among them, as in the authors' code.
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

// Params lists the biases in the order of a forward pass.
func (m *BitFit) Params() []*tape.Param { return m.biases }

// Hook changes nothing: the biases themselves are trained.
func (m *BitFit) Hook(At) model.Hook { return model.Base{} }
