package adapter_test

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/optim"
	"github.com/lor2c/lor2c/internal/tape"
	"github.com/lor2c/lor2c/internal/train"
)

// methods has all methods, with every variant that uses other code.
var methods = []struct {
	name   string
	config adapter.Config
	// merge merges modules of LoR2C into longer spans, or replaces them.
	merge func(m *adapter.LoR2C)
}{
	{"lor2c", adapter.Configure("lor2c", adapter.Values{"rank": 3, "alpha": 6}), nil},
	{"lor2c-share", adapter.Configure("lor2c", adapter.Values{"rank": 2, "alpha": 5, "share": true}), nil},
	// The last layer returns one row per sequence, and a module may end there.
	{"lor2c-span-1-3", adapter.Configure("lor2c", adapter.Values{"rank": 3, "alpha": 6}),
		func(m *adapter.LoR2C) { m.Merge(1, 3, 2) }},
	{"lor2c-spans-0-1-and-2-3", adapter.Configure("lor2c", adapter.Values{"rank": 2, "alpha": 3}),
		func(m *adapter.LoR2C) { m.Merge(0, 1, 0); m.Merge(2, 3, 3) }},
	{"lor2c-injected-1-and-3",
		adapter.Configure("lor2c", adapter.Values{"rank": 4, "alpha": 6, "inject_alpha": 4, "target_modules": queryValue}),
		func(m *adapter.LoR2C) { m.Inject(3); m.Inject(1) }},
	{"lor2c-span-0-2-injected-3",
		adapter.Configure("lor2c", adapter.Values{"rank": 2, "alpha": 3, "inject_alpha": 2, "target_modules": queryValue}),
		func(m *adapter.LoR2C) { m.Merge(0, 2, 1); m.Inject(3) }},
	{"share-span-2-3-injected-0",
		adapter.Configure("lor2c",
			adapter.Values{"rank": 2, "alpha": 5, "inject_alpha": 2, "share": true, "target_modules": queryValue}),
		func(m *adapter.LoR2C) { m.Inject(0); m.Merge(2, 3, 3) }},
	{"lora-query-value",
		adapter.Configure("lora", adapter.Values{"rank": 3, "alpha": 6, "target_modules": []string{"query", "value"}}), nil},
	{"lora-linear", adapter.Configure("lora", adapter.Values{"rank": 2, "alpha": 3, "target_modules": allLinear}), nil},
	{"lora-rslora", adapter.Configure("lora", adapter.Values{"rank": 2, "alpha": 3, "use_rslora": true}), nil},
	{"lora-plus", adapter.Configure("lora", adapter.Values{"rank": 2, "alpha": 3, "loraplus_lr_ratio": 2}), nil},
	{"sharelora-a", adapter.Configure("sharelora", adapter.Values{"rank": 3, "alpha": 6, "shared_factors": "A"}), nil},
	{"sharelora-b", adapter.Configure("sharelora", adapter.Values{"rank": 2, "alpha": 3, "shared_factors": "B"}), nil},
	{"sharelora-ab",
		adapter.Configure("sharelora",
			adapter.Values{"rank": 2, "alpha": 3, "shared_factors": "AB", "target_modules": allLinear}), nil},
	{"sharelora-all", adapter.Configure("sharelora", adapter.Values{
		"rank": 2, "alpha": 3, "shared_factors": "AB", "share_scope": "all", "target_modules": allLinear,
	}), nil},
	{"aslora", adapter.Configure("aslora", adapter.Values{"rank": 3, "alpha": 6}), nil},
	{"aslora-linear",
		adapter.Configure("aslora", adapter.Values{"rank": 2, "alpha": 3, "target_modules": allLinear}), nil},
	{"dylora", adapter.Configure("dylora", adapter.Values{"rank": 5, "alpha": 6}), nil},
	{"pissa", adapter.Configure("pissa", adapter.Values{"rank": 3, "alpha": 6}), nil},
	{"pissa-exact",
		adapter.Configure("pissa", adapter.Values{"rank": 2, "alpha": 3, "svd_iterations": 0, "target_modules": allLinear}),
		nil},
	{"olora", adapter.Configure("olora", adapter.Values{"rank": 3, "alpha": 3}), nil},
	{"reslora-is", adapter.Configure("reslora", adapter.Values{"rank": 3, "alpha": 6, "res_type": "is"}), nil},
	{"reslora-bs", adapter.Configure("reslora", adapter.Values{
		"rank": 2, "alpha": 3, "pre_num": 2, "target_modules": allLinear,
	}), nil},
	{"reslora-ms", adapter.Configure("reslora", adapter.Values{"rank": 2, "alpha": 3, "res_type": "ms", "pre_num": 2}),
		nil},
	{"reslora-ms-all", adapter.Configure("reslora", adapter.Values{
		"rank": 2, "alpha": 3, "res_type": "ms", "pre_num": -1, "target_modules": allLinear,
	}), nil},
	{"adapter-pfeiffer", adapter.Configure("adapter", adapter.Values{"bottleneck": 5}), nil},
	{"adapter-houlsby", adapter.Configure("adapter", adapter.Values{"bottleneck": 3, "kind": "houlsby", "drop_first": 1}),
		nil},
	{"adapter-robust", adapter.Configure("adapter", adapter.Values{"bottleneck": 3, "robust_drop": true}), nil},
	{"hydralora", adapter.Configure("hydralora", adapter.Values{"rank": 2, "alpha": 6, "experts": 3}), nil},
	{"loramoe", adapter.Configure("loramoe", adapter.Values{
		"rank": 2, "alpha": 6, "experts": 3, "balance_weight": 0.5,
	}), nil},
	{"loramoe-query", adapter.Configure("loramoe", adapter.Values{
		"rank": 1, "alpha": 2, "experts": 2, "target_modules": queryValue, "exclude_modules": []string{},
	}), nil},
	{"adamix", adapter.Configure("adamix", adapter.Values{"bottleneck": 3, "experts": 2}), nil},
	{"adamix-up", adapter.Configure("adamix", adapter.Values{
		"bottleneck": 3, "experts": 3, "share_up": false, "consistency_weight": 0,
	}), nil},
	{"adamix-lora", adapter.Configure("adamix", adapter.Values{"form": "lora", "rank": 2, "alpha": 3, "experts": 2}), nil},
	{"prefix", adapter.Configure("prefix", adapter.Values{"num_virtual_tokens": 3}), nil},
	{"vera", adapter.Configure("vera", adapter.Values{"rank": 5}), nil},
	{"vera-linear", adapter.Configure("vera", adapter.Values{"rank": 3, "target_modules": allLinear}), nil},
	{"dora", adapter.Configure("dora", adapter.Values{"rank": 3, "alpha": 6}), nil},
	{"dora-linear", adapter.Configure("dora", adapter.Values{"rank": 2, "alpha": 3, "target_modules": allLinear}), nil},
	{"melora", adapter.Configure("melora", adapter.Values{"rank": 2, "alpha": 3, "groups": 4}), nil},
	{"melora-linear",
		adapter.Configure("melora", adapter.Values{"rank": 3, "alpha": 6, "groups": 2, "target_modules": allLinear}), nil},
	{"adalora", adapter.Configure("adalora", adapter.Values{"init_rank": 3, "target_rank": 2, "alpha": 6}), nil},
	{"adalora-linear",
		adapter.Configure("adalora",
			adapter.Values{"init_rank": 2, "target_rank": 1, "orth_reg_weight": 0, "target_modules": allLinear}), nil},
	{"ia3", adapter.NewConfig("ia3"), nil},
	{"ia3-linear",
		adapter.Configure("ia3",
			adapter.Values{"target_modules": allLinear, "feedforward_modules": []string{"intermediate.dense", "output.dense"},
				"exclude_modules": []string{}}), nil},
	{"full", adapter.NewConfig("full"), nil},
	{"bitfit", adapter.NewConfig("bitfit"), nil},
	{"head", adapter.NewConfig("head"), nil},
}

