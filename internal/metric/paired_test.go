package metric

import (
	"math"
	"testing"
)

// TestPairedScores compares the interval of a difference of accuracies with the normal approximation of paired
// differences. Pairing counts: the same accuracy from the same examples differs by nothing in every draw.
func TestPairedScores(t *testing.T) {
	const n, better, worse = 400, 40, 10
	a, b, gold := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range n {
		gold[i], a[i], b[i] = float32(i%2), float32(i%2), float32(i%2)
		switch {
		case i < better:
			a[i] = 1 - gold[i]
		case i < better+worse:
			b[i] = 1 - gold[i]
		}
	}
	found, err := PairedScores([]string{"accuracy", "f1"}, 2, a, b, gold)
	if err != nil {
		t.Fatal(err)
	}
	mean := float64(better-worse) / n
	half := 1.96 * math.Sqrt((float64(better+worse)/n-mean*mean)/n)
	d := found["accuracy"]
	if math.Abs(float64(d.Value)-mean) > 1e-12 || math.Abs(d.Interval.Low-(mean-half)) > 0.1*half ||
		math.Abs(d.Interval.High-(mean+half)) > 0.1*half || d.P > 0.01 || d.N != n {
		t.Errorf("%+v %+v; want %.4f ± %.4f", d, d.Interval, mean, half)
	}
	if f1 := found["f1"]; float64(f1.Value) != F1(ints(b), ints(gold))-F1(ints(a), ints(gold)) || f1.Interval.Low < 0 {
		t.Errorf("f1: %+v", f1)
	}
	same, err := PairedScores([]string{"accuracy"}, 2, a, a, gold)
	if d := same["accuracy"]; err != nil || d.Value != 0 || d.P != 1 || d.Interval.Low != 0 || d.Interval.High != 0 {
		t.Errorf("equal predictions differ by %+v, %v", d, err)
	}
	// Regression, and a metric that is undefined: constant values have no correlation.
	values, constant := []float32{1, 2, 3, 4, 5}, []float32{1, 1, 1, 1, 1}
	r, err := PairedScores([]string{"pearson"}, 1, constant, values, values)
	if d := r["pearson"]; err != nil || d.Value.Defined() || d.Interval != nil || d.P.Defined() {
		t.Errorf("pearson of constant values: %+v, %v", d, err)
	}
	if _, err := PairedScores([]string{"pearson"}, 2, a, b, gold); err == nil {
		t.Error("a metric of values was accepted for classes")
	}
}

func ints(x []float32) (y []int) {
	for _, v := range x {
		y = append(y, int(v))
	}
	return y
}

// TestPairedStrata: items are drawn within strata, so a stratum of one item is in every draw.
func TestPairedStrata(t *testing.T) {
	d := Paired([]int{1, 5}, 100, func(drawn []int) float64 {
		if len(drawn) != 6 || drawn[0] != 0 {
			t.Fatalf("drew %v", drawn)
		}
		for _, i := range drawn[1:] {
			if i < 1 {
				t.Fatalf("drew %v", drawn)
			}
		}
		return 1
	})
	if d.Value != 1 || d.Interval.Low != 1 || d.Interval.High != 1 || d.P != 0 {
		t.Errorf("%+v", d)
	}
}
