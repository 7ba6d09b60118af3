package sweep

import (
	"slices"

	"gonum.org/v1/gonum/stat"

	"github.com/lor2c/lor2c/internal/metric"
)

// Summary compares the cells of a sweep.
type Summary struct {
	Groups []Group  `json:"groups"`
	Best   []Best   `json:"best"`
	Failed []string `json:"without_results"` // names of the cells without results
}

// Group is the cells that differ in the seed only.
type Group struct {
	Name    string   `json:"name"`
	Task    string   `json:"task"`
	Metric  string   `json:"metric"`
	Runs    []Result `json:"runs"`
	Missing int      `json:"missing"` // number of seeds without results
	Score   Spread   `json:"score"`
	// These are the numbers of the adapter in the best epoch, in which runs may
	// have different structures.
	Parameters Range   `json:"parameters"`
	Merges     Counted `json:"merges"`
	Injects    Counted `json:"injects"`
	Seconds    float64 `json:"seconds"` // mean of a run
}

// Range is the smallest and the largest of several whole numbers.
type Range struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// Counted is the executed and planned operations of the runs of a group.
type Counted struct {
	Planned  Range `json:"planned"`
	Executed Range `json:"executed"`
}

// Best is the group with the best mean among the groups of one task.
type Best struct {
	Task   string  `json:"task"`
	Group  string  `json:"group"`
	Mean   float64 `json:"mean"`
	Of     int     `json:"of"`     // number of groups it was selected from
	Metric string  `json:"metric"` // on dev
	Ties   int     `json:"ties"`   // number of other groups with the same mean
}

// Summary returns a comparison of all cells that have results.
func (s *Sweep) Summary() (*Summary, error) {
	var sum Summary
	at := map[string]int{}
	for _, c := range s.Cells {
		i, ok := at[c.Group]
		if !ok {
			i = len(sum.Groups)
			at[c.Group] = i
			sum.Groups = append(sum.Groups, Group{Name: c.Group, Task: c.task, Metric: c.metric, Runs: []Result{}})
		}
		g := &sum.Groups[i]
		if !s.done(c) {
			g.Missing++
			sum.Failed = append(sum.Failed, c.Name)
			continue
		}
		r, err := readResult(s.Dir(c), c.metric)
		if err != nil {
			return nil, err
		}
		r.Seed = c.config.Seed
		g.Runs = append(g.Runs, r)
	}
	for i := range sum.Groups {
		sum.Groups[i].count()
	}
	sum.best()
	return &sum, nil
}

// count sets the fields of g that follow from g.Runs.
func (g *Group) count() {
	if len(g.Runs) == 0 {
		return
	}
	each := func(f func(Result) int) Range {
		var values []int
		for _, r := range g.Runs {
			values = append(values, f(r))
		}
		return Range{slices.Min(values), slices.Max(values)}
	}
	var scores, seconds []float64
	for _, r := range g.Runs {
		scores, seconds = append(scores, float64(r.Score)), append(seconds, r.Seconds)
	}
	g.Score, g.Seconds = NewSpread(scores), stat.Mean(seconds, nil)
	g.Parameters = each(func(r Result) int { return r.Parameters })
	g.Merges = Counted{each(func(r Result) int { return r.Merges.Planned }),
		each(func(r Result) int { return r.Merges.Executed })}
	g.Injects = Counted{each(func(r Result) int { return r.Injects.Planned }),
		each(func(r Result) int { return r.Injects.Executed })}
}

// best selects the group with the best mean for each task, or the first of
// several. It ignores groups without a defined score.
func (s *Summary) best() {
	at := map[string]int{}
	for _, g := range s.Groups {
		if g.Score.N == 0 {
			continue
		}
		mean := float64(g.Score.Mean)
		i, ok := at[g.Task]
		if !ok {
			i = len(s.Best)
			at[g.Task] = i
			s.Best = append(s.Best, Best{Task: g.Task, Group: g.Name, Mean: mean, Metric: g.Metric})
		}
		b := &s.Best[i]
		b.Of++
		switch {
		case metric.Better(metric.Merit(g.Metric, mean), metric.Merit(b.Metric, b.Mean)):
			b.Group, b.Mean, b.Ties = g.Name, mean, 0
		case mean == b.Mean && b.Of > 1:
			b.Ties++
		}
	}
}
