package adapter_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// The inputs X [2,3], the weight W [2,3], the factors A [2,3] and B [2,2] and the gradient G [2,2] of the worked
// examples. Layers are square, so W and B have a third row of zeros.
var (
	workedX = []float64{1, 2, -1, .5, -1, 3}
	workedW = []float64{.2, -.1, .4, .3, .5, -.2, 0, 0, 0}
	workedA = []float64{.1, -.2, .3, .4, .1, -.5}
	workedB = []float64{.5, -.3, .2, .6}
	workedG = []float64{1, -1, .5, 2}
)

// numbers are values by the layer, if there are several, and the end of the name of a parameter.
type numbers map[string][]float64

// worked is an example of one linear layer in one or more layers. Its numbers were computed by hand or with PEFT 0.21.2
// from the formulas of the papers.
type worked struct {
	name   string
	config adapter.Config
	weight []float64   // [C,C]; W if there is none
	x, g   [][]float64 // of each layer, [N,C] and the first columns of [N,C]
	set    numbers     // of parameters
	y, dx  [][]float64 // of each layer; nil where the example has none
	grads  numbers     // the first elements, of which the others belong to rows of zeros
	step   int
}

var workedLoRA = worked{
	name: "lora", config: workedConfig("lora", nil),
	set: numbers{"lora_A.weight": workedA, "lora_B.weight": workedB},
	y:   [][]float64{{-1.66, 2.58, 3.39, -2.17}},
	dx:  [][]float64{{-.76, -.9, 1.68, 1.67, .9, -.86}},
	grads: numbers{
		"lora_A.weight": {1.25, -.1, 3.3, -.75, -5.7, 8.1}, "lora_B.weight": {-.05, .8, 5.8, -7.8},
	},
}

// workedConfig returns a method on the query projections, of rank 2 and scale 2 if it has them.
func workedConfig(name string, values adapter.Values) adapter.Config {
	all := adapter.Values{"rank": 2, "alpha": 4.0, "dropout": 0.0, "target_modules": []string{"query"}}
	maps.Copy(all, values)
	c := adapter.NewConfig(name)
	for key, value := range all {
		if c.Takes(key) {
			c = c.With(adapter.Values{key: value})
		}
	}
	return c
}

// like returns the example with the name, the configuration and other parameters of another method.
func (w worked) like(name string, config adapter.Config, set numbers) worked {
	w.name, w.config, w.set = name, config, set
	return w
}

