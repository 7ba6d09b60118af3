package adapter

import "gonum.org/v1/gonum/mat"

// pissaConfig are the settings of PiSSA.
type pissaConfig struct {
	LowRank    `yaml:",inline"`
	Iterations int `yaml:"svd_iterations" doc:"iterations of the randomised singular value decomposition; 0 is the exact one, which takes minutes for a large model" range:"0..100" example:"4"`
}

var pissaSpec = spec{
	new: func(b builder) (Method, error) {
		c := settingsOf[*pissaConfig](b)
		return newResidual(b, c.LowRank, func(w *mat.Dense, name string) (*mat.Dense, *mat.Dense) {
			return pissaStart(w, c.Rank, c.Iterations, float64(c.Scale()), b.Seed, name)
		})
	},
	about:          "PiSSA: LoRA that begins with the principal part of each weight, and the base keeps the rest",
	section:        func() section { return &pissaConfig{residualDefaults, 16} },
	learningRate:   1e-3,
	peftType:       "PISSA",
	describe:       func(d Description, _ Method, c *peftConfig) { c.describeLoRA(d.Method.own.(*pissaConfig).LowRank) },
	checkStructure: checkResidual,
	frozen:         isInitial,
	library:        "lor2c",
	load:           residualLoad,
	except:         roundsStart | rewritesBase,
}
