package adapter

import (
	"cmp"
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/place"
)

// adaLoRAConfig are the settings of AdaLoRA.
type adaLoRAConfig struct {
	InitRank      int      `yaml:"init_rank" doc:"rank of each linear layer as training begins" range:"1..256" example:"12"`
	TargetRank    int      `yaml:"target_rank" doc:"mean rank of the linear layers in the end" range:"1..256" example:"8"`
	Alpha         float64  `yaml:"alpha" doc:"the low-rank path is scaled by alpha/init_rank" range:">0.."`
	Dropout       float64  `yaml:"dropout" doc:"dropout on the input of the low-rank path" range:"0..<1" example:"0.1"`
	TargetModules []string `yaml:"target_modules" doc:"the linear layers that are adapted; all-linear means every one" words:"query|key|value|attention.output.dense|intermediate.dense|output.dense|q|k|v|o|q_lin|k_lin|v_lin|out_lin|lin1|lin2|q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|all-linear" example:"[query, value]"`
	Start         float64  `yaml:"tinit_ratio" doc:"share of the steps before the first rank is given up" range:"0..<1" example:"0.12"`
	Final         float64  `yaml:"tfinal_ratio" doc:"share of the steps after the last rank is given up" range:"0..<1" example:"0.5"`
	Every         int      `yaml:"delta_t" doc:"steps between two changes of the ranks" range:"1.." unset:"1 in a run of less than 4,000 steps, 10 in one of less than 10,000, else 100" example:"10"`
	Beta1         float64  `yaml:"beta1" doc:"decay of the moving average of sensitivities" range:">0..<1" example:"0.85"`
	Beta2         float64  `yaml:"beta2" doc:"decay of the moving average of their deviations" range:">0..<1" example:"0.85"`
	Weight        float64  `yaml:"orth_reg_weight" doc:"weight of the penalty that keeps A and B orthogonal" range:"0.." example:"0.3"`
}

// adaLoRADefaults returns the budget of the paper's smaller tables with the schedule that the authors' scripts for GLUE
// have in the mean.
func adaLoRADefaults() *adaLoRAConfig {
	return &adaLoRAConfig{
		InitRank: 12, TargetRank: 8, Alpha: 16, TargetModules: []string{"query", "value"},
		Start: 0.12, Final: 0.5, Beta1: 0.85, Beta2: 0.85, Weight: 0.1,
	}
}

// adaLoRAValues returns the settings of an adapter of PEFT. What concerns its schedule is for a run that begins with
// it; PEFT also has schedules without steps, or without ranks to give up.
func adaLoRAValues(c peftKeys) Values {
	v := Values{
		"init_rank": c.InitRank, "target_rank": max(min(c.TargetRank, c.InitRank-1), 1), "alpha": c.Alpha,
		"dropout": c.Dropout, "orth_reg_weight": c.Orthogonal,
	}
	if 0 <= c.Start && 0 <= c.Final && c.Start+c.Final < c.Steps {
		v["tinit_ratio"], v["tfinal_ratio"] = float64(c.Start)/float64(c.Steps), float64(c.Final)/float64(c.Steps)
	}
	for key, beta := range map[string]float64{"beta1": c.Beta1, "beta2": c.Beta2} {
		if beta > 0 {
			v[key] = beta
		}
	}
	if c.Every > 0 {
		v["delta_t"] = c.Every
	}
	return v
}

// Validate returns the faults of settings that do not fit together.
func (c *adaLoRAConfig) Validate() []error {
	faults := (&LowRank{TargetModules: c.TargetModules}).Validate()
	if c.InitRank <= c.TargetRank {
		faults = append(faults,
			fmt.Errorf("method.init_rank: is %d; want more than method.target_rank, %d, so that there are ranks to give up",
				c.InitRank, c.TargetRank))
	}
	if c.Start+c.Final >= 1 {
		faults = append(faults,
			fmt.Errorf("method.tinit_ratio: is %g; with method.tfinal_ratio, %g, it leaves no step in which ranks are given "+
				"up; want less than 1 together", c.Start, c.Final))
	}
	if infinite(float32(c.Alpha)) {
		faults = append(faults, fmt.Errorf("method.alpha: is %g; want it to be finite in float32", c.Alpha))
	}
	return faults
}

// adaLoRAPlan says how many triplets are kept after step t of a run, counted from 0: all until start, then fewer every
// `every` steps until end, and target from there on. Without steps, outside a run, no triplet is set to zero.
type adaLoRAPlan struct{ steps, start, final, every, triplets, target int }

// end is the step after which the kept triplets stay the same.
func (p adaLoRAPlan) end() int { return p.steps - p.final }

// kept returns the number of triplets that are kept after step t (arXiv:2303.10512, eq. 12).
func (p adaLoRAPlan) kept(t int) int {
	switch {
	case t <= p.start:
		return p.triplets
	case t > p.end():
		return p.target
	}
	left := 1 - float64(t-p.start)/float64(p.end()-p.start)
	return int(float64(p.triplets-p.target)*math.Pow(left, 3) + float64(p.target))
}

// masked returns how many triplets are set to zero after step t, and whether any are then.
func (p adaLoRAPlan) masked(t int) (k int, due bool) {
	due = t >= p.end() || t > p.start && t%p.every == 0
	return p.triplets - p.kept(t), due
}

// plan returns the plan for a run on a number of linear layers. It returns an error if the run is too short.
func (c *adaLoRAConfig) plan(sites, steps int) (p adaLoRAPlan, err error) {
	if steps == 0 {
		return p, nil
	}
	part := func(share float64) int { return int(math.Round(share * float64(steps))) }
	p = adaLoRAPlan{steps, part(c.Start), part(c.Final), cmp.Or(c.Every, defaultEvery(steps)), sites * c.InitRank,
		sites * c.TargetRank}
	if p.end() <= p.start {
		return p, fmt.Errorf("adapter: attach adalora: the run has %s, of which method.tinit_ratio takes %d and "+
			"method.tfinal_ratio %d; want at least one between them, after which ranks are given up",
			place.Count(steps, "step", "steps"), p.start, p.final)
	}
	return p, nil
}

// defaultEvery returns after how many steps the authors' scripts mask again.
func defaultEvery(steps int) int {
	switch {
	case steps < 4000:
		return 1
	case steps < 10000:
		return 10
	}
	return 100
}