var workedExamples = []worked{
	workedLoRA,
	{
		name: "adalora", config: workedConfig("adalora", adapter.Values{
			"init_rank": 2, "target_rank": 1, "orth_reg_weight": 0.0,
		}),
		set: numbers{"lora_A": workedA, "lora_B": workedB, "lora_E": {.7, -.2}},
		y:   [][]float64{{-.687999, 1.068002, 2.036997, -.292003}},
		dx:  [][]float64{{.085999, -.648, .546, .623, .726001, .282998}},
		grads: numbers{
			"lora_A": {.874996, -.07, 2.309988, .149999, 1.139994, -1.619992}, "lora_E": {1.134994, -4.919975},
			"lora_B": {-.035, -.159999, 4.05998, 1.559992},
		},
	},
	// Steps 4 and 1 draw the ranks 1 and 2.
	{
		name: "dylora-rank-1", config: workedConfig("dylora", nil), step: 4, set: workedLoRA.set,
		y:     [][]float64{{-1.6, 1.02, 3.7, -.03}},
		dx:    [][]float64{{.02, -.84, .96, .96, .43, .58}},
		grads: numbers{"lora_A.weight": {2.5, -.2, 6.6, 0, 0, 0}, "lora_B.weight": {-.1, 0, 11.6, 0}},
	},
	workedLoRA.like("dylora-rank-2", workedConfig("dylora", nil), workedLoRA.set),
	{
		name: "dylora-rows", config: workedConfig("dylora", adapter.Values{"update": "rows"}), step: 1, set: workedLoRA.set,
		y: workedLoRA.y, dx: workedLoRA.dx,
		grads: numbers{"lora_A.weight": {0, 0, 0, -.75, -5.7, 8.1}, "lora_B.weight": {0, .8, 0, -7.8}},
	},
	{
		name: "dora", config: workedConfig("dora", nil), weight: []float64{.2, -.1, .4, .3, .5, -.2, 1, 0, 0},
		set: numbers{
			"lora_A.weight": workedA, "lora_B.weight": workedB,
			"lora_magnitude_vector": {1.1 * math.Sqrt(.21), 1.1 * math.Sqrt(.38), 1},
		},
		y:  [][]float64{{-.786063, 1.464818, 1.605272, -1.232036}},
		dx: [][]float64{{-.437150, -.477061, .859608, .945330, .527944, -.535386}},
		grads: numbers{
			"lora_magnitude_vector": {.032879, -5.794093}, "lora_B.weight": {-.023677, .378825, 3.293001, -4.428518},
			"lora_A.weight": {.591915, -.198116, 1.826490, -.355149, -3.151420, 4.627114},
		},
	},
	{
		name: "vera", config: workedConfig("vera", nil),
		set: numbers{
			"vera_A": workedA, "vera_B": workedB, "vera_lambda_d": {.1, .2}, "vera_lambda_b": {.5, -1, 0},
		},
		y:     [][]float64{{-.448, 1.38, 1.47075, -.805}},
		dx:    [][]float64{{-.0595, -.6, .5685, .59525, .93, -.08075}},
		grads: numbers{"vera_lambda_d": {-.58625, 2.28}, "vera_lambda_b": {-.02525, -.41}},
	},
	{
		name: "ia3", config: workedConfig("ia3", adapter.Values{
			"feedforward_modules": []string{}, "exclude_modules": []string{},
		}),
		set:   numbers{"ia3_l": {1.1, .9, 1}},
		y:     [][]float64{{-.44, 1.35, 1.54, -.855}},
		dx:    [][]float64{{-.05, -.56, .62, .65, .845, -.14}},
		grads: numbers{"ia3_l": {.3, -3.4}},
	},
	{
		name: "hydralora", config: workedConfig("hydralora", adapter.Values{"experts": 2, "exclude_modules": []string{}}),
		set: numbers{
			"lora_A.weight": workedA, "lora_route.weight": {.3, -.1, .2, -.2, .4, .1},
			"lora_B.weight": {.5, -.3, .1, .4, .2, .6, -.2, .3},
		},
		y:  [][]float64{{-.355774, 2.463782, 2.643432, -2.190738}},
		dx: [][]float64{{-.495138, -.519206, .984011, 1.719932, .837107, -.920004}},
		grads: numbers{
			"lora_A.weight":     {.990775, .418450, 1.744649, .476506, -2.987762, 6.419850},
			"lora_B.weight":     {.426679, -.257529, -.476679, 1.057529, 3.832777, -4.927896, 1.967223, -2.872104},
			"lora_route.weight": {-.349703, -1.313895, 1.425057, .349703, 1.313895, -1.425057},
		},
	},
	// With equal A it is HydraLoRA.
	{
		name: "loramoe", config: workedConfig("loramoe", adapter.Values{"experts": 2, "exclude_modules": []string{}}),
		set: numbers{
			"lora_A.weight": slices.Concat(workedA, workedA), "lora_route.weight": {.3, -.1, .2, -.2, .4, .1},
			"lora_B.weight": {.5, -.3, .1, .4, .2, .6, -.2, .3},
		},
		y:  [][]float64{{-.355774, 2.463782, 2.643432, -2.190738}},
		dx: [][]float64{{-.495138, -.519206, .984011, 1.719932, .837107, -.920004}},
	},
	{
		name: "melora", config: workedConfig("melora", adapter.Values{"rank": 1, "alpha": 2.0, "groups": 2}),
		weight: make([]float64, 16), // y is what the method adds
		x:      [][]float64{{1, 2, -1, .5, .5, -1, 3, 2}}, g: [][]float64{{1, -1, .5, 2, 2, .5, -1, 1}},
		set:   numbers{"lora_A.weight": {.1, -.2, .3, .4}, "lora_B.weight": {.5, -.3, .2, .6}},
		y:     [][]float64{{-.3, .18, -.04, -.12, .25, -.15, .68, 2.04}},
		dx:    [][]float64{{.16, -.32, .78, 1.04, .17, -.34, .24, .32}},
		grads: numbers{"lora_A.weight": {2.45, 1.5, -.2, 2.9}, "lora_B.weight": {.4, .85, -3.5, 3}},
	},
	{
		name: "sharelora", config: workedConfig("sharelora", nil),
		x: [][]float64{{1, 2, -1}, {.5, -1, 3}}, g: [][]float64{{1, -1}, {.5, 2}},
		set: numbers{"lora_A.weight": workedA, "0.lora_B.weight": workedB, "1.lora_B.weight": {.1, .4, -.2, .3}},
		y:   [][]float64{nil, nil}, dx: [][]float64{nil, nil},
		grads: numbers{
			"lora_A.weight": {.25, 1.9, -2.7, -1, -5.2, 6.6}, "0.lora_B.weight": {-1.2, 2.2, 1.2, -2.2},
			"1.lora_B.weight": {1.15, -1.4, 4.6, -5.6},
		},
	},
	workedResLoRA("is", [][]float64{{-2.92, 3.66}, {1.88, -.7}}, [][]float64{{.06, .1, .02}, {-.04, -.5, .62}}, numbers{
		"1.lora_A.weight": {.9, .6, 1.2, .3, .2, .4}, "1.lora_B.weight": {.4, 1.1, -.4, -1.1},
	}),
	workedResLoRA("bs", [][]float64{nil, {4.01, -1.54}}, [][]float64{nil, nil}, nil),
	workedResLoRA("ms", [][]float64{{-1.66, 2.58}, {2.78, .58}}, [][]float64{{.14, -.1, .08}, {-.04, -.5, .62}}, numbers{
		"0.lora_A.weight": {.6, 1.2, -.6, .2, .4, -.2}, "1.lora_A.weight": {.3, -.6, 1.8, .1, -.2, .6},
		"1.lora_B.weight": {-1.8, 3.9, 1.8, -3.9},
	}),
}

