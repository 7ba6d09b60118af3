package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// namedCard is a device with the name and the versions of a card.
type namedCard struct {
	compute.Device
	name, driver string
	refused      []string
}

func (c namedCard) Name() string      { return c.name }
func (c namedCard) Driver() string    { return c.driver }
func (c namedCard) Refused() []string { return c.refused }

// TestOtherEnvironment: a run that continues on something that may round in another way says so in one line, and one
// that continues on an equal device says nothing.
func TestOtherEnvironment(t *testing.T) {
	dir := t.TempDir()
	c := demoConfig(t, dir, 16)
	c.Train.SaveEvery = 0
	begin := func(t *testing.T, first namedCard) (continued func(then namedCard) string) {
		c.Out = filepath.Join(t.TempDir(), "run")
		next := func(d namedCard) (string, error) {
			var said strings.Builder
			o := quiet(1)
			d.Device = o.Device
			o.Device, o.Stderr = d, &said
			ctx, cancel := context.WithCancel(t.Context())
			o.Began = cancel // every process gets through one step
			_, err := Run(ctx, c, o)
			if err != nil && !errors.Is(err, ErrInterrupted) {
				t.Fatal(err)
			}
			return said.String(), err
		}
		if said, err := next(first); err == nil || strings.Contains(said, "last bits") {
			t.Fatalf("error %v, and the run said %q", err, said)
		}
		return func(then namedCard) string {
			said, _ := next(then)
			for line := range strings.Lines(said) {
				if strings.Contains(line, "last bits") {
					return strings.TrimSuffix(line, "\n")
				}
			}
			return ""
		}
	}
	const rest = "; results may differ in the last bits from those of an uninterrupted run"
	h100 := namedCard{name: "cuda:0 H100, float32", driver: "CUDA 12.4"}
	for _, x := range []struct{ name, first, then, want string }{
		{"workers and vectors", "cpu float32, 1 worker, AVX-512", "cpu float32, 4 workers, AVX2", ""},
		{"products", "cpu float32, 1 worker, AVX2", "cpu float32, 1 worker, AMX",
			`note: since step 1 the device is "cpu float32, AMX" and was "cpu float32, AVX"` + rest},
	} {
		t.Run("change="+x.name, func(t *testing.T) {
			if got := begin(t, namedCard{name: x.first})(namedCard{name: x.then}); got != x.want {
				t.Errorf("the run said %q; want %q", got, x.want)
			}
		})
	}
	t.Run("change=driver", func(t *testing.T) {
		other := h100
		other.driver, other.refused = "CUDA 13.0", []string{"gemm_tc"}
		want := `note: since step 1 the driver is "CUDA 13.0" and was "CUDA 12.4", the set of kernels that failed the ` +
			`self-check is "gemm_tc" and was "none"` + rest
		continued := begin(t, h100)
		if got := continued(other); got != want {
			t.Errorf("the run said %q; want %q", got, want)
		}
		if got := continued(other); got != "" {
			t.Errorf("the run said %q of the same card again", got)
		}
	})
	t.Run("env=older", func(t *testing.T) {
		continued := begin(t, h100)
		old := `{"device": "cuda:0 H100, float32"}`
		if err := os.WriteFile(filepath.Join(c.Out, "env.json"), []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := continued(h100); got != "" {
			t.Errorf("the run said %q", got)
		}
	})
}
