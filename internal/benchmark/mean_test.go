package benchmark

import (
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/metric"
)

func near(a metric.Number, b float64) bool { return math.Abs(float64(a)-b) < 1e-9 }

// TestMeans compares means and standard errors with their formulas.
func TestMeans(t *testing.T) {
	m := MeanOf([]float64{1, 0, 1, 1})
	if m.Value != 0.75 || !near(m.StdErr, 0.25) || m.N != 4 {
		t.Errorf("%+v", m)
	}
	if m := MeanOf([]float64{1}); m.StdErr.Defined() {
		t.Errorf("one score has the standard error %v", m.StdErr)
	}
	tasks := map[string][]float64{"a": {1, 0, 1, 1}, "b": {0, 0, 0}}
	if m := MeanOfMeans(tasks); m.Value != 0.375 || !near(m.StdErr, 0.125) || m.N != 7 {
		t.Errorf("%+v", m)
	}
	// ((4-1) 0.25^2 4 + 0) / (7-2) = 0.15; sqrt(0.15/7)
	if m := Pooled(tasks); !near(m.Value, 3.0/7) || !near(m.StdErr, math.Sqrt(0.15/7)) || m.N != 7 {
		t.Errorf("%+v", m)
	}
}

// TestPaired: the interval of a paired difference agrees with the normal approximation, and pairing counts: equal
// scores have no difference at all.
func TestPaired(t *testing.T) {
	s := &Set{Name: NameMMLU, Protocol: LMEval}
	var a, b []Scored
	differences := make([]float64, 400)
	for i := range 400 {
		x := Scored{Task: "t", Row: i, Score: float64(i % 2)}
		y := x
		if i%10 == 0 { // 40 of 400 become right
			y.Score = 1
		}
		if i%40 == 1 { // 10 become wrong
			y.Score = 0
		}
		a, b, differences[i] = append(a, x), append(b, y), y.Score-x.Score
	}
	m := MeanOf(differences)
	d := s.Paired(a, b)
	half := 1.96 * float64(m.StdErr)
	if !near(d.Value, 0.075) || math.Abs(d.Interval.Low-(0.075-half)) > 0.1*half ||
		math.Abs(d.Interval.High-(0.075+half)) > 0.1*half || d.P > 0.01 || d.N != 400 {
		t.Errorf("%+v %+v; want 0.075 ± %.4f", d, d.Interval, half)
	}
	if d := s.Paired(a, a); d.Value != 0 || d.P != 1 || d.Interval.Low != 0 || d.Interval.High != 0 {
		t.Errorf("equal evaluations differ by %+v", d)
	}
	// Of two tasks of unequal size, each counts half.
	bbh := &Set{Name: NameBBH, Protocol: InstructEval}
	one := []Scored{{"a", 0, 0}, {"b", 0, 0}, {"b", 1, 0}, {"b", 2, 0}}
	two := []Scored{{"a", 0, 1}, {"b", 0, 0}, {"b", 1, 0}, {"b", 2, 0}}
	if d := bbh.Paired(one, two); d.Value != 0.5 {
		t.Errorf("the difference of the means of tasks is %v; want 0.5", d.Value)
	}
	if d := s.Paired(a[:3], b[:3]); d.Interval != nil || d.P.Defined() {
		t.Errorf("three items have %+v", d)
	}
}
