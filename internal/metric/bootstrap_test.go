package metric

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestIntervalOfAccuracy compares with the normal approximation of a binomial
// proportion. The width of a bootstrap of 1000 examples differs from it by at
// most a tenth.
func TestIntervalOfAccuracy(t *testing.T) {
	const n, right = 1000, 800
	logits, gold := make([]float32, 2*n), make([]float32, n)
	for i := range n {
		gold[i] = float32(i % 2)
		predicted := i % 2
		if i >= right {
			predicted = 1 - predicted
		}
		logits[2*i+predicted] = 1
	}
	a, err := NewAccumulator([]string{"accuracy", "f1_macro"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	a.Add(logits, gold)
	got := a.Intervals()
	half := 1.96 * math.Sqrt(0.8*0.2/n)
	for _, name := range []string{"accuracy", "f1_macro"} {
		i := got[name]
		if i == nil || math.Abs(i.Low-(0.8-half)) > 0.1*half || math.Abs(i.High-(0.8+half)) > 0.1*half {
			t.Errorf("interval of %s is %+v; want about 0.8 ± %.4f", name, i, half)
		}
	}
	if d := cmp.Diff(got, a.Intervals()); d != "" {
		t.Errorf("a second time (-first +second):\n%s", d)
	}
}

// TestNoInterval: too few examples, and a metric that is undefined for most draws.
func TestNoInterval(t *testing.T) {
	few, err := NewAccumulator([]string{"accuracy"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	few.Add([]float32{0, 1, 0, 1, 1, 0}, []float32{1, 1, 1})
	if i := few.Intervals()["accuracy"]; i != nil {
		t.Errorf("three examples have the interval %+v; want none", i)
	}
	few.Add([]float32{0, 1}, []float32{0})
	if few.Intervals()["accuracy"] == nil {
		t.Error("four examples have no interval")
	}
	constant, err := NewAccumulator([]string{"pearson"}, 1)
	if err != nil {
		t.Fatal(err)
	}
	constant.Add([]float32{1, 1, 1, 1, 1}, []float32{1, 2, 3, 4, 5})
	if i := constant.Intervals()["pearson"]; i != nil {
		t.Errorf("constant predictions have the interval %+v; want none", i)
	}
	none, _ := NewAccumulator([]string{"accuracy"}, 2)
	if got := none.Intervals(); len(got) != 0 || none.Majority() != nil {
		t.Errorf("without examples the interval is %v", got)
	}
}

func TestMajority(t *testing.T) {
	a, err := NewAccumulator([]string{"accuracy", "f1_macro", "matthews"}, 3)
	if err != nil {
		t.Fatal(err)
	}
	a.Add(make([]float32, 15), []float32{2, 0, 2, 2, 1})
	want := &Majority{Class: 2, Count: 3, Scores: Scores{"accuracy": 0.6, "f1_macro": 0.25, "matthews": 0}}
	if d := cmp.Diff(want, a.Majority()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestNumber: an undefined value is never written as a number, and is read back
// as undefined.
func TestNumber(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		n := Number(v)
		raw, err := n.MarshalJSON()
		if err != nil || string(raw) != "null" || n.Cell() != "" || n.String() != "undefined" {
			t.Errorf("%v is %q, %q and %q, %v", v, raw, n.Cell(), n.String(), err)
		}
	}
	var text Number
	err := json.Unmarshal([]byte(`"high"`), &text)
	if want := `a score is "\"high\""; want a number or null`; err == nil || err.Error() != want {
		t.Errorf("%v; want %s", err, want)
	}
	n := Number(0.1)
	if raw, _ := n.MarshalJSON(); string(raw) != "0.1" || n.Cell() != "0.1" || n.String() != "0.1000" {
		t.Errorf("0.1 is %q, %q and %q", raw, n.Cell(), n.String())
	}
	if err := n.UnmarshalJSON([]byte("null")); err != nil || n.Defined() {
		t.Errorf("null reads as %v, %v", float64(n), err)
	}
	if raw, err := (Scores{"a": 1, "b": math.NaN()}).MarshalJSON(); err != nil || string(raw) != `{"a":1,"b":null}` {
		t.Errorf("scores are %s, %v", raw, err)
	}
}
