package serve

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/train"
)

// lengths is a model that predicts the length of a text.
type lengths struct {
	// before, if it is set, is called before a batch is computed.
	before   func(ctx context.Context, texts []dataset.Example) error
	fault    error // of Load
	unloaded atomic.Bool
	closed   atomic.Bool
}

func (l *lengths) Task(int) adapter.Task { return adapter.Task{} }

func (l *lengths) Load(compute.Device) error { return l.fault }

func (l *lengths) Unload() { l.unloaded.Store(true) }

func (l *lengths) Close() { l.closed.Store(true) }

func (l *lengths) Outputs(ctx context.Context, _ string, texts []dataset.Example) ([]train.Outputs, error) {
	if l.unloaded.Load() {
		return nil, errors.New("the adapter was unloaded and is used")
	}
	if l.before != nil {
		if err := l.before(ctx, texts); err != nil {
			return nil, err
		}
	}
	out := train.Outputs{Cut: make([]bool, len(texts))}
	for _, x := range texts {
		out.Values = append(out.Values, float32(len(x.TextA)))
	}
	return []train.Outputs{out}, nil
}

// fakeServer returns a server of models called a, b and so on.
func fakeServer(t *testing.T, o Options, models ...*lengths) *Server {
	t.Helper()
	var adapters []Adapter[Model]
	for i, m := range models {
		adapters = append(adapters, Adapter[Model]{Name: string(rune('a' + i)), Model: m})
	}
	return NewLabels(o, cpu.Open[float32](1), adapters, func(string) (Model, error) { return &lengths{}, nil })
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
