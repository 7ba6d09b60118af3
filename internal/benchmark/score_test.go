package benchmark

import (
	"math"
	"testing"
)

// TestBagScores compares scores with those that the functions of lm-eval's task drop return (worked by hand from their
// definition).
func TestBagScores(t *testing.T) {
	for _, c := range []struct {
		answer string
		golds  [][]string
		em, f1 float64
	}{
		{" The Broncos", [][]string{{"Broncos"}}, 1, 1},
		{"12", [][]string{{"12.0"}}, 1, 1},
		{"about 12 yards", [][]string{{"12"}}, 0, 0.5},
		{"13", [][]string{{"12"}}, 0, 0},
		{"13 yards", [][]string{{"12 yards"}}, 0, 0}, // a number that differs counts for nothing
		{"John and Mary", [][]string{{"John", "Mary"}}, 0, 0.25},
		{"forty-five", [][]string{{"forty five"}}, 1, 1},
		{"red", [][]string{{"blue"}, {"dark red"}}, 0, 0.67},
		{"", [][]string{{"blue"}}, 0, 0},
		{"x", [][]string{{" "}}, 0, 0},
		{"$1,200", [][]string{{"1200"}}, 1, 1},
	} {
		em, f1 := bagScores(c.answer, c.golds)
		if em != c.em || math.Abs(f1-c.f1) > 1e-9 {
			t.Errorf("%q against %q: %v, %v; want %v, %v", c.answer, c.golds, em, f1, c.em, c.f1)
		}
	}
}

// TestProgram: instruct-eval keeps the answer up to its first empty line and restores the space that decoding drops;
// lm-eval takes the answer as it is.
func TestProgram(t *testing.T) {
	c := Code{Prompt: "def f():\n", Test: "def check(g):\n    assert g() == 1", EntryPoint: "f"}
	end := "\ndef check(g):\n    assert g() == 1\ncheck(f)"
	answer := "\n   if True:\n        return 1\n\nprint(2)"
	if got, want := c.Program(InstructEval, answer), "def f():\n    if True:\n        return 1"+end; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	if got, want := c.Program(LMEval, answer), "def f():\n"+answer+end; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}
