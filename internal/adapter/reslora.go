package adapter

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// resLoRAConfig are the settings of ResLoRA.
type resLoRAConfig struct {
	LowRank `yaml:",inline"`
	ResType string `yaml:"res_type" doc:"what a path takes from earlier layers: is, their input; bs, their whole paths; ms, the inner values of their paths" words:"is|bs|ms" example:"bs"`
	PreNum  int    `yaml:"pre_num" doc:"how many earlier layers bs and ms reach; -1 means all" range:"-1..1000" example:"4"`
}

// The values of resLoRAConfig.ResType.
const (
	inputShortcut  = "is"
	blockShortcut  = "bs"
	middleShortcut = "ms"
)

var resLoRASpec = spec{
	new:   newResLoRA,
	about: "ResLoRA: LoRA with shortcuts from the paths of earlier layers to those of later ones",
	section: func() section {
		c := &resLoRAConfig{lowRankDefaults, blockShortcut, 4}
		c.Rank, c.Dropout = 4, 0.1
		return c
	},
	learningRate: 1e-3,
	peftType:     "RESLORA",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*resLoRAConfig)
		c.describeLoRA(own.LowRank)
		c.More = map[string]any{"res_type": own.ResType, "pre_num": own.PreNum}
	},
	library:    "lor2c",
	load:       "Load it with `lor2c eval --adapter`. With res_type bs, `lor2c export` writes it as LoRA.",
	foldedWith: "res_type: bs",
}

// ResLoRA is LoRA with shortcuts between the paths of the same linear layer in successive layers (Shi et al. 2024,
// arXiv:2402.18039, section 3.1). With x_n the input of that linear layer in layer n, its output gains
//
//	is: scale B_n A_n dropout(x_n + x_{n-1}), where x_{-1} is x_0
//	bs: scale (sum over k of B_{n-k} A_{n-k}) dropout(x_n)
//	ms: scale B_n (sum over k of A_{n-k} dropout(x_{n-k}))
//
// for k from 0 to pre_num, as far as there are layers. The paths of bs read one dropout mask of x_n together.
type ResLoRA struct {
	Plain
	own *resLoRAConfig
	// chains has, for the number of a linear layer within its layer, its pairs by layer.
	chains map[int][]pair
	sites  []model.Site
	params []*tape.Param
}

func newResLoRA(b builder) (Method, error) {
	m := &ResLoRA{own: settingsOf[*resLoRAConfig](b), chains: map[int][]pair{}}
	err := b.linears(m.own.TargetModules, func(s model.Site, module string, in, out int) {
		w := b.pair(m.own.Factors, module, s.Layer, in, out)
		m.chains[s.Index], m.params = append(m.chains[s.Index], w), append(m.params, w.A, w.B)
		m.sites = append(m.sites, s)
	})
	return m, err
}

// reach returns how many earlier layers the path of a layer takes something from.
func (m *ResLoRA) reach(layer int) int {
	if m.own.PreNum < 0 {
		return layer
	}
	return min(layer, m.own.PreNum)
}

// Fold returns, for bs, the low-rank maps of all blocks of a linear layer as one. The other kinds read values of other
// layers, which no weight has.
func (m *ResLoRA) Fold(dev compute.Device) (list []Update, err error) {
	if m.own.ResType != blockShortcut {
		return nil, fmt.Errorf("with method.res_type %s a path reads values of earlier layers", m.own.ResType)
	}
	for _, s := range m.sites {
		chain, blocks := m.chains[s.Index], m.reach(s.Layer)+1
		r, in, out := m.own.Rank, chain[0].A.Value.Shape[1], chain[0].B.Value.Shape[0]
		u := Update{Site: s, In: in, Out: out, Rank: blocks * r, B: make([]float32, out*blocks*r), Scale: chain[0].scale}
		for k := range blocks {
			w := chain[s.Layer-k]
			u.A = append(u.A, w.A.Values(dev)...)
			for i, b := range w.B.Values(dev) {
				u.B[i/r*blocks*r+k*r+i%r] = b
			}
		}
		list = append(list, u)
	}
	return inOrder(list), dev.Err()
}

// Params lists A and B of every pair, by layer and by the order of the linear layers within it.
func (m *ResLoRA) Params() []*tape.Param { return m.params }

// Hook adds the paths to their linear layers.
func (m *ResLoRA) Hook(At) model.Hook { return resLoRAHook{m: m, earlier: map[int][]*tape.Var{}} }

type resLoRAHook struct {
	model.Base
	m *ResLoRA
	// earlier has, for the number of a linear layer, the values of earlier layers that later ones read, the latest last:
	// inputs for is and inner values for ms.
	earlier map[int][]*tape.Var
}

func (h resLoRAHook) Adapts(s model.Site) bool { return h.m.chains[s.Index] != nil }

func (h resLoRAHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	switch h.m.own.ResType {
	case inputShortcut:
		h.input(p, s, x, y)
	case blockShortcut:
		h.blocks(p, s, x, y)
	default:
		h.middle(p, s, x, y)
	}
}

// input adds the path of the sum of the inputs of two layers.
func (h resLoRAHook) input(p *model.Pass, s model.Site, x, y *tape.Var) {
	w, before := h.m.chains[s.Index][s.Layer], x
	if known := h.earlier[s.Index]; known != nil {
		before = h.atRowsOf(p, s, known[0], x)
		defer p.Release(known[0])
	}
	sum := p.Add(x, before, 1)
	w.up(p, w.down(p, s.Layer, siteMask(s), sum), y)
	p.Release(sum)
	p.Retain(x)
	h.earlier[s.Index] = []*tape.Var{x}
}

// blocks adds the paths of this layer and of earlier ones.
func (h resLoRAHook) blocks(p *model.Pass, s model.Site, x, y *tape.Var) {
	chain := h.m.chains[s.Index]
	in := p.Dropout(x, p.MethodMask(s.Layer, siteMask(s), chain[s.Layer].drop, x))
	for k := range h.m.reach(s.Layer) + 1 {
		w := chain[s.Layer-k]
		w.up(p, p.LowRankDown(in, w.A, compute.Dropout{}), y)
	}
	if in != x {
		p.Release(in)
	}
}

// middle adds B of this layer, applied to the sum of the inner values of this layer and of earlier ones. Inner values
// are small, and stay in memory until the end of the pass.
func (h resLoRAHook) middle(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.m.chains[s.Index][s.Layer]
	u := w.down(p, s.Layer, siteMask(s), x)
	sum, known := u, h.earlier[s.Index]
	for _, v := range known[len(known)-h.m.reach(s.Layer):] {
		sum = p.Add(sum, h.atRowsOf(p, s, v, u), 1)
	}
	p.LowRankUp(y, sum, w.B, w.scale)
	h.earlier[s.Index] = append(known, u)
}

// atRowsOf returns the value v of an earlier layer at the rows of x: the last layer of an encoder computes some linear
// layers only for the rows that the head reads.
func (h resLoRAHook) atRowsOf(p *model.Pass, s model.Site, v, x *tape.Var) *tape.Var {
	if v.Value.Shape.Rows() == x.Value.Shape.Rows() {
		return v
	}
	return p.Match(v, s.Layer)
}