var (
	queryValue = []string{"query", "value"}
	allLinear  = []string{"query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"}
)

// tiny returns an encoder of four layers with every dropout on. Its widths are
// not multiples of the number of elements that dropout draws at a time.
func tiny(kind string) model.Config {
	return model.Config{
		Type: kind, Width: 12, Layers: 4, Heads: 3, FF: 18, Vocab: 23, Positions: 11, Types: 2, Eps: 1e-5,
		Activation: "gelu", HiddenDropout: 0.15, AttentionDropout: 0.1,
	}
}

// weights draws every parameter far from an initialisation, so that no term of
// a gradient is trivial.
func weights(name string, shape compute.Shape) ([]float32, bool, error) {
	values := make([]float32, shape.Len())
	compute.Normal(values, 31, name, 0.3)
	if strings.HasSuffix(name, "LayerNorm.weight") {
		for i := range values {
			values[i]++
		}
	}
	return values, true, nil
}

// micro returns six sequences of different lengths in two micro-batches.
func micro() []model.Batch { return []model.Batch{batch(5, 1, 3), batch(2, 4, 7)} }

// batch returns a packed batch of sequences of the given lengths.
func batch(lengths ...int) model.Batch {
	b := model.Batch{Cu: []int32{0}}
	for i, n := range lengths {
		for j := range n {
			b.IDs, b.Types = append(b.IDs, int32((7*n+5*j)%23)), append(b.Types, int32(2*j/n))
		}
		b.Cu, b.Labels = append(b.Cu, int32(len(b.IDs))), append(b.Labels, float32((n+i)%3))
	}
	return b
}

