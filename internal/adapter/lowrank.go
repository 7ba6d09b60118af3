package adapter

import (
	"fmt"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// Factors are the settings of a low-rank path B A.
type Factors struct {
	Rank    int     `yaml:"rank" doc:"inner width r of the low-rank path B A" range:"1..256"`
	Alpha   float64 `yaml:"alpha" doc:"the low-rank path is scaled by alpha/rank" range:">0.."`
	Dropout float64 `yaml:"dropout" doc:"dropout on the input of the low-rank path" range:"0..<1" example:"0.1"`
}

// MaxRank is the largest rank that every device supports.
const MaxRank = 256

// Scale is alpha/r.
func (c Factors) Scale() float32 { return float32(c.Alpha / float64(c.Rank)) }

// Validate returns a fault if the scale of a path is not finite.
func (c *Factors) Validate() (faults []error) {
	if c.Alpha > 0 && c.Rank > 0 && !math.IsInf(c.Alpha, 0) && infinite(c.Scale()) {
		faults = append(faults, fmt.Errorf("method.alpha: is %g; want alpha/rank to be finite in float32", c.Alpha))
	}
	return faults
}

func infinite(scale float32) bool { return math.IsInf(float64(scale), 0) }

// LowRank are the settings of a method that adds low-rank paths to linear layers. A method with such paths embeds it.
type LowRank struct {
	Factors       `yaml:",inline"`
	TargetModules []string `yaml:"target_modules" doc:"the linear layers that are adapted; all-linear means every one" words:"query|key|value|attention.output.dense|intermediate.dense|output.dense|q|k|v|o|q_lin|k_lin|v_lin|out_lin|lin1|lin2|q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|all-linear" example:"[query, value]"`
}

// lowRankDefaults are the settings of the authors' script for LoRA on RoBERTa-base.
var lowRankDefaults = LowRank{Factors{Rank: 8, Alpha: 16, Dropout: 0.05}, []string{"query", "value"}}

// Validate returns the faults of the list of target modules.
func (c *LowRank) Validate() (faults []error) {
	if len(c.TargetModules) == 0 {
		faults = append(faults,
			fmt.Errorf("method.target_modules: is empty; want at least one linear layer, for example query and value"))
	}
	for i, t := range c.TargetModules {
		if slices.Contains(c.TargetModules[:i], t) {
			faults = append(faults, fmt.Errorf("method.target_modules: %q is named twice", t))
		}
	}
	return faults
}

// siteHook is the part of a hook that acts on the linear layers for which a method has something.
type siteHook[T any] struct {
	model.Base
	sites map[model.Site]T
}

func (h siteHook[T]) Adapts(s model.Site) bool {
	_, ok := h.sites[s]
	return ok
}

// pairsHook adds low-rank maps to linear layers.
type pairsHook struct{ siteHook[pair] }

func newPairsHook(pairs map[model.Site]pair) pairsHook {
	return pairsHook{siteHook[pair]{sites: pairs}}
}

func (h pairsHook) Linear(p *model.Pass, s model.Site, x, y *tape.Var) {
	w := h.sites[s]
	w.up(p, w.down(p, s.Layer, siteMask(s), x), y)
}

// These are the numbers of the dropout masks of low-rank methods in a layer:
// one for the input of the layer, then one for the input of each of its linear
// layers, in their order.
const (
	blockMask     = 0
	firstSiteMask = 1
)

// siteMask returns the number of the dropout mask on the input of a linear layer.
func siteMask(s model.Site) int { return firstSiteMask + s.Index }
