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
		values := make([]float32, old.Value.Shape.Len())
		dev.Download(values, old.Value)
		q := nf4.Quantize(values, old.Value.Shape, true)
		dev.UploadNF4(to.Value, q.Codes, q.Expanded())
	})
}

// PlanQuantize is Quantize for a device that only plans memory, whose tensors have no values.
func PlanQuantize(dev compute.Device, n Network) {
	eachWeight(dev, n, func(_, _ *tape.Param) {})
}

// eachWeight gives each weight of a linear layer of n a new tensor of type NF4, which fill fills from the old one.
func eachWeight(dev compute.Device, n Network, fill func(old, to *tape.Param)) {
	for _, s := range n.Sites() {
		w := n.Linear(s).W
		old := *w
		w.Value = dev.Alloc(old.Value.Shape, compute.NF4)
		fill(&old, w)
		dev.Free(old.Value)
	}
}