// join returns one batch with all sequences of several.
func join(parts []model.Batch) (all model.Batch) {
	all.Cu = []int32{0}
	for _, b := range parts {
		for _, end := range b.Cu[1:] {
			all.Cu = append(all.Cu, int32(len(all.IDs))+end)
		}
		all.IDs, all.Types, all.Labels = append(all.IDs, b.IDs...), append(all.Types, b.Types...), append(all.Labels,
			b.Labels...)
	}
	return all
}

// network is a tiny model with a method and an optimizer.
type network struct {
	*train.Stepper
	sum compute.Tensor // [1]; method loss adds to it
}

// attach builds a network of kind for a method. Its dropout is 0.2 where the
// configuration has the method's default.
func attach(t *testing.T, dev compute.Device, kind string, c adapter.Config, merge func(*adapter.LoR2C)) *network {
	t.Helper()
	m, err := model.New(dev, tiny(kind), 3, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	return attachTo(t, dev, m, c, merge, 1)
}

func attachTo(
	t *testing.T, dev compute.Device, m *model.Encoder, c adapter.Config, merge func(*adapter.LoR2C), seed uint64,
) *network {
	t.Helper()
	return attachAs(t, dev, m, c, nil, merge, seed)
}

// attachAs attaches a method with a structure that it returned before.
func attachAs(
	t *testing.T, dev compute.Device, m *model.Encoder, c adapter.Config, structure json.RawMessage,
	merge func(*adapter.LoR2C), seed uint64,
) *network {
	t.Helper()
	if c.Value("dropout") == adapter.NewConfig(c.Name()).Value("dropout") {
		c = c.With(adapter.Values{"dropout": 0.2})
	}
	c.Resolve()
	method, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Structure: structure, Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	if merge != nil {
		merge(method.(*adapter.LoR2C))
	}
	o := optim.Default()
	o.LR, o.Schedule = 1e-2, "constant"
	return &network{train.NewStepper(dev, m, method, o, 7, train.Classification(dev, 3, nil, 0), 4),
		dev.Alloc(compute.Shape{1}, compute.Exact)}
}

// leaveStart moves every parameter of the method that a base model does not have away from its initial value, where
// other parameters may have no gradient.
func (n *network) leaveStart() {
	base := n.Model.(*model.Encoder).Base()
	for _, p := range n.Method.Params() {
		if slices.Contains(base, p) || strings.Contains(p.Name, "lora_A") {
			continue
		}
		values, start := make([]float32, p.Value.Shape.Len()), download(n.Dev, p.Value)
		compute.Normal(values, 3, p.Name, 0.3)
		for i := range values {
			values[i] += start[i]
		}
		p.Upload(n.Dev, values)
	}
}

// parts returns the micro-batches of a step. RoBERTa has only one token type.
func (n *network) parts() []model.Batch {
	parts := micro()
	for _, b := range parts {
		for i := range b.Types {
			b.Types[i] = min(b.Types[i], int32(n.Model.(*model.Encoder).Types)-1)
		}
	}
	return parts
}

// gradStep is the step whose masks are used for gradients.
const gradStep = 2

// gradient runs a step with learning rate 0, so that the parameters have their
// gradients.
func (n *network) gradient(t *testing.T, parts []model.Batch) {
	t.Helper()
	if err := n.Step(gradStep, parts, 0); err != nil {
		t.Fatal(err)
	}
}

// loss computes the function that gradient differentiates, including its masks,
// in the precision of the device.
func (n *network) loss(parts []model.Batch) float64 {
	examples := 0
	for _, b := range parts {
		examples += b.Len()
	}
	n.Dev.Fill(n.sum, 0)
	row, example := 0, 0
	for i, b := range parts {
		n.Dev.Reset()
		at := adapter.At{Step: gradStep, Pass: i, Train: true, Seed: n.Seed}
		n.Method.Begin(at)
		t := &tape.Tape{Dev: n.Dev, Train: true, Seed: n.Seed, Step: gradStep, Row: row, Read: example}
		hook := n.Method.Hook(at)
		pass := n.Model.NewPass(t, b, hook)
		logits := n.Model.Forward(pass)
		labels := make([]int32, b.Len())
		for i, l := range b.Labels {
			labels[i] = int32(l)
		}
		y := n.Dev.Temp(compute.Shape{b.Len()}, compute.Int)
		n.Dev.UploadInts(y, labels)
		t.CrossEntropy(n.sum, logits, y, 1/float32(examples), compute.CrossEntropyOpts{})
		hook.Loss(pass, logits, func() *tape.Var { return n.Model.Forward(pass) }, n.sum, 1/float32(examples))
		row, example = row+len(b.IDs), example+b.Len()
	}
	return cpu.Data[float64](n.sum)[0]
}

// logits returns the output of a model with a hook for b, with dropout if
// training is set.
func logits(dev compute.Device, m model.Network, h model.Hook, b model.Batch, training bool) []float32 {
	dev.Reset()
	t := &tape.Tape{Dev: dev, Train: training, Seed: 7, Step: 1}
	return download(dev, m.Forward(m.NewPass(t, b, h)).Value)
}

func download(dev compute.Device, x compute.Tensor) []float32 {
	v := make([]float32, x.Shape.Len())
	dev.Download(v, x)
	return v
}

// sameBits reports whether a and b are equal bit by bit. It distinguishes -0
// from 0, and NaN equals NaN.
func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// largest returns the largest magnitude in x, or NaN if x contains one.
func largest(x []float64) (m float64) {
	for _, v := range x {
		m = math.Max(m, math.Abs(v))
	}
	return m
}

// relative is the largest difference of a and b over the largest value of b.
func relative(a, b []float32) float64 {
	var apart, size []float64
	for i := range b {
		apart, size = append(apart, float64(a[i])-float64(b[i])), append(size, float64(b[i]))
	}
	return largest(apart) / largest(size)
}
