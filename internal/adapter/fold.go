package adapter

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// Update is what a method makes of the weight W [Out,In] of a linear layer:
//
//	diag(Rows) (W + Scale B A) diag(Columns)
type Update struct {
	Site          model.Site
	In, Out, Rank int
	A             []float32 // [Rank,In]
	B             []float32 // [Out,Rank]
	Scale         float32
	Rows          []float32 // [Out]; nil for ones
	Columns       []float32 // [In]; nil for ones
	Bias          bool      // the bias is multiplied by Rows too
}

// Folder is a Method that computes what the base model computes with other weights. A method that is no Folder gives
// the reason in its spec.
type Folder interface {
	Method
	// Fold returns what the method makes of the weights in the files of the base model, each linear layer at most once.
	// It waits for the device.
	Fold(dev compute.Device) ([]Update, error)
}

// noUpdates is the part of a Folder that has no effect besides the parameters of the base model that it trains.
type noUpdates struct{}

// Fold returns nil.
func (noUpdates) Fold(compute.Device) ([]Update, error) { return nil, nil }

// updates returns low-rank maps as changes of the linear layers that they belong to, in the order of the sites.
func updates(dev compute.Device, pairs map[model.Site]pair) (list []Update, err error) {
	for site, p := range pairs {
		list = append(list, Update{
			Site: site, In: p.A.Value.Shape[1], Out: p.B.Value.Shape[0], Rank: p.A.Value.Shape[0],
			A: p.A.Values(dev), B: p.B.Values(dev), Scale: p.scale,
		})
	}
	return inOrder(list), dev.Err()
}

// inOrder sorts list by the order of its sites in a forward pass.
func inOrder(list []Update) []Update {
	slices.SortFunc(list, func(a, b Update) int {
		return cmp.Or(cmp.Compare(a.Site.Layer, b.Site.Layer), cmp.Compare(a.Site.Index, b.Site.Index))
	})
	return list
}

// apply makes the update to w [Out,In], in float32.
func (u Update) apply(w []float32) {
	for o := range u.Out {
		row := w[o*u.In : (o+1)*u.In]
		sum := make([]float32, u.In)
		for k := range u.Rank {
			b := u.B[o*u.Rank+k]
			for i, a := range u.A[k*u.In : (k+1)*u.In] {
				sum[i] += b * a
			}
		}
		for i := range row {
			row[i] += u.Scale * sum[i]
			if u.Columns != nil {
				row[i] *= u.Columns[i]
			}
			if u.Rows != nil {
				row[i] *= u.Rows[o]
			}
		}
	}
}

// Merge makes the base parameters of n, which have the values of the base model's files, those of the merged model: it
// copies the ones that m trains, and adds the updates of m to the linear layers.
func Merge(dev compute.Device, m Folder, n model.Network) error {
	trained := map[string]*tape.Param{}
	for _, p := range m.Params() {
		trained[p.Name] = p
	}
	for _, p := range n.Base() {
		if own := trained[p.Name]; own != nil {
			p.Upload(dev, own.Values(dev))
		}
	}
	list, err := m.Fold(dev)
	if err != nil {
		return err
	}
	for _, u := range list {
		p := n.Linear(u.Site).W
		w := p.Values(dev)
		u.apply(w)
		p.Upload(dev, w)
		if bias := n.Linear(u.Site).B; u.Bias && bias != nil {
			b := bias.Values(dev)
			for i := range b {
				b[i] *= u.Rows[i]
			}
			bias.Upload(dev, b)
		}
	}
	return dev.Err()
}

// AsLoRA returns the settings of the LoRA that does what m does, and its pairs for the sites of a network. LoRA has the
// same rank and the same linear layers everywhere, so that smaller ranks are filled up with zeros, and so are linear
// layers that m leaves alone in some of the network's layers.
func AsLoRA(dev compute.Device, m Folder) (Config, []Update, error) {
	list, err := m.Fold(dev)
	if err != nil {
		return Config{}, nil, err
	}
	if list == nil {
		return Config{}, nil, fmt.Errorf("it changes no linear layer by a low-rank product")
	}
	var names []string
	rank, scale := 0, list[0].Scale
	for _, u := range list {
		if u.Rows != nil || u.Columns != nil {
			return Config{}, nil, fmt.Errorf("it multiplies weights, and LoRA adds to them")
		}
		if !slices.Contains(names, u.Site.Name) {
			names = append(names, u.Site.Name)
		}
		rank = max(rank, u.Rank)
		if u.Scale != scale {
			scale = 1
		}
	}
	if rank > MaxRank {
		return Config{}, nil, fmt.Errorf("it would be LoRA of rank %d; the largest rank is %d", rank, MaxRank)
	}
	return Configure("lora",
		Values{"rank": rank, "alpha": float64(scale) * float64(rank), "dropout": 0.0, "target_modules": names}), list, nil
}

// Fill gives m, which Attach has made of the settings of AsLoRA, the values of updates.
func Fill(dev compute.Device, m Method, list []Update) error {
	lora := m.(*LoRA)
	for _, p := range lora.params {
		p.Upload(dev, make([]float32, p.Value.Shape.Len()))
	}
	for _, u := range list {
		w := lora.pairs[u.Site]
		rank := w.A.Value.Shape[0]
		a, b := make([]float32, rank*u.In), make([]float32, u.Out*rank)
		copy(a, u.A)
		for o := range u.Out {
			for k := range u.Rank {
				b[o*rank+k] = u.B[o*u.Rank+k]
				if u.Scale != w.scale {
					b[o*rank+k] *= u.Scale / w.scale
				}
			}
		}
		w.A.Upload(dev, a)
		w.B.Upload(dev, b)
	}
	return dev.Err()
}
