//go:build unix

package cpu

import (
	"fmt"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/nf4"
	"github.com/lor2c/lor2c/internal/vector"
)

// BenchmarkSkinny times products of few rows with frozen weights, as a decoder computes for each token, and beside them
// a sum over the same bytes, which takes as long as reading them. The matrices do not fit in cache together.
func BenchmarkSkinny(b *testing.B) {
	const m, k, matrices = 11008, 4096, 3
	for _, workers := range []int{1, 2} {
		for _, stored := range []compute.DType{compute.Working, compute.BFloat16, compute.Float16, compute.NF4} {
			dev := Open[float32](workers)
			values := make([]float32, m*k)
			for i := range values {
				values[i] = float32(i%17) / 16
			}
			codes, scales := make([]byte, m*k/2), make([]float32, m*k/nf4.Block)
			for i := range codes {
				codes[i] = byte(37 * i)
			}
			for i := range scales {
				scales[i] = float32(i%5) / 4
			}
			var w [matrices]compute.Tensor
			var size int64
			for i := range w {
				if stored == compute.NF4 {
					w[i] = dev.Alloc(compute.Shape{m, k}, stored)
					dev.UploadNF4(w[i], codes, scales)
				} else {
					w[i] = dev.AllocFrozen(compute.Shape{m, k}, stored)
					dev.Upload(w[i], values)
				}
				size += compute.SizeOf(dev, w[i].Shape, stored)
			}
			for _, rows := range []int{1, 2, 4, 8, 16} {
				b.Run(fmt.Sprintf("workers=%d/stored=%v/rows=%d", workers, stored, rows), func(b *testing.B) {
					t := bench{b, dev}
					x, y := t.tensor(rows, k), t.tensor(rows, m)
					b.ReportMetric(float64(size)*float64(b.N)/float64(t.time(func() {
						for i := range w {
							dev.Linear(y, compute.Tensor{}, x, w[i], compute.Tensor{}, compute.Identity)
						}
					})), "GB/s")
				})
			}
		}
		dev := Open[float32](workers)
		b.Run(fmt.Sprintf("workers=%d/read", workers), func(b *testing.B) {
			t := bench{b, dev}
			x := t.tensor(matrices * m * k)
			data := Data[float32](x)
			b.ReportMetric(4*float64(len(data))*float64(b.N)/float64(t.time(func() {
				dev.each(len(data), chunkElems, func(_, lo, hi int) { vector.Max(data[lo:hi]) })
			})), "GB/s")
		})
	}
}
