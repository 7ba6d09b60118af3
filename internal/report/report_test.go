package report

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/figure"
	"github.com/lor2c/lor2c/internal/schedule"
)

// worked has the six events of the synthetic run, worked out by hand.
var worked = []struct {
	action                  string
	step, first, last, keep int
	candidates              int
	score, margin, share    float64
	runnerUp                [2]int
	before, after           int
	modules                 [][2]int
	injected                []int
}{
	{"merge", 174, 8, 9, 9, 11, .64, .02, .02 / .36, [2]int{7, 8}, 147456, 135168,
		[][2]int{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 9}, {10, 10}, {11, 11}}, []int{}},
	{"inject", 174, 6, 6, 6, 10, .33, .02, .02 / .22, [2]int{5, 5}, 135168, 135168,
		[][2]int{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {7, 7}, {8, 9}, {10, 10}, {11, 11}}, []int{6}},
	{"merge", 348, 7, 9, 7, 8, .70, .03, .03 / .30, [2]int{4, 5}, 135168, 122880,
		[][2]int{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {7, 9}, {10, 10}, {11, 11}}, []int{6}},
	{"inject", 348, 5, 5, 5, 8, .35, .03, .03 / .20, [2]int{4, 4}, 122880, 122880,
		[][2]int{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {7, 9}, {10, 10}, {11, 11}}, []int{6, 5}},
	{"merge", 522, 7, 10, 10, 6, .81, .01, .01 / .19, [2]int{3, 4}, 122880, 110592,
		[][2]int{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 4}, {7, 10}, {11, 11}}, []int{6, 5}},
	{"inject", 522, 4, 4, 4, 6, .38, .03, .03 / .17, [2]int{2, 2}, 110592, 110592,
		[][2]int{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {7, 10}, {11, 11}}, []int{6, 5, 4}},
}

type jsonSpan struct{ First, Last int }

// jsonRun is a part of the report's JSON as another program would read it.
type jsonRun struct {
	Events []struct {
		Number, Step, First, Last, Keep int
		Action, Rule                    string
		Margin                          float64
		MarginShare                     float64  `json:"margin_share"`
		RunnerUp                        jsonSpan `json:"runner_up"`
		Candidates                      []struct {
			First, Last, Rank int
			Score, Loss, Harm float64
			Winner            bool
		}
		Before          int `json:"parameters_before"`
		ParametersAfter int `json:"parameters_after"`
		After           struct {
			Modules  []jsonSpan
			Injected []int
		}
	}
	Harm []struct {
		Of, Action        string
		Event, Candidates int
		Spearman          *float64
	}
	Parameters []struct{ Step, Count int }
	Scores     []struct {
		Step    int
		Modules []struct {
			First, Last int
			Score       float64
		}
	}
}

func asJSON(t *testing.T, r *Report) jsonRun {
	t.Helper()
	var got struct{ Runs []jsonRun }
	must(t, json.Unmarshal(written(t, r.JSON), &got))
	return got.Runs[0]
}

