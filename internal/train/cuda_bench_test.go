//go:build cuda && cgo && linux && amd64

package train

import (
	"errors"
	"os"
	"testing"

	"github.com/lor2c/lor2c/internal/gpu"
	"github.com/lor2c/lor2c/internal/gpu/hostlib"
)

// BenchmarkStepCUDA is BenchmarkStep on a card, with longer sentences in
// addition. The host waits every ten steps, as in a run. Without a card the
// benchmark is skipped, unless LOR2C_REQUIRE_GPU=1.
func BenchmarkStepCUDA(b *testing.B) {
	if _, ok := hostlib.Loaded(); ok {
		b.Skip("kernels that run on the CPU have no speed")
	}
	for _, w := range append(workloads[:len(workloads):len(workloads)],
		workload{"long", robertaBase, 64, func(float64) float64 { return 256 }, 256}) {
		for _, method := range []string{"lor2c", "lora"} {
			for _, p := range []struct {
				name   string
				narrow bool
			}{{"float32", false}, {"bfloat16", true}} {
				b.Run("workload="+w.name+"/method="+method+"/dtype="+p.name, func(b *testing.B) {
					dev, err := gpu.Open(gpu.Options{Narrow: p.narrow})
					if errors.Is(err, gpu.ErrNoDevice) && os.Getenv("LOR2C_REQUIRE_GPU") != "1" {
						b.Skip(err)
					}
					if err != nil {
						b.Fatal(err)
					}
					defer dev.Close()
					benchmarkStep(b, dev, w, method, 10)
					s := dev.Stats()
					b.ReportMetric(float64(s.PersistentBytes+s.ArenaBytes+s.ScratchBytes)/(1<<20), "device-MiB")
				})
			}
		}
	}
}