// workedResLoRA is an example of two layers with the same weight, in which the loss reads the second alone.
func workedResLoRA(kind string, y, dx [][]float64, grads numbers) worked {
	return worked{
		name: "reslora-" + kind, config: workedConfig("reslora", adapter.Values{"res_type": kind}),
		x: [][]float64{{1, 2, -1}, {.5, -1, 3}}, g: [][]float64{{0, 0}, {1, -1}},
		set: numbers{
			"0.lora_A.weight": workedA, "0.lora_B.weight": workedB,
			"1.lora_A.weight": {.2, .1, -.1, -.3, .2, .4}, "1.lora_B.weight": {.1, .4, -.2, .3},
		},
		y: y, dx: dx, grads: grads,
	}
}

// TestWorkedExamples compares the output of a linear layer and every gradient with examples that are worked by hand.
func TestWorkedExamples(t *testing.T) {
	for _, w := range workedExamples {
		t.Run(w.name, w.test)
	}
}

// values returns those for a parameter, with zeros behind them.
func (n numbers) values(p *tape.Param) (key string, values []float64) {
	for key, values := range n {
		layer, end, several := strings.Cut(key, ".lora")
		switch {
		case several && len(layer) == 1:
			if !strings.Contains(p.Name, "layer."+layer+".") || !strings.HasSuffix(p.Name, ".lora"+end) {
				continue
			}
		case !strings.HasSuffix(p.Name, key):
			continue
		}
		return key, slices.Concat(values, make([]float64, p.Value.Shape.Len()-len(values)))
	}
	return "", nil
}

func (w worked) test(t *testing.T) {
	if w.x == nil {
		w.x, w.g = [][]float64{workedX}, [][]float64{workedG}
	}
	if w.weight == nil {
		w.weight = workedW
	}
	dev := cpu.Open[float64](1)
	method, sites, m := w.attach(t, dev)
	for _, p := range slices.Concat(method.Params(), method.Buffers()) {
		if key, values := w.set.values(p); key != "" {
			copy(cpu.Data[float64](p.Value), values)
		}
	}
	if err := method.Restored(); err != nil {
		t.Fatal(err)
	}
	for _, p := range method.Params() {
		p.Grad = dev.Alloc(p.Value.Shape, compute.Exact)
	}
	at := adapter.At{Step: max(w.step, 1), Steps: 10, Train: true, Seed: 1}
	method.Begin(at)
	p := &model.Pass{Tape: &tape.Tape{Dev: dev, Train: true}}
	hook, width := method.Hook(at), int(math.Sqrt(float64(len(w.weight))))
	sum := dev.Alloc(compute.Shape{1}, compute.Exact)
	inputs := make([]*tape.Param, len(sites))
	for l, s := range sites {
		x := input(dev, p, w.x[l], width)
		inputs[l] = x.of
		y := p.Linear(x.Var, m.Linear(s).W, nil, compute.Identity)
		hook.Linear(p, s, x.Var, y)
		rows := len(w.x[l]) / width
		if want := w.y[l]; want != nil {
			near(t, fmt.Sprintf("y of layer %d", l), firstColumns(cpu.Data[float64](y.Value), width, len(want)/rows), want)
		}
		weigh(dev, p, y, w.g[l], rows, sum)
	}
	p.Backward()
	method.Backward(at)
	for l, want := range w.dx {
		if want != nil {
			near(t, fmt.Sprintf("dx of layer %d", l), transposed(cpu.Data[float64](inputs[l].Grad), len(w.x[l])/width), want)
		}
	}
	found := 0
	for _, p := range method.Params() {
		if key, want := w.grads.values(p); key != "" {
			found++
			near(t, "the gradient of "+p.Name, cpu.Data[float64](p.Grad)[:len(w.grads[key])], want[:len(w.grads[key])])
		}
	}
	if found != len(w.grads) {
		t.Errorf("%d gradients were compared; want %d", found, len(w.grads))
	}
}