func written(t testing.TB, write func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	must(t, write(&b))
	return b.Bytes()
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestEvents(t *testing.T) {
	run := asJSON(t, readOne(t, whole()))
	if len(run.Events) != len(worked) {
		t.Fatalf("%d events, want %d", len(run.Events), len(worked))
	}
	for i, w := range worked {
		e := run.Events[i]
		t.Run(fmt.Sprintf("event=%d", i+1), func(t *testing.T) {
			if e.Number != i+1 || e.Step != w.step || e.Action != w.action || e.First != w.first || e.Last != w.last ||
				e.Keep != w.keep || e.Rule != "lowest" {
				t.Errorf("is %+v", e)
			}
			if !near(e.Margin, w.margin) || !near(e.MarginShare, w.share) ||
				e.RunnerUp != (jsonSpan{w.runnerUp[0], w.runnerUp[1]}) {
				t.Errorf("margin %v, %v of the range, before %v; want %v, %v, %v", e.Margin, e.MarginShare, e.RunnerUp, w.margin,
					w.share, w.runnerUp)
			}
			if e.Before != w.before || e.ParametersAfter != w.after {
				t.Errorf("scalars %d to %d, want %d to %d", e.Before, e.ParametersAfter, w.before, w.after)
			}
			var modules [][2]int
			for _, m := range e.After.Modules {
				modules = append(modules, [2]int{m.First, m.Last})
			}
			if d := cmp.Diff(w.modules, modules) + cmp.Diff(w.injected, e.After.Injected); d != "" {
				t.Errorf("structure after (-want +got):\n%s", d)
			}
			if len(e.Candidates) != w.candidates {
				t.Errorf("%d candidates, want %d", len(e.Candidates), w.candidates)
			}
			for _, c := range e.Candidates {
				if c.Winner != (c.Rank == 1) || c.Winner && (c.First != w.first || !near(c.Score, w.score)) {
					t.Errorf("candidate %+v; want %d to win with %v", c, w.first, w.score)
				}
			}
		})
	}
	// This is the loss of the first event's winner: 0.57 + 0.02*0.64 +
	// 0.004*sin(99).
	if c := run.Events[0].Candidates[8]; !near(c.Loss, 0.5788031726632545) || !near(c.Harm, 0.0088031726632545) {
		t.Errorf("what-if loss %v, change %v", c.Loss, c.Harm)
	}
}

// TestCorrelations compares with 1 - 6*sum(d^2)/(n^3-n). The squared
// differences between the ranks of score and loss increase sum to 102 for event
// 1 and to 20 for event 6.
func TestCorrelations(t *testing.T) {
	want := map[string]float64{"event 1": 1 - 6*102.0/(11*11*11-11), "event 6": 1 - 6*20.0/(6*6*6-6)}
	counts := map[string]int{"all events merge": 25, "all events inject": 24, "event 1 merge": 11, "event 6 inject": 6}
	for _, c := range asJSON(t, readOne(t, whole())).Harm {
		if w, ok := want[c.Of]; ok && (c.Spearman == nil || !near(*c.Spearman, w)) {
			t.Errorf("%s: Spearman %v, want %v", c.Of, *c.Spearman, w)
		}
		key := c.Of + " " + c.Action
		if n, ok := counts[key]; ok && c.Candidates != n {
			t.Errorf("%s: %d candidates, want %d", key, c.Candidates, n)
		}
		delete(counts, key)
	}
	if len(counts) > 0 {
		t.Errorf("no correlation for %v", counts)
	}
	s := whole()
	s.losses = false
	r := readOne(t, s)
	if run := asJSON(t, r); len(run.Harm) != 0 || r.Runs[0].figures().Increase != nil {
		t.Errorf("without what-if losses: %+v", run.Harm)
	}
	if c := correlate("", "", 0, []float64{1, 2}, []float64{1, 2}); finite(float64(c.Spearman)) {
		t.Errorf("two candidates correlate by %v; want none", c.Spearman)
	}
}

// TestScores: the strip has the scores that the spectra were made for, and
// there is one number of parameters per event.
func TestScores(t *testing.T) {
	run := asJSON(t, readOne(t, whole()))
	if len(run.Scores) != epochs {
		t.Fatalf("%d measurements, want %d", len(run.Scores), epochs)
	}
	for l, m := range run.Scores[2].Modules {
		if m.First != l || m.Last != l || !near(m.Score, sfs[l]) {
			t.Errorf("epoch 3: %+v, want layer %d with %v", m, l, sfs[l])
		}
	}
	want := map[[2]int]float64{{0, 0}: .52, {1, 1}: .47, {2, 2}: .41, {3, 3}: .44, {7, 10}: .45, {11, 11}: .55}
	for _, m := range run.Scores[29].Modules {
		if w, ok := want[[2]int{m.First, m.Last}]; !ok || !near(m.Score, w) {
			t.Errorf("epoch 30: %+v, want %v", m, w)
		}
	}
	var counts []int
	for _, p := range run.Parameters {
		counts = append(counts, p.Count)
	}
	if want := []int{147456, 135168, 135168, 122880, 122880, 110592, 110592}; !slices.Equal(counts, want) {
		t.Errorf("parameters %v, want %v", counts, want)
	}
}

func TestCSV(t *testing.T) {
	rows, err := csv.NewReader(bytes.NewReader(written(t, readOne(t, whole()).CSV))).ReadAll()
	must(t, err)
	if len(rows) != 1+11+10+8+8+6+6 {
		t.Fatalf("%d rows, want a header and 49 candidates", len(rows))
	}
	if want := "lor2c-17,3,348,6,merge,7,9,7-7 8-9,0.36 0.34,0.7,1,true,"; !strings.HasPrefix(strings.Join(rows[1+11+10+5],
		","), want) {
		t.Errorf("row of event 3's winner is %q, want %q ...", rows[1+11+10+5], want)
	}
	s := whole()
	s.losses = false
	rows, err = csv.NewReader(bytes.NewReader(written(t, readOne(t, s).CSV))).ReadAll()
	must(t, err)
	if got := strings.Join(rows[1][11:], ","); got != "false,,,,,147456,135168" {
		t.Errorf("a row without losses ends in %q", got)
	}
}

func TestMarkdown(t *testing.T) {
	text := string(written(t, readOne(t, whole()).Markdown))
	for _, want := range []string{
		"# Run lor2c-17\n",
		"| scalars of the adapter | 147,456 → 110,592 |",
		"| merges carried out | 3 of 3 |",
		"| inject 2 | 6 | 348 | as planned | 4 |",
		"### Event 3: layers 7–9 merged, keeping the factors of the module at layer 7\n",
		"The lowest score of 8 candidates, 0.0300 ahead of 4–5 (10 % of the range).",
		"| 1 | 7–9 (chosen) | 7: 0.360 + 8–9: 0.340 | 0.7000 | ",
		"| event 1 | merge | 11 | +0.54 | – |",
		"| 95 % interval over 408 dev examples | 0.8500 to 0.9200 |",
		"| accuracy of always \"1\" | 0.6838 |",
		"It changes the loss of the what-if sample of 64 dev examples, 0.5700 before, by +0.0088 (standard error 0.0020). " +
			"Of the other 10 candidates, ",
		"**SFS**: ",
		"| eval\\_f1 | 0.9250 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// TestOperations: an operation that found no candidate is carried out later by
// the next attempt.
func TestOperations(t *testing.T) {
	due := []schedule.Time{{Step: 10, Epoch: 1}, {Step: 20, Epoch: 2}, {Step: 30, Epoch: 3}}
	r := &Run{config: &config.Config{}, Plan: &schedule.Plan{Merges: due},
		Events: []Event{{Number: 1, Action: "merge", Step: 10}, {Number: 2, Action: "merge", Step: 25}}}
	for _, tt := range []struct {
		finished bool
		last     int
		want     []string
	}{{true, 40, []string{onTime, late, noCandidate}}, {false, 25, []string{onTime, late, pending}}} {
		r.Finished, r.LastStep = tt.finished, tt.last
		var got []string
		for _, o := range r.operations() {
			got = append(got, o.Status)
			if why := o.Why == "no two modules were neighbours"; why != (o.Status == noCandidate) {
				t.Errorf("%s %d is %q because of %q", o.Action, o.Number, o.Status, o.Why)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("finished=%v: %q, want %q", tt.finished, got, tt.want)
		}
	}
}

// TestDeterminism: equal runs in two directories have equal reports.
func TestDeterminism(t *testing.T) {
	if testing.Short() {
		t.Skip("writes the report many times, which -short leaves out")
	}
	var outputs [2][]byte
	for i := range outputs {
		dir := t.TempDir()
		b := whole()
		b.drift = 0.01
		r, err := Read([]string{whole().write(t, filepath.Join(dir, "a")), b.write(t, filepath.Join(dir, "b"))})
		must(t, err)
		for _, write := range []func(io.Writer) error{r.HTML, r.JSON, r.Markdown, r.CSV} {
			outputs[i] = append(outputs[i], written(t, write)...)
		}
		for _, f := range r.Figures() {
			outputs[i] = append(outputs[i], f.SVG(figure.Light())...)
		}
	}
	if !bytes.Equal(outputs[0], outputs[1]) {
		t.Error("the bytes differ")
	}
}

// TestMethodName checks that variants of LoR2C have the paper's names.
func TestMethodName(t *testing.T) {
	for want, set := range map[string]func(*config.Config){
		"lor2c":       func(*config.Config) {},
		"mergelor2c":  func(c *config.Config) { c.Schedule.MaxMerges = 1 },
		"injectlor2c": func(c *config.Config) { c.Schedule.MaxInjects = 2 },
		"imlor2c":     func(c *config.Config) { c.Schedule.MaxMerges, c.Schedule.MaxInjects = 1, 1 },
		"share lor2c": func(c *config.Config) { c.Method = c.Method.With(adapter.Values{"share": true}) },
		"share injectlor2c": func(c *config.Config) {
			c.Method, c.Schedule.MaxInjects = c.Method.With(adapter.Values{"share": true}), 1
		},
		"lora": func(c *config.Config) { c.Method = adapter.NewConfig("lora") },
	} {
		c := config.Default()
		set(&c)
		if got := methodName(&c); got != want {
			t.Errorf("name %q, want %q", got, want)
		}
	}
}

// TestCompareIncrease: of three other candidates, one raises the loss less by
// more than hypot(0.3, 0.4) = 0.5, one less by exactly that, and one raises it
// more.
func TestCompareIncrease(t *testing.T) {
	e := Event{Candidates: []Candidate{{Increase: 2, IncreaseSE: 0.3}, {Increase: 1.25, IncreaseSE: 0.4},
		{Increase: 1.5, IncreaseSE: 0.4}, {Increase: 9, IncreaseSE: 0.4}}}
	e.compareIncrease(0)
	if e.LessIncrease == nil || *e.LessIncrease != 1 || *e.Alike != 1 {
		t.Errorf("got %v less and %v alike, want 1 and 1", e.LessIncrease, e.Alike)
	}
	for i := range e.Candidates {
		e.Candidates[i].IncreaseSE = nan
	}
	e.LessIncrease = nil
	if e.compareIncrease(0); e.LessIncrease != nil {
		t.Error("without standard errors the increases are ranked")
	}
}

// TestExactP compares with counts by hand: of the 24 orders of four candidates
// one has the correlation 1 and one -1, and 10 are at least as far from zero as
// 0.6.
func TestExactP(t *testing.T) {
	x := []float64{1, 2, 3, 4}
	for _, tt := range []struct {
		y    []float64
		want float64
	}{{[]float64{1, 2, 3, 4}, 2.0 / 24}, {[]float64{2, 1, 4, 3}, 10.0 / 24}} {
		if got := exactP(x, tt.y); !near(got, tt.want) {
			t.Errorf("p of %v is %v, want %v", tt.y, got, tt.want)
		}
	}
}
