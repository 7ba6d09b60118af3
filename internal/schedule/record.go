package schedule

import "fmt"

// Record is a record of a run's structure in its log: a Plan, a Spectrum, an
// Event, a Tie or Ranks.
type Record interface {
	// At returns the optimizer step after which the record was made.
	At() int
	// Kind names the kind of record in metrics.jsonl.
	Kind() string
	// Scalars returns the numbers of the record that TensorBoard plots over
	// steps.
	Scalars() []Scalar
	// Text describes the action for the readable log; it is empty for a record
	// that is not an action.
	Text() string
}

// Scalar is a named number.
type Scalar struct {
	Name  string
	Value float64
}

// Structure is what a LoR2C method consists of at one time.
type Structure struct {
	Modules  []Span `json:"modules"`  // by layer
	Injected []int  `json:"injected"` // layers with LoRA in place of a module, in the order of injection
}

// Time is when an operation is planned.
type Time struct {
	Step  int     `json:"step"`
	Epoch float64 `json:"epoch"`
}

// Plan is the schedule of a run, logged before its first step: the operations that are carried out if every one of them
// finds a candidate.
type Plan struct {
	Step       int     `json:"step"`  // 0
	Epoch      float64 `json:"epoch"` // 0
	Layers     int     `json:"layers"`
	Rank       int     `json:"rank"`
	Parameters int     `json:"parameters"` // scalars of the adapter at the start
	Merges     []Time  `json:"merges"`
	Injects    []Time  `json:"injects"`
	MaxMerges  int     `json:"max_merges"`
	MaxInjects int     `json:"max_injects"`
	Score      string  `json:"score"`
	SFSK       int     `json:"sfs_k"`
}

// Spectrum is the singular values of all modules after a step.
type Spectrum struct {
	Step    int      `json:"step"`
	Epoch   float64  `json:"epoch"`
	Modules []Module `json:"modules"`
	// Score names the score of the schedule, and Scores has it for every module. Neither is logged: both follow from
	// the configuration and the singular values.
	Score  string    `json:"-"`
	Scores []float64 `json:"-"`
}

// Event is one merge or injection with all candidates that it was chosen from.
type Event struct {
	Step   int     `json:"step"`
	Epoch  float64 `json:"epoch"`
	Action string  `json:"action"` // merge or inject
	Span
	// first layer of the module whose factors survive; the layer of an injection
	Keep             int         `json:"keep"`
	Winner           int         `json:"winner"`           // index into Candidates
	Loss             *float64    `json:"loss"`             // on the what-if sample before the event; nil without a sample
	Sample           int         `json:"sample,omitempty"` // examples of the what-if sample
	Candidates       []Candidate `json:"candidates"`
	ParametersBefore int         `json:"parameters_before"`
	ParametersAfter  int         `json:"parameters_after"`
	Before           Structure   `json:"before"`
	After            Structure   `json:"after"`
}

// At returns 0.
func (p Plan) At() int { return p.Step }

// At returns the step of the measurement.
func (s Spectrum) At() int { return s.Step }

// At returns the step of the event.
func (e Event) At() int { return e.Step }

// Kind returns plan.
func (Plan) Kind() string { return "plan" }

// Kind returns spectrum.
func (Spectrum) Kind() string { return "spectrum" }

// Kind returns event.
func (Event) Kind() string { return "event" }

// Scalars returns the number of parameters, which events change.
func (p Plan) Scalars() []Scalar { return []Scalar{{"train/parameters", float64(p.Parameters)}} }

// Scalars returns the score of every module by its first layer.
func (s Spectrum) Scalars() (all []Scalar) {
	for i, m := range s.Modules {
		all = append(all, Scalar{fmt.Sprintf("%s/layer_%02d", s.Score, m.First), s.Scores[i]})
	}
	return all
}

// Scalars returns the number of parameters after the event.
func (e Event) Scalars() []Scalar {
	return []Scalar{{"train/parameters", float64(e.ParametersAfter)}}
}

// Text returns an empty text, because the plan is announced elsewhere in more
// detail than it is logged.
func (Plan) Text() string { return "" }

// Text returns an empty text.
func (Spectrum) Text() string { return "" }

// Text returns what was merged or replaced, and with which score.
func (e Event) Text() string {
	what := fmt.Sprintf("merged layers %d-%d with the factors of the module of layer %d", e.First, e.Last, e.Keep)
	if e.Action == string(Inject) {
		what = fmt.Sprintf("replaced the module of layer %d by LoRA", e.First)
	}
	c := e.Candidates[e.Winner]
	text := fmt.Sprintf("%s: score %.4f, candidates %d, adapter scalars %d", what, c.Score, len(e.Candidates),
		e.ParametersAfter)
	if e.Loss != nil && c.Loss != nil {
		text += fmt.Sprintf(", what-if loss %.4f from %.4f", *c.Loss, *e.Loss)
	}
	return text
}
