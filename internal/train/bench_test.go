package train

import (
	"math"
	"syscall"
	"testing"

	"lor2c/internal/adapter"
	"lor2c/internal/compute"
	"lor2c/internal/compute/nulldev"
	"lor2c/internal/cpu"
	"lor2c/internal/model"
	"lor2c/internal/optim"
)

// robertaBase is the shape of roberta-base. Speed needs shapes, not weights, so
// the benchmark draws them.
var robertaBase = model.Config{
	Type: "roberta", Width: 768, Layers: 12, Heads: 12, FF: 3072, Vocab: 50265, Positions: 514, Types: 1, Eps: 1e-5,
	Activation: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1,
}

// workloads are the token counts of the 64 examples of a step. MRPC-like
// lengths are the quantiles of a normal distribution with the mean and spread
// of the real ones, so that bench/peer_cpu.py has the same without sharing a
// generator.
var workloads = []struct {
	name   string
	length func(i int) int
}{
	{"full", func(int) int { return 128 }},
	{"mrpc", func(i int) int {
		z := math.Sqrt2 * math.Erfinv(2*(float64(i)+0.5)/64-1)
		return min(102, max(20, int(math.Round(53+12.5*z))))
	}},
}

// BenchmarkStep is a whole training step, optimizer included, on random weights
// of roberta-base's shape: compare with bench/peer_cpu.py.
func BenchmarkStep(b *testing.B) {
	for _, w := range workloads {
		for _, method := range []string{"lor2c", "lora"} {
			b.Run("workload="+w.name+"/method="+method, func(b *testing.B) {
				batch := model.Batch{Cu: []int32{0}}
				for i := range 64 {
					for j := range w.length(i) {
						batch.IDs = append(batch.IDs, int32((i*131+j*7919)%robertaBase.Vocab))
					}
					batch.Cu = append(batch.Cu, int32(len(batch.IDs)))
					batch.Labels = append(batch.Labels, float32(i%2))
				}
				batch.Types = make([]int32, len(batch.IDs))
				null := nulldev.Open(4)
				randomStepper(b, null, robertaBase, method).gradient(1, []model.Batch{batch}, nil)
				s := randomStepper(b, cpu.Open[float32](0), robertaBase, method)
				s.Dev.Reserve(null.Stats().ArenaPeak)
				step := 0
				run := func() {
					step++
					if err := s.Step(step, []model.Batch{batch}, 1); err != nil {
						b.Fatal(err)
					}
					if _, err := s.Reports(step, step); err != nil {
						b.Fatal(err)
					}
				}
				run() // the scratch of the device
				b.ResetTimer()
				for b.Loop() {
					run()
				}
				b.ReportMetric(float64(len(batch.IDs))*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
				b.ReportMetric(float64(null.Stats().PersistentBytes+null.Stats().ArenaPeak)/(1<<20), "planned-MiB")
				b.ReportMetric(peakRSS()/(1<<20), "peak-MiB") // of the process: run one sub-benchmark alone
			})
		}
	}
}

// randomStepper is a stepper of a network whose weights are drawn.
func randomStepper(tb testing.TB, dev compute.Device, c model.Config, method string) *Stepper {
	tb.Helper()
	buf := make([]float32, max(c.Vocab, c.FF)*c.Width)
	m, err := model.New(dev, c, 2, 1, false, func(_ string, shape compute.Shape) ([]float32, bool, error) {
		compute.Uniform(buf[:shape.Len()], 1, "", 0.03)
		return buf[:shape.Len()], true, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	a := adapter.Default()
	a.Name = method
	a.Resolve()
	added, err := adapter.Attach(dev, m, a, 1)
	if err != nil {
		tb.Fatal(err)
	}
	return NewStepper(dev, m, added, optim.Default(), 1, false, 1)
}

// peakRSS is the most memory in bytes that the process has had so far.
func peakRSS() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return math.NaN()
	}
	return float64(u.Maxrss) * 1024
}
