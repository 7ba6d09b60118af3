package onnx

import (
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// encoder builds the graph of an encoder. Values that nodes exchange are [B,S,C] unless something else is said.
type encoder struct {
	Graph
	*model.Encoder
	dev    compute.Device
	params map[string]*tape.Param
}

// Encoder returns the graph of an encoder with its head and with low-rank paths around its layers, in float32. Its
// inputs are input_ids and attention_mask [B,S], and for an encoder with several token types token_type_ids [B,S]. Its
// output is logits [B, Outputs]. Padding must be at the end of a sequence.
func Encoder(dev compute.Device, m *model.Encoder, paths []adapter.Path) *Graph {
	g := &encoder{Encoder: m, dev: dev, params: map[string]*tape.Param{}}
	for _, p := range slices.Concat(m.Base(), m.Head()) {
		g.params[p.Name] = p
	}
	ids := g.end(11, "input_ids", int64s, "batch", "sequence")
	mask := g.end(11, "attention_mask", int64s, "batch", "sequence")
	rows := g.node("Gather", "length", []string{g.node("Shape", "shape", []string{ids}), g.integers("one", nil, 1)})
	steps := g.node("Range", "rows", []string{g.integers("zero", nil, 0), rows, "one"})
	x := g.embed(ids, steps)
	g.number("lowest", -math.MaxFloat32)
	seen := g.node("Cast", "mask/float", []string{mask}, attribute{"to", int(float)})
	hidden := g.node("Sub", "mask/hidden", []string{g.number("1", 1), seen})
	scores := g.node("Unsqueeze", "mask/rows", []string{g.node("Mul", "mask", []string{hidden, "lowest"}),
		g.integers("mask/axes", []int{2}, 1, 2)})
	if m.BiasesDistances() {
		scores = g.node("Add", "mask/distances", []string{g.distances(steps), scores})
	}
	d := m.Width / m.Heads
	g.integers("heads", []int{4}, 0, 0, int64(m.Heads), int64(d))
	g.integers("joined", []int{3}, 0, 0, int64(m.Width))
	g.number("scale", float32(1/math.Sqrt(float64(d))))
	g.activationConstants()
	down := map[int]string{} // A h of the paths that span this layer, by first layer: [B,S,r]
	for l := range m.Layers {
		for i, p := range paths {
			if p.First == l {
				down[i] = g.node("MatMul", p.Name+".lora_A", []string{x, g.transposed(p.A)})
			}
		}
		x = g.layer(l, x, scores)
		for i, p := range paths {
			if p.Last != l {
				continue
			}
			up := g.node("MatMul", p.Name+".lora_B", []string{down[i], g.transposed(p.B)})
			scaled := g.node("Mul", p.Name+".scaled", []string{up, g.number(p.Name+".scale", p.Scale)})
			x = g.node("Add", p.Name+".sum", []string{x, scaled})
		}
	}
	g.head(x)
	return &g.Graph
}

// values adds a parameter as it is.
func (g *encoder) values(name string) string {
	p := g.params[name]
	return g.array(name, p.Value.Shape, func() []float32 { return p.Values(g.dev) })
}

// transposed adds a matrix [M,K] as [K,M], the form in which MatMul reads weights. Parameters that are shared are added
// once.
func (g *encoder) transposed(p *tape.Param) string {
	name, m, k := p.Name+".T", p.Value.Shape[0], p.Value.Shape[1]
	if slices.ContainsFunc(g.tensors, func(t tensor) bool { return t.name == name }) {
		return name
	}
	return g.array(name, []int{k, m}, func() []float32 {
		from, to := p.Values(g.dev), make([]float32, m*k)
		for i := range m {
			for j := range k {
				to[j*m+i] = from[i*k+j]
			}
		}
		return to
	})
}

// linear returns x WT + b.
func (g *encoder) linear(module, x string) string {
	y := g.node("MatMul", module+".product", []string{x, g.transposed(g.params[module+".weight"])})
	return g.node("Add", module, []string{y, g.values(module + ".bias")})
}

// normalized returns the norm of x + residual.
func (g *encoder) normalized(module, x, residual string) string {
	sum := g.node("Add", module+".sum", []string{x, residual})
	return g.norm(module, sum)
}

func (g *encoder) norm(module, x string) string {
	return g.node("LayerNormalization", module, []string{x, g.values(module + ".weight"), g.values(module + ".bias")},
		attribute{"axis", -1}, attribute{"epsilon", g.Eps})
}

// embed returns the output of the embeddings. steps [S] counts the tokens of a sequence.
func (g *encoder) embed(ids, steps string) string {
	e := g.Prefix + ".embeddings."
	at := g.node("Add", "positions", []string{steps, g.integers("first", nil, int64(g.FirstPosition()))})
	words := g.node("Gather", e+"word_embeddings", []string{g.values(e + "word_embeddings.weight"), ids})
	position := g.node("Gather", e+"position_embeddings", []string{g.values(e + "position_embeddings.weight"), at})
	x := g.node("Add", e+"sum", []string{words, position})
	if g.Types > 0 {
		types := "zero" // all tokens have the one type
		if g.Types > 1 {
			types = g.end(11, "token_type_ids", int64s, "batch", "sequence")
		}
		kind := g.node("Gather", e+"token_type_embeddings", []string{g.values(e + "token_type_embeddings.weight"), types})
		x = g.node("Add", e+"all", []string{x, kind})
	}
	return g.norm(e+"LayerNorm", x)
}

// distances returns MPNet's bias of the scores of each head [H,S,S], by the distance of a key from its query.
func (g *encoder) distances(steps string) string {
	buckets := g.DistanceBuckets()
	table := make([]int64, len(buckets))
	for i, b := range buckets {
		table[i] = int64(b)
	}
	keys := g.node("Unsqueeze", "keys", []string{steps, g.integers("0", []int{1}, 0)})
	queries := g.node("Unsqueeze", "queries", []string{steps, g.integers("1s", []int{1}, 1)})
	apart := g.node("Sub", "apart", []string{keys, queries})
	// The table begins with the smallest distance.
	row := g.node("Add", "apart/row", []string{apart, g.integers("middle", nil, int64(len(table)/2))})
	bucket := g.node("Gather", "bucket", []string{g.integers("buckets", []int{len(table)}, table...), row})
	bias := g.node("Gather", "bias", []string{g.values(g.Path() + ".relative_attention_bias.weight"), bucket})
	return g.node("Transpose", "bias/heads", []string{bias}, attribute{"perm", []int{2, 0, 1}})
}

// layer returns the output of layer l. mask is added to the scores of attention [B,H,S,S].
func (g *encoder) layer(l int, x, mask string) string {
	sites := g.Sites()[l*len(model.SiteNames):]
	heads := func(i int, order ...int) string {
		y := g.node("Reshape", sites[i].Path+".heads", []string{g.linear(sites[i].Path, x), "heads"})
		return g.node("Transpose", sites[i].Path+".order", []string{y}, attribute{"perm", order})
	}
	q, k, v := heads(0, 0, 2, 1, 3), heads(1, 0, 2, 3, 1), heads(2, 0, 2, 1, 3)
	a := g.LayerPath(l) + ".attention."
	products := g.node("MatMul", a+"products", []string{q, k})
	scores := g.node("Add", a+"scores", []string{g.node("Mul", a+"scaled", []string{products, "scale"}), mask})
	shares := g.node("Softmax", a+"shares", []string{scores}, attribute{"axis", -1})
	mean := g.node("Transpose", a+"order", []string{g.node("MatMul", a+"mean", []string{shares, v})},
		attribute{"perm", []int{0, 2, 1, 3}})
	out := g.linear(sites[3].Path, g.node("Reshape", a+"joined", []string{mean, "joined"}))
	behindAttention, behind := g.NormPaths(l)
	y := g.normalized(behindAttention, out, x)
	f := g.activation(sites[4].Path, g.linear(sites[4].Path, y))
	return g.normalized(behind, g.linear(sites[5].Path, f), y)
}

// head computes the logits from the first token of each sequence, or those of every token.
func (g *encoder) head(x string) {
	if g.Tokens {
		_, out, _ := g.HeadPaths()
		product := g.node("MatMul", out+".product", []string{x, g.transposed(g.params[out+".weight"])})
		g.node("Add", "logits", []string{product, g.values(out + ".bias")})
		g.end(12, "logits", float, "batch", "sequence", g.Outputs())
		return
	}
	first := g.node("Gather", "first_token", []string{x, "zero"}, attribute{"axis", 1})
	dense, out, act := g.HeadPaths()
	op := map[compute.Act]string{compute.Tanh: "Tanh", compute.ReLU: "Relu"}[act]
	y := g.node(op, dense+".act", []string{g.linear(dense, first)})
	product := g.node("MatMul", out+".product", []string{y, g.transposed(g.params[out+".weight"])})
	g.node("Add", "logits", []string{product, g.values(out + ".bias")})
	g.end(12, "logits", float, "batch", g.Outputs())
}
