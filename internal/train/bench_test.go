//go:build unix

package train

import (
	"math"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/processor"
)

// robertaBase is the shape of roberta-base. Speed depends on shapes and not on
// values, so the benchmark draws random weights.
var robertaBase = model.Config{
	Type: "roberta", Width: 768, Layers: 12, Heads: 12, FF: 3072, Vocab: 50265, Positions: 514, Types: 1, Eps: 1e-5,
	Activation: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1,
}

// miniLM is the shape of all-MiniLM-L6-v2.
var miniLM = model.Config{
	Type: "bert", Width: 384, Layers: 6, Heads: 12, FF: 1536, Vocab: 30522, Positions: 512, Types: 2, Eps: 1e-12,
	Activation: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1,
}

// workload has the shape of the model and the lengths of the examples of a step.
type workload struct {
	name   string
	shape  model.Config
	size   int                     // number of examples
	length func(z float64) float64 // of an example, from a quantile of the normal distribution
	most   int
}

// batch returns a batch of examples with such lengths.
func (w workload) batch() model.Batch {
	b := model.Batch{Cu: []int32{0}}
	for i := range w.size {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/float64(w.size)-1)
		for j := range min(w.most, max(5, int(math.Round(w.length(z))))) {
			b.IDs = append(b.IDs, int32((i*131+j*7919)%w.shape.Vocab))
		}
		b.Cu = append(b.Cu, int32(len(b.IDs)))
		b.Labels = append(b.Labels, float32(i%2))
	}
	b.Types = make([]int32, len(b.IDs))
	return b
}

// workloads has batches with the lengths of tasks and the sizes that the authors of LoR2C use. The lengths are the
// quantiles of a normal or a log-normal distribution with the mean and the deviation of the real lengths, so that
// bench/peer_cpu.py can compute the same without a common random generator.
var workloads = []workload{
	{"full", robertaBase, 64, func(float64) float64 { return 128 }, 128},
	{"mrpc", robertaBase, 64, func(z float64) float64 { return 53 + 12.5*z }, 102},
	{"cola", robertaBase, 16, func(z float64) float64 { return math.Exp(2.376 + 0.341*z) }, 47},
	{"sst2", robertaBase, 32, func(z float64) float64 { return math.Exp(2.490 + 0.596*z) }, 67},
	{"minilm", miniLM, 64, func(z float64) float64 { return 53 + 12.5*z }, 102},
}

// BenchmarkStep runs a whole training step, including the optimizer, on random
// weights. bench/peer_cpu.py runs the same step with PyTorch. LOR2C_CPU names the
// instruction set.
func BenchmarkStep(b *testing.B) {
	for _, w := range workloads {
		for _, method := range []string{"lor2c", "lora"} {
			b.Run("workload="+w.name+"/method="+method, func(b *testing.B) {
				dev := cpu.Open[float32](0)
				if processor.Allows(processor.AMX) {
					dev.UseTiles()
				}
				benchmarkStep(b, dev, w, method, 1)
				b.ReportMetric(peakRSS()/(1<<20), "peak-MiB") // for the whole process, so run only one sub-benchmark
			})
		}
	}
}

// benchmarkStep times optimizer steps of a random network. The host waits for the
// device after every `every` steps and at the end.
func benchmarkStep(b *testing.B, dev compute.Device, w workload, method string, every int) {
	batch := w.batch()
	null := nulldev.Like(dev)
	randomStepper(b, null, w.shape, method, every).gradient(1, []model.Batch{batch}, nil)
	s := randomStepper(b, dev, w.shape, method, every)
	dev.Reserve(null.Stats().ArenaPeak)
	step := 0
	run := func() {
		step++
		if err := s.Step(step, []model.Batch{batch}, 1); err != nil {
			b.Fatal(err)
		}
		if step%every == 0 {
			if _, err := s.Reports(step-every+1, step); err != nil {
				b.Fatal(err)
			}
		}
	}
	for range every { // initialisation that a device does once
		run()
	}
	b.ResetTimer()
	start, processor := time.Now(), processorTime()
	for b.Loop() {
		run()
	}
	if err := dev.Sync(); err != nil {
		b.Fatal(err)
	}
	each := time.Since(start) / time.Duration(b.N)
	b.ReportMetric((processorTime()-processor).Seconds()/float64(b.N), "cpu-s/op")
	b.ReportMetric(float64(each), "ns/op") // b.Loop stops its clock before the device is done
	b.ReportMetric(float64(len(batch.IDs))/each.Seconds(), "tokens/s")
	b.ReportMetric(float64(null.Stats().PersistentBytes+null.Stats().ArenaPeak)/(1<<20), "planned-MiB")
}

// randomStepper returns a stepper of a network with random weights.
func randomStepper(tb testing.TB, dev compute.Device, c model.Config, method string, slots int) *Stepper {
	tb.Helper()
	m := randomEncoder(tb, dev, c, nil)
	a := adapter.NewConfig(method)
	a.Resolve()
	added, err := adapter.Attach(dev, m, adapter.Settings{Config: a, Seed: 1})
	if err != nil {
		tb.Fatal(err)
	}
	return NewStepper(dev, m, added, optim.Default(), 1, Classification(dev, 2, nil, 0), slots)
}

// randomEncoder returns an encoder with random weights, of which those that trains names have gradients.
func randomEncoder(tb testing.TB, dev compute.Device, c model.Config, trains func(name string) bool) *model.Encoder {
	tb.Helper()
	buf := make([]float32, max(c.Vocab, c.FF)*c.Width)
	compute.Uniform(buf, 1, "", 0.03)
	m, err := model.New(dev, c, 2, 1, trains, func(_ string, shape compute.Shape) ([]float32, bool, error) {
		return buf[:shape.Len()], true, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// processorTime returns the time that the process has spent on all processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakRSS returns the largest resident memory of the process so far, in bytes.
func peakRSS() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return math.NaN()
	}
	if runtime.GOOS == "darwin" {
		return float64(u.Maxrss) // in bytes on this system, and in KiB on others
	}
	return float64(u.Maxrss) * 1024
}
