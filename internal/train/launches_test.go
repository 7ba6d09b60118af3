//go:build cuda && cgo && linux && amd64

package train

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/gpu/hostlib"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
)

// launchList is the committed list of the launches of a step. The process with the variable is the one that records.
const (
	launchList     = "../../bench/results/launches-%s.csv"
	recordLaunches = "LOR2C_HOST_LAUNCHES"
)

// TestLaunches compares the launches of a training step in bfloat16 with the committed lists, in order, so that a
// change that adds a launch shows. The kernels do not run. LOR2C_UPDATE=1 writes the lists.
func TestLaunches(t *testing.T) {
	if path := os.Getenv(recordLaunches); path != "" {
		recordSteps(t, path)
		return
	}
	if testing.Short() {
		t.Skip("compiles the kernels once more")
	}
	lib, err := hostlib.BuildMode("launches")
	if errors.Is(err, hostlib.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "launches")
	// A card on which LLaMA2-7B fits. The memory is never touched.
	lib = lib.With(recordLaunches+"="+path, fmt.Sprintf("LOR2C_HOST_MEMORY=%d", 512<<30))
	if out, err := lib.Test("-test.run=^TestLaunches$"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(raw), "step of ")[1:] {
		name, list, _ := strings.Cut(part, "\n")
		list, _, _ = strings.Cut(list, "end\n")
		t.Run("workload="+name, func(t *testing.T) {
			compareLaunches(t, fmt.Sprintf(launchList, name), "kernel,grid x,y,z,threads,shared bytes\n"+list)
		})
	}
}

// compareLaunches compares a list with a file, and reports the first launch that differs.
func compareLaunches(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("LOR2C_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if fault := launchFault(got, string(raw)); fault != "" {
		t.Errorf("%s: %s; LOR2C_UPDATE=1 writes the new list", path, fault)
	}
}

// launchFault returns how two lists differ, or "".
func launchFault(got, want string) string {
	a, b := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("launch %d of %d is %s; the list has %s and %d launches", i, len(a)-1, a[i], b[i], len(b)-1)
		}
	}
	if len(a) != len(b) {
		return fmt.Sprintf("%d launches; the list has %d", len(a)-1, len(b)-1)
	}
	return ""
}

// TestLaunchFault: a launch that is added, removed or changed is a fault.
func TestLaunchFault(t *testing.T) {
	const list = "kernel\na,1\nb,1\nc,1\n"
	for got, want := range map[string]string{
		list:                             "",
		"kernel\na,1\nb,1\nb,1\nc,1\n":   "launch 3 of 4 is b,1; the list has c,1 and 3 launches",
		"kernel\na,1\nb,1\nc,1\nscale\n": "4 launches; the list has 3",
		"kernel\na,1\nb,1\n":             "2 launches; the list has 3",
		"kernel\na,2\nb,1\nc,1\n":        "launch 1 of 3 is a,2; the list has a,1 and 3 launches",
	} {
		if fault := launchFault(got, list); fault != want {
			t.Errorf("%q: %q; want %q", got, fault, want)
		}
	}
}

// recordSteps runs a step of each workload. The driver appends its launches to the file.
func recordSteps(t *testing.T, path string) {
	var names []string
	var batches []model.Batch
	for _, w := range workloads[:3] {
		names, batches = append(names, w.name), append(batches, w.batch())
	}
	recordStepsOf(t, path, func(dev compute.Device) *Stepper { return randomStepper(t, dev, robertaBase, "lor2c", 1) },
		names, batches)
	for _, d := range []struct {
		name             string
		sequence, length int
		load             func(dev compute.Device) (*model.Decoder, error)
	}{
		{"demo-decoder", 6, 128, func(dev compute.Device) (*model.Decoder, error) {
			return model.LoadDecoder(dev, "../../demo/decoder", 128, nil)
		}},
		{"llama", 32, 512, func(dev compute.Device) (*model.Decoder, error) { return emptyLLaMA(t, dev, 512) }},
	} {
		var sequences [][]int32
		for range d.sequence {
			sequences = append(sequences, make([]int32, d.length))
		}
		recordStepsOf(t, path, func(dev compute.Device) *Stepper { return decoderStepper(t, dev, d.load) },
			[]string{d.name}, []model.Batch{causal(sequences, d.length)})
	}
}

// decoderStepper returns a stepper that trains a decoder with LoR2C.
func decoderStepper(
	t *testing.T, dev compute.Device, load func(dev compute.Device) (*model.Decoder, error),
) *Stepper {
	t.Helper()
	m, err := load(dev)
	if err != nil {
		t.Fatal(err)
	}
	a := adapter.NewConfig("lor2c")
	a.Resolve()
	added, err := adapter.Attach(dev, m, adapter.Settings{Config: a, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return NewStepper(dev, m, added, optim.Default(), 1, NextToken(m.Vocabulary(), ReduceTokens), 1)
}

// unfilled is a device on which tensors keep whatever they contain.
type unfilled struct{ compute.Device }

func (unfilled) Upload(compute.Tensor, []float32) {}

// emptyLLaMA returns a decoder with the shape of LLaMA2-7B and no values.
func emptyLLaMA(t *testing.T, dev compute.Device, tokens int) (*model.Decoder, error) {
	t.Helper()
	dir := t.TempDir()
	const config = `{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
		"num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000, "max_position_embeddings": 4096,
		"rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": false}`
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o666); err != nil {
		return nil, err
	}
	c, err := model.ReadDecoderConfig(dir)
	if err != nil {
		return nil, err
	}
	return model.NewDecoder(unfilled{dev}, c, tokens, nil, func(string, compute.Shape) ([]float32, bool, error) {
		return nil, true, nil
	})
}

// recordStepsOf runs a step of each batch.
func recordStepsOf(
	t *testing.T, path string, stepper func(dev compute.Device) *Stepper, names []string, batches []model.Batch,
) {
	t.Helper()
	dev := card(t, true)
	null := nulldev.Like(dev)
	stepper(null).gradient(1, batches[:1], nil)
	s := stepper(dev)
	dev.Reserve(null.Stats().ArenaPeak)
	note := func(line string) {
		if err := dev.Sync(); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err == nil {
			_, err = f.WriteString(line)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, b := range batches {
		note("step of " + names[i] + "\n")
		if err := s.Step(i+1, []model.Batch{b}, 1); err != nil {
			t.Fatal(err)
		}
		note("end\n")
	}
}
