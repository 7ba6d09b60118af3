package runlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/lor2c/lor2c/internal/metric"
)

// Span is the layers from the input of First to the output of Last, from 0.
type Span struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Structure is what a LoR2C method consists of at one time.
type Structure struct {
	Modules  []Span `json:"modules"`  // by layer
	Injected []int  `json:"injected"` // layers with LoRA in place of a module, in the order of injection
}

// Due is a planned operation.
type Due struct {
	Step  int     `json:"step"`
	Epoch float64 `json:"epoch"`
}

// Plan is the schedule of a run, logged before its first step: what happens at
// most, when every operation finds a candidate.
type Plan struct {
	Step       int     `json:"step"`  // 0
	Epoch      float64 `json:"epoch"` // 0
	Layers     int     `json:"layers"`
	Rank       int     `json:"rank"`
	Parameters int     `json:"parameters"` // scalars of the adapter at the start
	Merges     []Due   `json:"merges"`
	Injects    []Due   `json:"injects"`
	MaxMerges  int     `json:"max_merges"`
	MaxInjects int     `json:"max_injects"`
	Score      string  `json:"score"`
	SFSK       int     `json:"sfs_k"`
}

// Spectrum holds the singular values of B A of every module, unscaled.
type Spectrum struct {
	Step    int              `json:"step"`
	Epoch   float64          `json:"epoch"`
	Modules []ModuleSpectrum `json:"modules"`
}

// ModuleSpectrum is one module's singular values, largest first.
type ModuleSpectrum struct {
	Span
	Singular []float64 `json:"singular"`
}

// Event is one merge or injection with all that it was chosen from.
type Event struct {
	Step   int     `json:"step"`
	Epoch  float64 `json:"epoch"`
	Action string  `json:"action"` // merge or inject
	Span
	Keep             int         `json:"keep"`             // first layer of the module whose factors survive; the layer of an injection
	Winner           int         `json:"winner"`           // index into Candidates
	Loss             *float64    `json:"loss"`             // on the what-if sample before the event; nil without one
	Sample           int         `json:"sample,omitempty"` // examples of the what-if sample
	Candidates       []Candidate `json:"candidates"`
	ParametersBefore int         `json:"parameters_before"`
	ParametersAfter  int         `json:"parameters_after"`
	Before           Structure   `json:"before"`
	After            Structure   `json:"after"`
}

// Candidate is one choice that an event had.
type Candidate struct {
	Span
	Members []Span    `json:"members"`
	Scores  []float64 `json:"scores"` // of the members
	Score   float64   `json:"score"`  // their sum
	Loss    *float64  `json:"loss"`   // on the what-if sample, were this one chosen
	// ChangeSE is the standard error of the change of that loss, paired by example;
	// nil without losses of at least two examples.
	ChangeSE *float64 `json:"change_se,omitempty"`
}

// Gradient is the mean size of the gradients by layer, before clipping, of the
// steps since the last such record, which ended an epoch or stood before an
// event: what Fig. 7 of the paper (arXiv:2503.00572) is drawn from.
type Gradient struct {
	Step   int             `json:"step"`
	Epoch  float64         `json:"epoch"`
	Steps  int             `json:"steps"` // optimizer steps averaged over
	Layers []LayerGradient `json:"layers"`
}

// LayerGradient is one layer's, or merged module's by its first layer.
type LayerGradient struct {
	Layer int          `json:"layer"`
	A     MeanAbsolute `json:"a"`
	B     MeanAbsolute `json:"b"`
}

// MeanAbsolute is the mean of |x| over so many elements.
type MeanAbsolute struct {
	Abs   float64 `json:"abs"`
	Count int     `json:"count"`
}

// Baseline is what the scores of evaluations are to be held against, logged
// before the first step: those of always predicting the most frequent class of
// the evaluated split. In regression it says only how many examples there are.
type Baseline struct {
	Step     int           `json:"step"` // 0
	Split    string        `json:"split"`
	Examples int           `json:"examples"`
	Label    string        `json:"label"` // name of the most frequent class
	Count    int           `json:"count"` // examples that have it
	Scores   metric.Scores `json:"scores"`
}

func (p Plan) at() int     { return p.Step }
func (b Baseline) at() int { return b.Step }
func (s Spectrum) at() int { return s.Step }
func (e Event) at() int    { return e.Step }
func (g Gradient) at() int { return g.Step }

// kinds names the records that are whole structs in metrics.jsonl and have no
// row in metrics.csv.
var kinds = map[string]func(fields map[string]json.RawMessage) (Record, error){
	"plan":     decodeAs[Plan],
	"baseline": decodeAs[Baseline],
	"spectrum": decodeAs[Spectrum],
	"event":    decodeAs[Event],
	"gradient": decodeAs[Gradient],
}

// decodeAs reads the fields of a line of encode, without its kind. Each must be
// known, and none may be missing.
func decodeAs[T Record](fields map[string]json.RawMessage) (Record, error) {
	var v T
	line, err := json.Marshal(fields)
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		err = d.Decode(&v)
	}
	if err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(encode("", v), &all); err != nil {
		return nil, err
	}
	delete(all, "kind")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if _, ok := fields[name]; !ok {
			return nil, fmt.Errorf("field %q is missing", name)
		}
	}
	return v, nil
}

// encode returns the line of a record of the given kind.
func encode(kind string, rec any) []byte {
	b, err := json.Marshal(rec)
	if err != nil {
		panic(Misuse{fmt.Sprintf("log %s: %v", kind, err)})
	}
	return append(append([]byte(`{"kind":"`+kind+`",`), b[1:]...), '\n')
}

// Plan logs the schedule. TensorBoard's curve of parameters begins with it.
func (r *Run) Plan(p Plan) {
	r.structure("plan", p, []field{{"train/parameters", float64(p.Parameters)}})
}

// Baseline logs what the scores are to be held against.
func (r *Run) Baseline(b Baseline) { r.structure("baseline", b, nil) }

// Spectrum logs singular values; scores, one a module, go to TensorBoard.
func (r *Run) Spectrum(s Spectrum, score string, scores []float64) {
	var tags []field
	for i, m := range s.Modules {
		tags = append(tags, field{fmt.Sprintf("%s/layer_%02d", score, m.First), scores[i]})
	}
	r.structure("spectrum", s, tags)
}

// Event logs a merge or an injection.
func (r *Run) Event(e Event) {
	r.structure("event", e, []field{{"train/parameters", float64(e.ParametersAfter)}})
	what := fmt.Sprintf("merged layers %d-%d with the factors of the module of layer %d", e.First, e.Last, e.Keep)
	if e.Action == "inject" {
		what = fmt.Sprintf("replaced the module of layer %d by LoRA", e.First)
	}
	c := e.Candidates[e.Winner]
	text := fmt.Sprintf("step %s %s: score %.4f, candidates %d, adapter scalars %d", of(e.Step, r.o.Steps), what, c.Score, len(e.Candidates), e.ParametersAfter)
	if e.Loss != nil && c.Loss != nil {
		text += fmt.Sprintf(", what-if loss %.4f from %.4f", *c.Loss, *e.Loss)
	}
	r.put(r.events, textEvent(r.o.Now(), e.Step, "structure", text))
	r.say(text)
}

// Gradient logs mean gradients.
func (r *Run) Gradient(g Gradient) { r.structure("gradient", g, nil) }

// structure writes a record that metrics.csv has no columns for.
func (r *Run) structure(kind string, rec Record, tags []field) {
	r.write(rec, encode(kind, rec))
	if tags != nil {
		r.put(r.events, scalarEvent(r.o.Now(), rec.at(), tags))
	}
}
