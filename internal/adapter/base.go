package adapter

import (
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

var fullSpec = spec{
	new:          newFull,
	about:        "full fine-tuning: every parameter of the base model is trained",
	learningRate: 5e-5,
	trains:       func(string) bool { return true },
	library:      "transformers",
	load:         "Load it with `AutoModelForSequenceClassification.from_pretrained` or with `lor2c eval --adapter`.",
}

var headSpec = spec{
	new:          newHead,
	about:        "only the classification head, on a frozen base model",
	learningRate: 1e-3,
	peftType:     "HEAD",
	library:      "lor2c",
	load:         "Load it with `lor2c eval --adapter`. It contains only the classification head.",
}

// Full trains every parameter of the encoder.
type Full struct {
	Plain
	noUpdates
	params []*tape.Param
}

func newFull(b builder) (Method, error) {
	return &Full{params: b.Base()}, nil
}

// Params returns the parameters of the encoder.
func (m *Full) Params() []*tape.Param { return m.params }

// Hook returns a Hook that changes nothing, because the parameters of the model
// itself are trained.
func (m *Full) Hook(At) model.Hook { return model.Base{} }

// Head trains only the classification head. It is a baseline: every other
// method should score better.
type Head struct {
	Plain
	noUpdates
}

func newHead(builder) (Method, error) { return Head{}, nil }

// Params returns nil.
func (Head) Params() []*tape.Param { return nil }

// Hook returns a Hook that changes nothing.
func (Head) Hook(At) model.Hook { return model.Base{} }
