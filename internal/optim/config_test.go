package optim_test

import (
	"errors"
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/optim"
)

func TestValidate(t *testing.T) {
	if faults := optim.Default().Validate(); faults != nil {
		t.Errorf("faults of the default: %v", faults)
	}
	for name, c := range map[string]struct {
		change func(c *optim.Config)
		want   string
	}{
		"lr":      {func(c *optim.Config) { c.LR = -1 }, "optim.lr: is -1; want more than 0"},
		"lr nan":  {func(c *optim.Config) { c.LR = math.NaN() }, "optim.lr: is NaN; want more than 0"},
		"lr inf":  {func(c *optim.Config) { c.LR = math.Inf(1) }, "optim.lr: is +Inf; want more than 0 and finite"},
		"lr -inf": {func(c *optim.Config) { c.LR = math.Inf(-1) }, "optim.lr: is -Inf; want more than 0"},
		"head_lr_ratio inf": {func(c *optim.Config) { c.HeadLRRatio = math.Inf(1) },
			"optim.head_lr_ratio: is +Inf; want at least 0 and finite"},
		"head_lr_ratio nan": {func(c *optim.Config) { c.HeadLRRatio = math.NaN() },
			"optim.head_lr_ratio: is NaN; want at least 0"},
		"weight_decay inf": {func(c *optim.Config) { c.WeightDecay = math.Inf(1) },
			"optim.weight_decay: is +Inf; want at least 0 and finite"},
		"weight_decay nan": {func(c *optim.Config) { c.WeightDecay = math.NaN() },
			"optim.weight_decay: is NaN; want at least 0"},
		"beta1 inf": {func(c *optim.Config) { c.Beta1 = math.Inf(1) },
			"optim.beta1: is +Inf; want at least 0 and less than 1"},
		"beta1 nan": {func(c *optim.Config) { c.Beta1 = math.NaN() },
			"optim.beta1: is NaN; want at least 0 and less than 1"},
		"beta2 inf": {func(c *optim.Config) { c.Beta2 = math.Inf(1) },
			"optim.beta2: is +Inf; want at least 0 and less than 1"},
		"beta2 nan": {func(c *optim.Config) { c.Beta2 = math.NaN() },
			"optim.beta2: is NaN; want at least 0 and less than 1"},
		"eps inf": {func(c *optim.Config) { c.Eps = math.Inf(1) },
			"optim.eps: is +Inf; want more than 0 and finite"},
		"eps nan": {func(c *optim.Config) { c.Eps = math.NaN() }, "optim.eps: is NaN; want more than 0"},
		"warmup_ratio inf": {func(c *optim.Config) { c.WarmupRatio = math.Inf(1) },
			"optim.warmup_ratio: is +Inf; want 0 to 1"},
		"warmup_ratio nan": {func(c *optim.Config) { c.WarmupRatio = math.NaN() },
			"optim.warmup_ratio: is NaN; want 0 to 1"},
		"max_grad_norm inf": {func(c *optim.Config) { c.MaxGradNorm = math.Inf(1) },
			"optim.max_grad_norm: is +Inf; want at least 0 and finite"},
		"max_grad_norm nan": {func(c *optim.Config) { c.MaxGradNorm = math.NaN() },
			"optim.max_grad_norm: is NaN; want at least 0"},
		"head_lr_ratio": {func(c *optim.Config) { c.HeadLRRatio = -1 }, "optim.head_lr_ratio: is -1; want at least 0"},
		"weight_decay": {func(c *optim.Config) { c.WeightDecay = -0.01 },
			"optim.weight_decay: is -0.01; want at least 0"},
		"beta1": {func(c *optim.Config) { c.Beta1 = 1 }, "optim.beta1: is 1; want at least 0 and less than 1"},
		"beta1 negative": {func(c *optim.Config) { c.Beta1 = -0.5 },
			"optim.beta1: is -0.5; want at least 0 and less than 1"},
		"beta2": {func(c *optim.Config) { c.Beta2 = 1.5 },
			"optim.beta2: is 1.5; want at least 0 and less than 1"},
		"eps":          {func(c *optim.Config) { c.Eps = 0 }, "optim.eps: is 0; want more than 0"},
		"warmup_ratio": {func(c *optim.Config) { c.WarmupRatio = 6 }, "optim.warmup_ratio: is 6; want 0 to 1"},
		"schedule": {func(c *optim.Config) { c.Schedule = "cosin" },
			`optim.schedule: is "cosin"; want linear, cosine or constant`},
		"warmup_steps": {func(c *optim.Config) { c.WarmupSteps = -1 }, "optim.warmup_steps: is -1; want 0 to 1000000000"},
		"warmup_steps most": {func(c *optim.Config) { c.WarmupSteps = 1 << 40 },
			"optim.warmup_steps: is 1099511627776; want 0 to 1000000000"},
		"max_grad_norm": {func(c *optim.Config) { c.MaxGradNorm = -1 }, "optim.max_grad_norm: is -1; want at least 0"},
		"two": {func(c *optim.Config) { c.LR, c.Eps = -1, -1 },
			"optim.lr: is -1; want more than 0\noptim.eps: is -1; want more than 0"},
	} {
		t.Run("fault="+name, func(t *testing.T) {
			config := optim.Default()
			c.change(&config)
			if err := errors.Join(config.Validate()...); err == nil || err.Error() != c.want {
				t.Errorf("faults %v\nwant   %s", err, c.want)
			}
		})
	}
}
