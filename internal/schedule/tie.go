package schedule

import "fmt"

// Tie records that two groups of layers begin to share one factor of a linear layer. Of layers that share a factor, the
// highest owns it.
type Tie struct {
	Step   int     `json:"step"`
	Epoch  float64 `json:"epoch"`
	Linear string  `json:"linear"` // the linear layer, such as attention.self.query
	Pair
	Candidates       []Pair `json:"candidates"` // all pairs that Pair was chosen from
	ParametersBefore int    `json:"parameters_before"`
	ParametersAfter  int    `json:"parameters_after"`
	Before           []int  `json:"before"` // the layer whose factor each layer has
	After            []int  `json:"after"`
}

// Pair names two factors that can be merged, by the layers that own them.
type Pair struct {
	Layer    int     `json:"layer"` // the layer whose factor is given up
	Keep     int     `json:"keep"`  // the layer whose factor both continue with
	Distance float64 `json:"distance"`
}

// At returns the step of the tie.
func (t Tie) At() int { return t.Step }

// Kind returns tie.
func (Tie) Kind() string { return "tie" }

// Scalars returns the number of parameters after the tie.
func (t Tie) Scalars() []Scalar { return []Scalar{{"train/parameters", float64(t.ParametersAfter)}} }

// Text returns which layer takes over which factor.
func (t Tie) Text() string {
	return fmt.Sprintf("layer %d takes over the factor of layer %d in %s: distance %.4g, candidates %d, "+
		"adapter scalars %d",
		t.Layer, t.Keep, t.Linear, t.Distance, len(t.Candidates), t.ParametersAfter)
}

// Ranks records how many ranks the linear layers have after a step.
type Ranks struct {
	Step       int        `json:"step"`
	Epoch      float64    `json:"epoch"`
	Ranks      []SiteRank `json:"ranks"`
	Parameters int        `json:"parameters"` // scalars of the adapter that are in use
}

// SiteRank is the rank of one linear layer.
type SiteRank struct {
	Layer  int    `json:"layer"`
	Linear string `json:"linear"`
	Rank   int    `json:"rank"`
}

// At returns the step of the measurement.
func (r Ranks) At() int { return r.Step }

// Kind returns ranks.
func (Ranks) Kind() string { return "ranks" }

// Scalars returns the number of parameters in use.
func (r Ranks) Scalars() []Scalar { return []Scalar{{"train/parameters", float64(r.Parameters)}} }

// Text returns an empty text.
func (Ranks) Text() string { return "" }
