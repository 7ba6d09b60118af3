package adapter

import "gonum.org/v1/gonum/mat"

// oloraConfig are the settings of OLoRA.
type oloraConfig struct {
	LowRank `yaml:",inline"`
}

var oloraSpec = spec{
	new: func(b builder) (Method, error) {
		c := settingsOf[*oloraConfig](b)
		return newResidual(b, c.LowRank,
			func(w *mat.Dense, _ string) (*mat.Dense, *mat.Dense) { return oloraStart(w, c.Rank) })
	},
	about: "OLoRA: LoRA that begins with the first part of each weight's QR factorisation, and the base " +
		"keeps the rest",
	section:        func() section { return &oloraConfig{residualDefaults} },
	learningRate:   1e-3,
	peftType:       "OLORA",
	describe:       func(d Description, _ Method, c *peftConfig) { c.describeLoRA(d.Method.own.(*oloraConfig).LowRank) },
	checkStructure: checkResidual,
	frozen:         isInitial,
	library:        "lor2c",
	load:           residualLoad,
	except:         roundsStart | rewritesBase,
}
