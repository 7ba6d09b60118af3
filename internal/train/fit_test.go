package train

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/place"
)

// bounded is a device that reports its free memory, until something is
// allocated.
type bounded struct {
	compute.Device
	free   int64
	host   bool
	allocs int
}

func (b *bounded) Stats() compute.Stats {
	s := b.Device.Stats()
	s.Free, s.Host = b.free, b.host
	return s
}

func (b *bounded) Alloc(s compute.Shape, d compute.DType) tensor {
	b.allocs++
	return b.Device.Alloc(s, d)
}

// loaded returns a session of c and its splits.
func loaded(t *testing.T, c *config.Config) (s *Session, train, dev data) {
	t.Helper()
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if train, err = s.load(t.Context(), "train", true); err != nil {
		t.Fatal(err)
	}
	if dev, err = s.load(t.Context(), "dev", true); err != nil {
		t.Fatal(err)
	}
	return s, train, dev
}

func planned(t *testing.T, c *config.Config, on compute.Device) Plan {
	t.Helper()
	s, train, dev := loaded(t, c)
	p, err := s.plan(on, train, dev, adapter.Settings{Config: s.Config.Method, Seed: s.Config.Seed})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFit: a run that does not fit ends before anything is allocated, and with
// each change that the error names it fits.
func TestFit(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	c.Train.Epochs = 1
	dev := cpu.Open[float32](2)
	whole := planned(t, c, dev)
	refuse := func(t *testing.T, free int64) string {
		t.Helper()
		b := &bounded{Device: dev, free: free}
		o := quiet(2)
		o.Device = b
		_, err := Run(context.Background(), c, o)
		if !errors.Is(err, compute.ErrOutOfMemory) || b.allocs != 0 || errors.Is(err, ErrDevice) {
			t.Fatalf("error %v after %d allocations; want ErrOutOfMemory before the first", err, b.allocs)
		}
		if exists(c.Out) {
			t.Errorf("%v were left", tree(t, c.Out))
		}
		want := fmt.Sprintf("train: plan: %s needed for 8 examples of up to ", place.Bytes(whole.Total()))
		if s := err.Error(); !strings.HasPrefix(s, want) || !strings.Contains(s, place.Bytes(free)+" free; ") ||
			strings.Contains(s, "\n") {
			t.Errorf("error %q; want %q and what is free in one line", s, want)
		}
		return err.Error()
	}
	setting := regexp.MustCompile(`([a-z_.]+)=(\w+)(?: with (train.eval_batch_size)=(\d+))? needs ([0-9.]+ [MG]iB)`)
	for _, free := range []int64{whole.Total() - 1, whole.Weights + whole.Trained + whole.Arena/2,
		whole.Weights + whole.Trained + whole.Arena/3} {
		t.Run(fmt.Sprintf("free=%d", free), func(t *testing.T) {
			found := setting.FindAllStringSubmatch(refuse(t, free), -1)
			if len(found) != 2 || !strings.HasPrefix(found[0][0], "train.micro_batch_size=") ||
				!strings.HasPrefix(found[1][0], "train.precision=bfloat16") {
				t.Fatalf("changes %q; want smaller micro-batches and bfloat16", found)
			}
			for _, m := range found {
				other := *c
				var on compute.Device = dev
				switch m[1] {
				case "train.precision":
					on = narrow{dev, false}
				default:
					fmt.Sscan(m[2], &other.Train.MicroBatchSize)
					if m[3] != "" {
						fmt.Sscan(m[4], &other.Train.EvalBatchSize)
					}
				}
				if p := planned(t, &other, on); p.Total() > free || place.Bytes(p.Total()) != m[5] {
					t.Errorf("with %s it needs %d bytes of %d", m[0], p.Total(), free)
				}
			}
		})
	}
	t.Run("free=little", func(t *testing.T) {
		if s := refuse(t, 1000); !strings.Contains(s,
			"; even with train.micro_batch_size 1, bfloat16 or shorter texts it does not fit; "+
				"use a GPU with more memory: ") {
			t.Error(s)
		}
	})
	t.Run("device=host", func(t *testing.T) {
		o := quiet(2)
		for free, want := range map[int64]string{
			whole.Total() - 1: "free; train.micro_batch_size=4 needs ",
			1000: "free; even with train.micro_batch_size 1 or shorter texts it does not fit; " +
				"use a machine with more memory, or raise the memory limit: ",
		} {
			o.Device = &bounded{Device: dev, free: free, host: true}
			_, err := Run(context.Background(), c, o)
			if !errors.Is(err, compute.ErrOutOfMemory) || !strings.Contains(err.Error(), want) ||
				strings.Contains(err.Error(), "bfloat16") {
				t.Errorf("with %d bytes free: %v; want %q and no other precision", free, err, want)
			}
		}
	})
	t.Run("free=enough", func(t *testing.T) {
		o := quiet(2)
		o.Device = &bounded{Device: dev, free: whole.Total()}
		if _, err := Run(context.Background(), c, o); err != nil {
			t.Error(err)
		}
	})
}

// TestFitLength: if only shorter texts would help, the error names them.
func TestFitLength(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 24)
	c.Train.BatchSize, c.Train.MicroBatchSize, c.Train.EvalBatchSize, c.Train.Precision = 1, 1, 1, config.BFloat16
	c.Train.Quantize = config.QuantizeNF4
	dev := narrow{cpu.Open[float32](2), false}
	short := *c
	short.Data.MaxLength = 16
	o := quiet(2)
	need := planned(t, &short, dev).Total()
	o.Device = &bounded{Device: dev, free: need}
	_, err := Run(context.Background(), c, o)
	if want := "free; data.max_length=16 needs " + place.Bytes(need) + ": out of device memory"; err == nil ||
		!strings.HasSuffix(err.Error(), want) {
		t.Errorf("error %v; want %q", err, want)
	}
}
