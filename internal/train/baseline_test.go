package train

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/runlog"
)

// TestBaselineLines: a score is compared with that of the most frequent class,
// and an undefined score is never called better.
func TestBaselineLines(t *testing.T) {
	b := runlog.Baseline{Split: "dev", Examples: 60, Label: "negative", Count: 32,
		Scores: metric.Scores{"accuracy": 0.5333}}
	best := func(score float64) runlog.Eval {
		return runlog.Eval{Epoch: 2, Scores: map[string]float64{"accuracy": score},
			Intervals: map[string]*metric.Interval{"accuracy": {Low: 0.4, High: 0.65}}}
	}
	const compared = `best epoch 2: accuracy 0.5333 (95 % interval 0.4000 to 0.6500) on 60 dev examples; always predicting "negative" has 0.5333`
	const notBetter = "warning: the best epoch is not better than always predicting the most frequent class; " +
		"try a higher optim.lr or more steps, and look at the examples with lor2c show"
	for _, tt := range []struct {
		name  string
		score float64
		want  []string
	}{
		{"equal", 0.5333, []string{compared, notBetter}},
		{"better", 0.7, []string{strings.Replace(compared, "accuracy 0.5333", "accuracy 0.7000", 1)}},
	} {
		t.Run("score="+tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, baselineLines("accuracy", best(tt.score), b)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	lines := baselineLines("pearson", runlog.Eval{Scores: map[string]float64{"pearson": math.NaN()}},
		runlog.Baseline{Examples: 3})
	if len(lines) != 1 || !strings.HasPrefix(lines[0], "warning: pearson of the best epoch is undefined: ") {
		t.Errorf("an undefined score in regression: %q", lines)
	}
}

// TestBaselineRecord: the log of a run begins with the baseline of its dev
// split.
func TestBaselineRecord(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 16)
	got, err := Run(context.Background(), c, quiet(1))
	if err != nil {
		t.Fatal(err)
	}
	records, err := runlog.ReadMetrics(c.Out)
	if err != nil {
		t.Fatal(err)
	}
	b, ok := records[0].(runlog.Baseline)
	if !ok || b.Examples != 24 || b.Count < 1 || b.Scores["accuracy"] != float64(b.Count)/24 {
		t.Errorf("the first record is %+v", records[0])
	}
	if d := cmp.Diff(b, got.Baseline); d != "" {
		t.Errorf("in the outcome (-logged +got):\n%s", d)
	}
	if i := got.Dev.Intervals["accuracy"]; i == nil || i.Low > got.Dev.Scores["accuracy"] ||
		i.High < got.Dev.Scores["accuracy"] {
		t.Errorf("the interval is %+v around %v", i, got.Dev.Scores)
	}
}

// overflowing is a device that computes an infinite embedding for one token:
// the one in packed row `row` of the batch whose token ids are ids.
type overflowing struct {
	compute.Device
	ids []int32
	row int
}

func (d *overflowing) Embed(dst, ids, pos, types, word, position, kind tensor) {
	d.Device.Embed(dst, ids, pos, types, word, position, kind)
	if dst.Shape.Rows() == len(d.ids) {
		values := make([]float32, dst.Shape.Cols())
		values[3] = float32(math.Inf(1))
		d.Upload(dst.View(d.row, d.row+1), values)
	}
}

// TestEvaluateNotFinite: an evaluation stops at a value that is not finite and
// names tensor and example, whether the model or a parameter is the cause.
func TestEvaluateNotFinite(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 16)
	s, err := OpenSession(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.load(t.Context(), "dev", true)
	if err != nil {
		t.Fatal(err)
	}
	second := d.batch(sequence(16)[8:])
	dev := &overflowing{Device: quiet(1).Device}
	m, method, err := s.attach(dev, adapter.Settings{Config: c.Method, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	st := &Stepper{Dev: dev, Model: m, Method: method, Objective: s.objective(dev, m, nil)}
	evaluate := func() error {
		_, err := st.evaluate(context.Background(), d, sequence(16), s.Set.Task.Metrics, config.Train{EvalBatchSize: 8})
		return err
	}
	if err := evaluate(); err != nil {
		t.Fatal(err)
	}
	// This is the last token of the third example in the batch, which is the
	// eleventh of the file.
	dev.ids, dev.row = second.IDs, int(second.Cu[3])-1
	var bad *NonFiniteError
	if err := evaluate(); !errors.As(err, &bad) {
		t.Fatalf("error is %v; want a NonFiniteError", err)
	}
	if want := []string{string(c.Data.Dev) + ":12"}; !strings.HasPrefix(bad.Tensor, "the output of embed ") ||
		!slices.Equal(bad.Examples, want) || bad.Evaluated != string(c.Data.Dev) {
		t.Errorf("%+v; want the embedding and %q", bad, want)
	}
	dev.ids = nil
	p := method.Params()[0]
	broken := make([]float32, p.Value.Shape.Len())
	broken[0] = float32(math.NaN())
	p.Upload(dev, broken)
	if err := evaluate(); !errors.As(err, &bad) || bad.Tensor != "the parameter "+p.Name+" itself" {
		t.Errorf("error is %v; want the parameter %s named", err, p.Name)
	}
}
