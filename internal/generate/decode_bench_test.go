package generate

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
)

// BenchmarkDecode continues 1 and 16 texts greedily on two workers, with the decoder in the directory that
// LOR2C_DECODER names, or else with the demo decoder. It reports tokens per second and the bytes of weights that the
// products read per second.
func BenchmarkDecode(b *testing.B) {
	dir := os.Getenv("LOR2C_DECODER")
	if dir == "" {
		dir = "../../demo/decoder"
	}
	const prompt, tokens = 16, 48
	for _, texts := range []int{1, 16} {
		b.Run(fmt.Sprintf("texts=%d", texts), func(b *testing.B) {
			dev := cpu.Open[float32](2)
			m, err := model.LoadDecoder(dev, dir, prompt+tokens, nil)
			if err != nil {
				b.Fatal(err)
			}
			a, err := adapter.Attach(dev, m, adapter.Settings{Config: adapter.NewConfig("head"), Seed: 1})
			if err != nil {
				b.Fatal(err)
			}
			g := Generator{Dev: dev, Model: m, Method: a, Sampling: Greedy()}
			requests := make([]Request, texts)
			for i := range requests {
				requests[i] = Request{IDs: make([]int32, prompt), MaxNew: tokens}
				for j := range requests[i].IDs {
					requests[i].IDs[j] = int32((7*i + 31*j) % m.Vocab)
				}
			}
			bytes := dev.Stats().PersistentBytes
			g.Prepare(texts, prompt+tokens)
			for b.Loop() {
				if _, err := g.Run(context.Background(), requests, texts); err != nil {
					b.Fatal(err)
				}
			}
			passes := float64(tokens*b.N) / b.Elapsed().Seconds()
			b.ReportMetric(float64(texts)*passes, "tokens/s")
			b.ReportMetric(float64(bytes)*passes/1e9, "GB/s")
		})
	}
}
