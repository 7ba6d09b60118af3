package benchmark

import (
	"maps"
	"math"
	"slices"

	"github.com/lor2c/lor2c/internal/metric"
)

// Mean is a mean of n scores with its standard error, the standard deviation of
// the scores over the root of n.
type Mean struct {
	Value, StdErr metric.Number
	N             int
}

// Scored is the score of one item.
type Scored struct {
	Task  string
	Row   int
	Score float64
}

// MeanOf returns the mean of scores. Its standard error is undefined for one score.
func MeanOf(scores []float64) Mean {
	value, squares := 0.0, 0.0
	n := float64(len(scores))
	for _, s := range scores {
		value += s / n
	}
	for _, s := range scores {
		squares += (s - value) * (s - value)
	}
	return Mean{metric.Number(value), metric.Number(math.Sqrt(squares / (n - 1) / n)), len(scores)}
}

// MeanOfMeans returns the mean of the means of tasks, as instruct-eval reports
// BBH. The tasks are independent, so the variances of their means add up.
func MeanOfMeans(tasks map[string][]float64) Mean {
	value, variance, n := 0.0, 0.0, 0
	for _, task := range slices.Sorted(maps.Keys(tasks)) {
		one := MeanOf(tasks[task])
		value += float64(one.Value) / float64(len(tasks))
		variance += float64(one.StdErr * one.StdErr)
		n += one.N
	}
	return Mean{metric.Number(value), metric.Number(math.Sqrt(variance) / float64(len(tasks))), n}
}

// Pooled returns the mean over the scores of all tasks, with the standard error that lm-eval gives a group: from the
// pooled variance within the tasks.
func Pooled(tasks map[string][]float64) Mean {
	sum, squares, n := 0.0, 0.0, 0
	for _, task := range slices.Sorted(maps.Keys(tasks)) {
		one := MeanOf(tasks[task])
		sum += float64(one.Value) * float64(one.N)
		n += one.N
		if one.N > 1 {
			squares += float64(one.StdErr*one.StdErr) * float64(one.N) * float64(one.N-1)
		}
	}
	total := float64(n)
	stdErr := math.Sqrt(squares / (total - float64(len(tasks))) / total)
	return Mean{metric.Number(sum / total), metric.Number(stdErr), n}
}

// Aggregate returns the score of the whole benchmark: the mean of the tasks' means for BBH in instruct-eval, otherwise
// the mean over all items.
func (s *Set) Aggregate(scores []Scored) Mean {
	tasks := map[string][]float64{}
	var all []float64
	for _, x := range scores {
		tasks[x.Task], all = append(tasks[x.Task], x.Score), append(all, x.Score)
	}
	switch {
	case s.meansOfTasks():
		return MeanOfMeans(tasks)
	case s.Protocol == LMEval && s.Grouped():
		return Pooled(tasks)
	}
	return MeanOf(all)
}

// Grouped reports whether the benchmark consists of tasks that have scores of their own.
func (s *Set) Grouped() bool { return s.Name == NameMMLU || s.Name == NameBBH }

func (s *Set) meansOfTasks() bool { return s.Name == NameBBH && s.Protocol == InstructEval }

// Area returns the area of a subject of MMLU, or "" for another task.
func Area(task string) string { return mmluAreas[task] }

// resamples is the number of draws of a paired bootstrap.
const resamples = 10000

// Paired returns the difference of the aggregates of two evaluations, b - a, which have the same items in the same
// order, with its interval by the paired percentile bootstrap (Efron and Tibshirani 1993, chapter 13; Koehn 2004).
// Items are drawn together with both their scores, and within tasks where the aggregate is a mean of tasks. The random
// numbers depend only on the number of items.
func (s *Set) Paired(a, b []Scored) metric.Difference {
	strata := map[string][]float64{}
	for i := range a {
		stratum := ""
		if s.meansOfTasks() {
			stratum = a[i].Task
		}
		strata[stratum] = append(strata[stratum], b[i].Score-a[i].Score)
	}
	var sizes []int
	var differences []float64
	for _, name := range slices.Sorted(maps.Keys(strata)) {
		sizes, differences = append(sizes, len(strata[name])), append(differences, strata[name]...)
	}
	return metric.Paired(sizes, resamples, func(drawn []int) (mean float64) {
		at := 0
		for _, n := range sizes {
			sum := 0.0
			for _, i := range drawn[at : at+n] {
				sum += differences[i]
			}
			mean += sum / float64(n) / float64(len(sizes))
			at += n
		}
		return mean
	})
}
