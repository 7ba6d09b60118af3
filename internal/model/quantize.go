package model

import (
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/nf4"
	"github.com/lor2c/lor2c/internal/tape"
)

// Quantize stores the weights of the linear layers of n that methods can adapt in four bits, as bitsandbytes does with
// double quantisation. Embeddings, norms, biases and the head keep their type. The weights must not be trained.
func Quantize(dev compute.Device, n Network) {
	eachWeight(dev, n, func(old, to *tape.Param) {
		q := nf4.Quantize(old.Values(dev), old.Value.Shape, true)
		dev.UploadNF4(to.Value, q.Codes, q.Expanded())
	})
}

// Pack gives each weight of a linear layer of n the values that it has in four bits, and returns its codes under its
// name. The weights stay as they were stored.
func Pack(dev compute.Device, n Network) map[string]nf4.Matrix {
	packed := map[string]nf4.Matrix{}
	for _, s := range n.Sites() {
		w := n.Linear(s).W
		values := w.Values(dev)
		q := nf4.Quantize(values, w.Value.Shape, true)
		nf4.Dequantize(values, q.Codes, q.Expanded(), 0)
		w.Upload(dev, values)
		packed[w.Name] = q
	}
	return packed
}

// PlanQuantize is Quantize for a device that only plans memory, whose tensors have no values.
func PlanQuantize(dev compute.Device, n Network) {
	eachWeight(dev, n, func(_, _ *tape.Param) {})
}

// eachWeight gives each weight of a linear layer of n that is not in four bits a new tensor of type NF4, which fill
// fills from the old one.
func eachWeight(dev compute.Device, n Network, fill func(old, to *tape.Param)) {
	for _, s := range n.Sites() {
		w := n.Linear(s).W
		if w.Value.DType == compute.NF4 {
			continue
		}
		old := *w
		w.Value = dev.Alloc(old.Value.Shape, compute.NF4)
		fill(&old, w)
		dev.Free(old.Value)
	}
}
