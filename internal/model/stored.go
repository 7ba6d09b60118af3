package model

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
)

// storedAs returns in which way a device may store all matrices of w without a loss.
func storedAs(w *bitsandbytes.Model) compute.DType {
	ways := map[checkpoint.DType]compute.DType{checkpoint.BF16: compute.BFloat16, checkpoint.F16: compute.Float16}
	stored := compute.Working
	for _, name := range w.Names() {
		kind, shape, _ := w.Info(name)
		switch way := ways[kind]; {
		case len(shape) != 2 || kind == bitsandbytes.NF4:
		case way == compute.Working || stored != compute.Working && way != stored:
			return compute.Working
		default:
			stored = way
		}
	}
	return stored
}

// fourBit returns the names of the weights of n's linear layers that w has in four bits, under the names of stored.
func fourBit(n Network, stored func(name string) (string, bool), w *bitsandbytes.Model) map[string]bool {
	found := map[string]bool{}
	for _, s := range n.Sites() {
		name := n.Linear(s).W.Name
		if file, ok := stored(name); ok {
			if kind, _, _ := w.Info(file); kind == bitsandbytes.NF4 {
				found[name] = true
			}
		}
	}
	return found
}

// fourBitNote returns a line that says how many weights the file has in four bits, or nil if it has none.
func fourBitNote(names map[string]bool) []string {
	if len(names) == 0 {
		return nil
	}
	return []string{
		fmt.Sprintf("the model has %d weights of linear layers in four bits (nf4), which are used as they are", len(names)),
	}
}

// uploadFourBit gives the weights of n that New has allocated in four bits the codes of w, under the names of stored.
func uploadFourBit(
	dev compute.Device, n Network, stored func(name string) (string, bool), w *bitsandbytes.Model,
) error {
	for _, s := range n.Sites() {
		p := n.Linear(s).W
		if p.Value.DType != compute.NF4 {
			continue
		}
		file, _ := stored(p.Name)
		q, err := w.Matrix(file)
		if err != nil {
			return err
		}
		dev.UploadNF4(p.Value, q.Codes, q.Expanded())
		w.Drop(file)
	}
	return nil
}
