package adapter

import (
	"errors"
	"fmt"
	"slices"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// ia3Config are the settings of (IA)3.
type ia3Config struct {
	TargetModules  []string `yaml:"target_modules" doc:"the linear layers that are adapted; all-linear means every one" words:"query|key|value|attention.output.dense|intermediate.dense|output.dense|q|k|v|o|q_lin|k_lin|v_lin|out_lin|lin1|lin2|q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|all-linear" example:"[query, value]"`
	FeedForward    []string `yaml:"feedforward_modules" doc:"those of the adapted layers whose input is scaled instead of their output" words:"attention.output.dense|intermediate.dense|output.dense|out_lin|lin1|lin2|o_proj|gate_proj|up_proj|down_proj" example:"[output.dense]"`
	ExcludeModules []string `yaml:"exclude_modules" doc:"linear layers that are not adapted although target_modules names them" words:"query|key|value|attention.output.dense|intermediate.dense|output.dense|q|k|v|o|q_lin|k_lin|v_lin|out_lin|lin1|lin2|q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj" example:"[attention.output.dense]"`
}

// Validate returns the faults of the lists.
func (c *ia3Config) Validate() []error {
	faults := (&LowRank{TargetModules: c.TargetModules}).Validate()
	for _, name := range c.FeedForward {
		if !slices.Contains(c.TargetModules, name) && !everyLinear(c.TargetModules) {
			faults = append(faults,
				fmt.Errorf("method.feedforward_modules: has %q, which is not one of method.target_modules", name))
		}
	}
	return faults
}

var ia3Spec = spec{
	new:   newIA3,
	about: "(IA)3: a vector that scales keys, values and the inner activations of the feed-forward layers",
	section: func() section {
		return &ia3Config{[]string{"key", "value", "output.dense"}, []string{"output.dense"},
			[]string{"attention.output.dense"}}
	},
	learningRate: 3e-3,
	peftType:     "IA3",
	describe: func(d Description, _ Method, c *peftConfig) {
		own := d.Method.own.(*ia3Config)
		c.FanInFanOut, c.TargetModules = new(bool), own.TargetModules
		c.More = map[string]any{
			"feedforward_modules": own.FeedForward, "exclude_modules": own.ExcludeModules, "init_ia3_weights": true,
		}
	},
	fromPEFT: &peftForm{
		name: "IA3", used: []string{"feedforward_modules", "init_ia3_weights"}, tensor: `ia3_l`,
		values:  func(peftKeys) Values { return Values{} },
		targets: ia3Targets,
	},
	library: "peft",
	load:    "Load it with `PeftModel.from_pretrained` or with `lor2c eval --adapter`.",
}

// ia3Targets gives c the linear layers of a file, and as feed-forward modules those whose vector is a row.
func ia3Targets(c *Config, file tensorFile, found []string) error {
	inputs, exclude := []string{}, []string{}
	for _, name := range file.Names() {
		module, leaf, ok := modulePath(name)
		m := stack.FindStringSubmatch(module)
		_, shape, _ := file.Info(name)
		if ok && m != nil && leaf == "ia3_l" && len(shape) == 2 && shape[0] == 1 && !slices.Contains(inputs, m[3]) {
			inputs = append(inputs, m[3])
		}
	}
	for _, name := range anySite() { // one whose name ends like that of another
		if targeted(found, name) && !slices.Contains(found, name) {
			exclude = append(exclude, name)
		}
	}
	slices.Sort(inputs)
	return errors.Join(c.Set("target_modules", found), c.Set("feedforward_modules", inputs),
		c.Set("exclude_modules", exclude))
}

// IA3 scales the output of linear layers, bias included, or the input of those in feedforward_modules by a trained
// vector that begins at one (Liu et al. 2022, arXiv:2205.05638, section 3.3).
type IA3 struct {
	Plain
	b      builder
	at     map[model.Site]ia3Site
	params []*tape.Param
}

type ia3Site struct {
	*tape.Param      // [M,1], or [1,K] for the input, as PEFT stores it
	input       bool // the vector scales the input
}

func newIA3(b builder) (Method, error) {
	m, c := &IA3{b: b, at: map[model.Site]ia3Site{}}, settingsOf[*ia3Config](b)
	if err := b.checkTargets(c.FeedForward); err != nil {
		return nil, err
	}
	err := b.linearsExcept(c.TargetModules, c.ExcludeModules, func(s model.Site, module string, in, out int) {
		shape, input := []int{out, 1}, targeted(c.FeedForward, s.Name)
		if input {
			shape = []int{1, in}
		}
		p := b.param(module+".ia3_l", shape...)
		p.Upload(b.dev, slices.Repeat([]float32{1}, p.Value.Shape.Len()))
		m.at[s], m.params = ia3Site{p, input}, append(m.params, p)
	})
	return m, err
}

// Params lists the vectors by layer.
func (m *IA3) Params() []*tape.Param { return m.params }

// Fold returns the vectors as factors of rows or columns.
func (m *IA3) Fold(dev compute.Device) (list []Update, err error) {
	for s, w := range m.at {
		v, shape := w.Param.Values(dev), m.b.Linear(s).W.Value.Shape
		u := Update{Site: s, In: shape[1], Out: shape[0]}
		if w.input {
			u.Columns = v
		} else {
			u.Rows, u.Bias = v, true
		}
		list = append(list, u)
	}
	return inOrder(list), dev.Err()
}

// Hook scales inputs and outputs.
func (m *IA3) Hook(At) model.Hook { return ia3Hook{m: m} }

type ia3Hook struct {
	model.Base
	m *IA3
}

func (h ia3Hook) Adapts(s model.Site) bool {
	w, ok := h.m.at[s]
	return ok && !w.input
}

func (h ia3Hook) Input(p *model.Pass, s model.Site, x *tape.Var) *tape.Var {
	if w := h.m.at[s]; w.input {
		return p.ScaleCols(x, flat(w.Param), compute.ScaleOpts{})
	}
	return x
}

func (h ia3Hook) Linear(p *model.Pass, s model.Site, _, y *tape.Var) {
	p.Rescale(y, flat(h.m.at[s].Param), compute.ScaleOpts{})
}

// flat returns p as a vector, which shares the tensors of p.
func flat(p *tape.Param) *tape.Param {
	v, shape := *p, compute.Shape{p.Value.Shape.Len()}
	v.Value = p.Value.Slice(0, shape)
	if p.Grad.Present() {
		v.Grad = p.Grad.Slice(0, shape)
	}
	return &v
}
