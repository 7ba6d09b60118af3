package adapter

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// veraConfig are the settings of VeRA.
type veraConfig struct {
	Rank          int      `yaml:"rank" doc:"inner width r of the low-rank path" range:"1..256"`
	Dropout       float64  `yaml:"dropout" doc:"dropout on the input of the low-rank path" range:"0..<1" example:"0.1"`
	TargetModules []string `yaml:"target_modules" doc:"the linear layers that are adapted; all-linear means every one" words:"query|key|value|attention.output.dense|intermediate.dense|output.dense|q|k|v|o|q_lin|k_lin|v_lin|out_lin|lin1|lin2|q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|all-linear" example:"[query, value]"`
	Initial       float64  `yaml:"d_initial" doc:"the value that the vector between the two matrices begins with" range:">0.."`
}

// Validate returns the faults of the list of target modules.
func (c *veraConfig) Validate() []error {
	return (&LowRank{TargetModules: c.TargetModules}).Validate()
}

var veraSpec = spec{
	new: newVeRA,
	about: "VeRA: two vectors for each linear layer, around random matrices that all layers share and that are " +
		"not trained",
	section:      func() section { return &veraConfig{256, 0, []string{"query", "value"}, 0.1} },
	learningRate: 4e-3,
	peftType:     "VERA",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*veraConfig)
		c.Bias, c.FanInFanOut, c.Rank, c.TargetModules = "none", new(bool), own.Rank, own.TargetModules
		c.More = map[string]any{"d_initial": own.Initial, "projection_prng_key": 0, "save_projection": true,
			"vera_dropout": own.Dropout}
	},
	frozen: func(name string) bool { return strings.HasSuffix(name, "vera_A") || strings.HasSuffix(name, "vera_B") },
	fromPEFT: &peftForm{
		name:   "VeRA",
		used:   []string{"r", "vera_dropout", "d_initial", "projection_prng_key", "save_projection", "init_weights"},
		plain:  map[string][]string{"bias": {`"none"`}},
		tensor: `vera_lambda_[bd]`,
		values: func(c peftKeys) Values {
			return Values{"rank": c.Rank, "dropout": c.VeRADropout, "d_initial": c.Initial}
		},
		check: func(c peftKeys) error {
			if c.SaveProjection != nil && !*c.SaveProjection {
				return errors.New("save_projection is false, so that the random matrices are not in the adapter, and only " +
					"PyTorch draws them again; want an adapter with save_projection")
			}
			return nil
		},
	},
	library: "peft",
	load:    "Load it with `PeftModel.from_pretrained` or with `lor2c eval --adapter`.",
}

// VeRA adds lb.(B (ld.(A dropout(x)))) to linear layers, with trained vectors ld [r] and lb [M] and one pair of frozen
// random matrices for all layers (Kopiczko et al. 2024, arXiv:2310.11454, eq. 2). A layer takes the first columns of A
// and the first rows of B. lb begins at zero.
type VeRA struct {
	Plain
	b       builder
	a, back *tape.Param         // [r, widest input], [widest output, r], frozen
	columns map[int]*tape.Param // the first columns of A, by their number
	at      map[model.Site]veraSite
	params  []*tape.Param
	drop    float32
}

type veraSite struct{ a, b, inner, outer *tape.Param }

func newVeRA(b builder) (Method, error) {
	c := settingsOf[*veraConfig](b)
	m := &VeRA{b: b, columns: map[int]*tape.Param{}, at: map[model.Site]veraSite{}, drop: float32(c.Dropout)}
	widest, most := 0, 0
	err := b.linears(c.TargetModules,
		func(_ model.Site, _ string, in, out int) { widest, most = max(widest, in), max(most, out) })
	if err != nil {
		return nil, err
	}
	random := func(name string, rows, columns int) *tape.Param {
		p := b.param("base_model."+name, rows, columns)
		b.uniform(p, math.Sqrt(6/float64(columns)))
		return p
	}
	m.a, m.back = random("vera_A", c.Rank, widest), random("vera_B", most, c.Rank)
	err = b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		if m.columns[in] == nil {
			m.columns[in] = m.a
			if in < widest {
				m.columns[in] = b.frozen("vera_A", c.Rank, in)
			}
		}
		inner, outer := b.param(module+".vera_lambda_d", c.Rank), b.param(module+".vera_lambda_b", out)
		inner.Idle = tape.IdleAtStart
		inner.Upload(b.dev, slices.Repeat([]float32{float32(c.Initial)}, c.Rank))
		rows := &tape.Param{Name: m.back.Name, Value: m.back.Value.View(0, out)}
		m.at[s], m.params = veraSite{m.columns[in], rows, inner, outer}, append(m.params, outer, inner)
	})
	if err != nil {
		return nil, err
	}
	return m, m.Restored()
}

// Restored copies the columns of A that narrower layers use.
func (m *VeRA) Restored() error {
	width, all := m.a.Value.Shape.Cols(), m.a.Values(m.b.dev)
	for columns, p := range m.columns {
		if p == m.a {
			continue
		}
		var cut []float32
		for row := range slices.Chunk(all, width) {
			cut = append(cut, row[:columns]...)
		}
		p.Upload(m.b.dev, cut)
	}
	return m.b.dev.Err()
}

// Params lists the two vectors of every layer.
func (m *VeRA) Params() []*tape.Param { return m.params }

// Buffers lists A and B.
func (m *VeRA) Buffers() []*tape.Param { return []*tape.Param{m.a, m.back} }

// Fold returns the paths with the vectors multiplied into A and B.
func (m *VeRA) Fold(dev compute.Device) (list []Update, err error) {
	for s, w := range m.at {
		u := Update{
			Site: s, In: w.a.Value.Shape[1], Out: w.b.Value.Shape[0], Rank: w.a.Value.Shape[0],
			A: w.a.Values(dev), B: w.b.Values(dev), Scale: 1,
		}
		for k, x := range w.inner.Values(dev) {
			for i := range u.In {
				u.A[k*u.In+i] *= x
			}
		}
		for o, x := range w.outer.Values(dev) {
			for k := range u.Rank {
				u.B[o*u.Rank+k] *= x
			}
		}
		list = append(list, u)
	}
	return inOrder(list), dev.Err()
}

// Hook adds the low-rank paths to their linear layers.
func (m *VeRA) Hook(At) model.Hook { return veraHook{siteHook[veraSite]{sites: m.at}, m} }

type veraHook struct {
	siteHook[veraSite]
	m *VeRA
}

func (h veraHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	u := p.LowRankDown(x, w.a, p.MethodMask(s.Layer, siteMask(s), h.m.drop, x))
	p.Rescale(u, w.inner, compute.ScaleOpts{})
	z := p.Zeros(y, y.Value.Shape.Cols())
	p.LowRankUp(z, u, w.b, 1)
	p.Release(u)
	p.Rescale(z, w.outer, compute.ScaleOpts{})
	p.AddTo(y, z, 1)
	p.Release(z)
}