// attach returns the method on an encoder whose query projections have the weight, and these projections.
func (w worked) attach(t *testing.T, dev compute.Device) (method adapter.Method, sites []model.Site, m *model.Encoder) {
	t.Helper()
	c := tiny("bert")
	c.Width, c.Heads, c.Layers = int(math.Sqrt(float64(len(w.weight)))), 1, len(w.x)
	c.HiddenDropout, c.AttentionDropout = 0, 0
	m, err := model.New(dev, c, 2, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m.Sites() {
		if s.Name == model.Query {
			copy(cpu.Data[float64](m.Linear(s).W.Value), w.weight)
			clear(cpu.Data[float64](m.Linear(s).B.Value))
			sites = append(sites, s)
		}
	}
	method, err = adapter.Attach(dev, m, adapter.Settings{Config: w.config, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	return method, sites, m
}

// traced is a variable that is the product of the unit matrix and a parameter, whose gradient is that of the variable.
type traced struct {
	*tape.Var
	of *tape.Param // [C,N]
}

// input returns values [N,C] as a variable.
func input(dev compute.Device, p *model.Pass, values []float64, width int) traced {
	rows := len(values) / width
	x := tape.NewParam(dev, "x", true, width, rows)
	copy(cpu.Data[float64](x.Value), transposed(values, width))
	x.Grad = dev.Alloc(x.Value.Shape, compute.Exact)
	one := dev.Alloc(compute.Shape{rows, rows}, compute.Working)
	for i := range rows {
		cpu.Data[float64](one)[i*rows+i] = 1
	}
	return traced{p.Linear(p.Const(one), x, nil, compute.Identity), x}
}

// weigh adds to the loss a term whose gradient for y [N,C] is g, of which the columns that g lacks are zero.
func weigh(dev compute.Device, p *model.Pass, y *tape.Var, g []float64, rows int, sum compute.Tensor) {
	for i := range rows {
		row := dev.Alloc(compute.Shape{1}, compute.Int)
		dev.UploadInts(row, []int32{int32(i)})
		w := tape.NewParam(dev, "g", false, 1, y.Value.Shape.Cols())
		copy(cpu.Data[float64](w.Value), g[i*len(g)/rows:(i+1)*len(g)/rows])
		out := p.Linear(p.Gather(y, row), w, nil, compute.Identity)
		target := dev.Alloc(compute.Shape{1}, compute.Exact)
		cpu.Data[float64](target)[0] = cpu.Data[float64](out.Value)[0] - 1
		p.MSE(sum, out, target, 0.5) // of which the derivative is 1
	}
}

// transposed returns the transpose of x, which has n columns.
func transposed(x []float64, n int) []float64 {
	out := make([]float64, len(x))
	m := len(x) / n
	for i := range x {
		out[i%n*m+i/n] = x[i]
	}
	return out
}

// firstColumns returns the first n columns of x, which has width of them.
func firstColumns(x []float64, width, n int) (out []float64) {
	for row := range slices.Chunk(x, width) {
		out = append(out, row[:n]...)
	}
	return out
}

// near compares with numbers that are printed with six decimals.
func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-want[i]) <= 1e-6) {
			t.Errorf("%s is %.6f; want %.6f", what, got, want)
			return
		}
	}
}
