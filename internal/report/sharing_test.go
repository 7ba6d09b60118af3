package report

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/runlog"
	"github.com/lor2c/lor2c/internal/schedule"
)

// shared writes a run whose log has the given records.
func shared(t *testing.T, method string, records ...schedule.Record) string {
	t.Helper()
	dir := t.TempDir()
	c := config.Default()
	c.Model, c.Out = "models/tiny", "runs/x"
	c.Data.Task, c.Data.Dir = "mrpc", "data/mrpc"
	c.Method, c.Train.Epochs = adapter.NewConfig(method), 4
	c.Resolve()
	put(t, dir, "config.resolved.yaml", string(c.YAML()))
	log, err := runlog.Open(dir, runlog.Options{Scores: []string{"accuracy"}, Steps: 40, Epochs: 4, Stdout: io.Discard,
		Stderr: io.Discard})
	must(t, err)
	for i, rec := range records {
		log.Structure(rec)
		log.Eval(runlog.Eval{Step: rec.At(), Epoch: float64(i + 1), Split: "dev", Loss: 0.5, Best: i == 0,
			Scores: map[string]float64{"accuracy": 0.5 + 0.1*float64(i)}})
	}
	must(t, log.Close())
	return dir
}

// TestSharing: the report of a run in which layers began to share factors lists every tie, and has a figure for each
// linear layer with a stage for each tie.
func TestSharing(t *testing.T) {
	tie := func(step int, linear string, layer, keep int, before, after []int) schedule.Tie {
		return schedule.Tie{Step: step, Epoch: float64(step) / 10, Linear: linear,
			Pair: schedule.Pair{Layer: layer, Keep: keep, Distance: 0.25},
			Candidates: []schedule.Pair{{Layer: 0, Keep: 1, Distance: 0.75}, {Layer: layer, Keep: keep, Distance: 0.25},
				{Layer: 1, Keep: 2, Distance: 0.5}},
			Before: before, After: after, ParametersBefore: 1000 - step*10, ParametersAfter: 900 - step*10}
	}
	records := []schedule.Record{
		tie(10, "attention.self.query", 0, 3, []int{0, 1, 2, 3}, []int{3, 1, 2, 3}),
		tie(10, "attention.self.value", 1, 2, []int{0, 1, 2, 3}, []int{0, 2, 2, 3}),
		tie(20, "attention.self.query", 1, 2, []int{3, 1, 2, 3}, []int{3, 2, 2, 3}),
	}
	r, err := Read([]string{shared(t, "aslora", records...)})
	must(t, err)
	var names []string
	for _, f := range r.Figures() {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got !=
		"timeline parameters sharing-attention-self-query sharing-attention-self-value" {
		t.Errorf("figures are %s", got)
	}
	page := string(written(t, r.HTML))
	for _, want := range []string{"Shared factors</h2>", "share their factor B of attention.self.query", "900"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	text := string(written(t, r.Markdown))
	if want := "| 2 | 20 | attention.self.query | 1 | 2 | 0.2500 | 0.5000 | 3 | 700 |"; !strings.Contains(text, want) {
		t.Errorf("there is no row %s in\n%s", want, text)
	}
	if strings.Contains(text, "There are no events") {
		t.Error("the report says that nothing changed")
	}
}

// TestRanks: the report of a run whose ranks changed has a figure for each linear layer and a table of the last ranks.
func TestRanks(t *testing.T) {
	at := func(step int, ranks ...int) schedule.Ranks {
		r := schedule.Ranks{Step: step, Epoch: float64(step) / 10, Parameters: 100 * step}
		for i, n := range ranks {
			r.Ranks = append(r.Ranks, schedule.SiteRank{Layer: i / 2, Linear: []string{"query", "value"}[i%2], Rank: n})
		}
		return r
	}
	r, err := Read([]string{shared(t, "adalora", at(10, 3, 3, 3, 3), at(20, 3, 2, 1, 0))})
	must(t, err)
	var names []string
	for _, f := range r.Figures() {
		names = append(names, f.Name)
	}
	if got := strings.Join(names, " "); got != "timeline parameters ranks-query ranks-value" {
		t.Errorf("figures are %s", got)
	}
	text := string(written(t, r.Markdown))
	want := "| layer | query | value |\n| --: | --: | --: |\n| 0 | 3 | 2 |\n| 1 | 1 | 0 |\n"
	if !strings.Contains(text, want) {
		t.Errorf("there is no table %s in\n%s", want, text)
	}
	if page := string(written(t, r.HTML)); !strings.Contains(page, "Rank of value in every layer") {
		t.Error("the page has no figure of the ranks of value")
	}
}

// TestSharingFaults: ties and ranks of layers that do not exist are errors with the line.
func TestSharingFaults(t *testing.T) {
	for _, c := range []struct {
		rec  schedule.Record
		want string
	}{
		{schedule.Tie{Step: 1, Before: []int{0, 1}, After: []int{1, 7}}, "metrics.jsonl:1: tie: layer 7 is not one of 2"},
		{schedule.Tie{Step: 1, Before: []int{0, 1}, After: []int{1}}, "tie: it has 2 layers before and 1 after"},
		{schedule.Ranks{Step: 1, Ranks: []schedule.SiteRank{{Layer: math.MaxInt32}}}, "ranks: layer 2147483647 has rank 0"},
		{schedule.Ranks{Step: 1}, "ranks: it lists none"},
	} {
		dir := shared(t, "aslora", c.rec)
		if _, err := os.Stat(filepath.Join(dir, "metrics.jsonl")); err != nil {
			t.Fatal(err)
		}
		if _, err := Read([]string{dir}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v; want one with %q", err, c.want)
		}
	}
}
