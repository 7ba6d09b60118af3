package runlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/schedule"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// Gradient is the mean size of the gradients by layer, before clipping, over
// the steps since the last such record. It is logged at the end of an epoch and
// before an event. Fig. 7 of the paper (arXiv:2503.00572) is drawn from it.
type Gradient struct {
	Step   int             `json:"step"`
	Epoch  float64         `json:"epoch"`
	Steps  int             `json:"steps"` // optimizer steps averaged over
	Layers []LayerGradient `json:"layers"`
}

// LayerGradient is the mean of one layer, or of a merged module, which is
// listed under its first layer.
type LayerGradient struct {
	Layer int          `json:"layer"`
	A     MeanAbsolute `json:"a"`
	B     MeanAbsolute `json:"b"`
}

// MeanAbsolute is the mean of |x| over Count elements.
type MeanAbsolute struct {
	Abs   float64 `json:"abs"`
	Count int     `json:"count"`
}

// Baseline is the scores of always predicting the most frequent class of the
// evaluated split. It is logged before the first step, and the scores of
// evaluations are compared with it. In regression it has only the number of
// examples.
type Baseline struct {
	Step     int           `json:"step"` // 0
	Split    string        `json:"split"`
	Examples int           `json:"examples"`
	Label    string        `json:"label"` // name of the most frequent class
	Count    int           `json:"count"` // number of examples of this class
	Scores   metric.Scores `json:"scores"`
}

// At returns 0.
func (b Baseline) At() int { return b.Step }

// At returns the last step of the mean.
func (g Gradient) At() int { return g.Step }

// kinds has the records that are whole structs in metrics.jsonl and have no row
// in metrics.csv, by kind.
var kinds = map[string]func(fields map[string]json.RawMessage) (Record, error){
	"plan":     decodeAs[schedule.Plan],
	"baseline": decodeAs[Baseline],
	"spectrum": decodeAs[schedule.Spectrum],
	"event":    decodeEvent,
	"tie":      decodeAs[schedule.Tie],
	"ranks":    decodeAs[schedule.Ranks],
	"gradient": decodeAs[Gradient],
}

// decodeAs reads the fields of a line that encode wrote, without its kind. It
// returns an error if a field is missing or unknown.
func decodeAs[T Record](fields map[string]json.RawMessage) (Record, error) {
	var v T
	line, err := json.Marshal(fields)
	if err == nil {
		err = strictjson.WithoutPlace(strictjson.UnmarshalKnown(line, &v))
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

// decodeEvent is decodeAs for an event, whose winner must be one of its candidates.
func decodeEvent(fields map[string]json.RawMessage) (Record, error) {
	rec, err := decodeAs[schedule.Event](fields)
	if err != nil {
		return nil, err
	}
	if e := rec.(schedule.Event); e.Winner < 0 || e.Winner >= len(e.Candidates) {
		return nil, fmt.Errorf("event: winner is %d, want the index of one of %d candidates", e.Winner, len(e.Candidates))
	}
	return rec, nil
}

// encode returns the line of a record of the given kind.
func encode(kind string, rec any) []byte {
	b, err := json.Marshal(rec)
	if err != nil {
		panic(Misuse{fmt.Sprintf("log %s: %v", kind, err)})
	}
	return append(append([]byte(`{"kind":"`+kind+`",`), b[1:]...), '\n')
}

// Baseline logs the scores with which the scores of evaluations are compared.
func (r *Run) Baseline(b Baseline) { r.structure("baseline", b, nil) }

// Structure logs a record of the structure of the method.
func (r *Run) Structure(rec schedule.Record) {
	var tags []field
	for _, x := range rec.Scalars() {
		tags = append(tags, field{x.Name, x.Value})
	}
	r.structure(rec.Kind(), rec, tags)
	if text := rec.Text(); text != "" {
		text = fmt.Sprintf("step %s %s", of(rec.At(), r.o.Steps), text)
		r.put(r.events, textEvent(r.o.Now(), rec.At(), "structure", text))
		r.say(text)
	}
}

// Gradient logs mean gradients.
func (r *Run) Gradient(g Gradient) { r.structure("gradient", g, nil) }

// structure writes a record that has no columns in metrics.csv.
func (r *Run) structure(kind string, rec Record, tags []field) {
	r.write(rec, encode(kind, rec))
	if tags != nil {
		r.put(r.events, scalarEvent(r.o.Now(), rec.At(), tags))
	}
}
