package adapter

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// doraConfig are the settings of DoRA.
type doraConfig struct {
	LowRank `yaml:",inline"`
}

var doraSpec = spec{
	new:          newDoRA,
	about:        "DoRA: LoRA on the direction of each row of a weight, beside a trained norm of the row",
	section:      func() section { return &doraConfig{lowRankDefaults} },
	learningRate: 1e-3,
	peftType:     "LORA",
	describe: func(d Description, _ Method, c *peftConfig) {
		c.describeLoRA(d.Method.own.(*doraConfig).LowRank)
		c.More = map[string]any{"use_dora": true}
	},
	fromPEFT: &peftForm{
		name: "DoRA", dora: true, used: loraUsed, plain: loraPlain, tensor: `lora_[AB]\.weight|lora_magnitude_vector`,
		values: func(c peftKeys) Values {
			if c.UseRsLoRA { // alpha/r is then what alpha over the root of r was
				c.Alpha *= math.Sqrt(float64(c.Rank))
			}
			return Values{"rank": c.Rank, "alpha": c.Alpha, "dropout": c.Dropout}
		},
	},
	library: "peft",
	load:    "Load it with `PeftModel.from_pretrained` or with `lor2c eval --adapter`.",
	except:  roundsStart,
}

// DoRA replaces the weight W of linear layers by m V/||V|| with V = W + s B A, where ||V|| [M] are the norms of the
// rows of V and m [M] is trained (Liu et al. 2024, arXiv:2402.09353, eq. 5). The gradient takes ||V|| for a constant
// (section 4.3). Dropout acts on the input of the low-rank path alone.
type DoRA struct {
	Plain
	at     map[model.Site]doraSite
	params []*tape.Param
}

type doraSite struct {
	pair
	magnitude *tape.Param
	inverse   compute.Tensor // [M] Exact: 1/||V|| in this pass
	linear    model.Linear
}

func newDoRA(b builder) (Method, error) {
	m, c := &DoRA{at: map[model.Site]doraSite{}}, settingsOf[*doraConfig](b)
	err := b.linears(c.TargetModules, func(s model.Site, module string, in, out int) {
		w := doraSite{
			b.pair(c.Factors, module, s.Layer, in, out), b.param(module+".lora_magnitude_vector", out),
			b.dev.Alloc(compute.Shape{out}, compute.Exact), b.Linear(s),
		}
		norms, weight := make([]float32, out), w.linear.W.Values(b.dev)
		for i := range norms {
			sum := 0.0
			for _, x := range weight[i*in : (i+1)*in] {
				sum += float64(x) * float64(x)
			}
			norms[i] = float32(math.Sqrt(sum))
		}
		w.magnitude.Upload(b.dev, norms)
		m.at[s], m.params = w, append(m.params, w.A, w.B, w.magnitude)
	})
	return m, err
}

// Params lists A, B and the magnitudes of every layer.
func (m *DoRA) Params() []*tape.Param { return m.params }

// Fold returns the pairs with the factors m/||V|| of the rows.
func (m *DoRA) Fold(dev compute.Device) ([]Update, error) {
	pairs := map[model.Site]pair{}
	for s, w := range m.at {
		pairs[s] = w.pair
	}
	list, err := updates(dev, pairs)
	for i := range list {
		u := &list[i]
		w := m.at[u.Site]
		v := w.linear.W.Values(dev)
		u.apply(v)
		u.Rows = w.magnitude.Values(dev)
		for o := range u.Rows {
			sum := 0.0
			for _, x := range v[o*u.In : (o+1)*u.In] {
				sum += float64(x) * float64(x)
			}
			u.Rows[o] = float32(float64(u.Rows[o]) / math.Sqrt(sum))
		}
	}
	return list, err
}

// Hook changes the outputs of the linear layers.
func (m *DoRA) Hook(At) model.Hook { return doraHook{siteHook[doraSite]{sites: m.at}} }

type doraHook struct{ siteHook[doraSite] }

func (h doraHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	base, release := p.Dense(w.linear.W)
	p.Dev.LowRankInvNorm(w.inverse, base, w.A.Value, w.B.Value, w.scale)
	release()
	w.up(p, w.down(p, s.Layer, siteMask(s), x), y)
	o := compute.ScaleOpts{Times: w.inverse}
	if w.linear.B != nil {
		o.About = w.linear.B.Value
	}
	p.Rescale(y, w.magnitude, o)
}
