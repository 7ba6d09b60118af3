package adapter

import (
	"fmt"
	"math"
)

// lor2cConfig are the settings of LoR2C.
type lor2cConfig struct {
	Factors       `yaml:",inline"`
	Share         bool     `yaml:"share" doc:"all modules use one A (ShareLoR2C)"`
	TargetModules []string `yaml:"target_modules" doc:"the linear layers that injection adapts" words:"query|key|value|attention.output.dense|intermediate.dense|output.dense|q|k|v|o|q_lin|k_lin|v_lin|out_lin|lin1|lin2|q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|all-linear" example:"[query, value]"`
	InjectRank    int      `yaml:"inject_rank" doc:"rank of an injected LoRA" range:"1..256" unset:"half of method.rank" example:"4"`
	InjectAlpha   float64  `yaml:"inject_alpha" doc:"an injected LoRA is scaled by this over its rank" range:">0.."`
	InjectDropout float64  `yaml:"inject_dropout" doc:"dropout on the input of an injected LoRA" range:"0..<1" example:"0.1"`
}

// Resolve fills in the rank of the LoRA that injection makes.
func (c *lor2cConfig) Resolve() {
	if c.InjectRank == 0 {
		c.InjectRank = max(c.Rank/2, 1)
	}
}

// Validate returns a fault if the scale of an injected LoRA is not finite.
func (c *lor2cConfig) Validate() []error {
	rank := c.InjectRank
	if rank == 0 {
		rank = max(c.Rank/2, 1)
	}
	if !math.IsInf(c.InjectAlpha, 0) && infinite(float32(c.InjectAlpha/float64(rank))) {
		return []error{fmt.Errorf("method.inject_alpha: is %g; want inject_alpha/inject_rank to be finite in float32",
			c.InjectAlpha)}
	}
	return nil
}

// Variant tells ShareLoR2C from LoR2C.
func (c *lor2cConfig) Variant() string {
	if c.Share {
		return "share "
	}
	return ""
}

// injected returns the settings of the LoRA that replaces a module.
func (c *lor2cConfig) injected() LowRank {
	return LowRank{Factors{c.InjectRank, c.InjectAlpha, c.InjectDropout}, c.TargetModules}
}

// describeLoR2C sets the keys of adapter_config.json that only LoR2C has.
func describeLoR2C(d Description, method Method, c *peftConfig) {
	m, own := method.(*LoR2C), d.Method.own.(*lor2cConfig)
	c.Rank, c.LoR2CAlpha, c.Dropout, c.Share = own.Rank, own.Alpha, &own.Dropout, own.Share
	for _, s := range m.modules {
		c.LoR2CModules = append(c.LoR2CModules, span{s.first, s.last})
	}
	for _, l := range m.order {
		i := own.injected()
		c.LoR2CInjected = append(c.LoR2CInjected, pairOf{l, i.TargetModules, i.Rank, i.Alpha, i.Dropout})
	}
}
