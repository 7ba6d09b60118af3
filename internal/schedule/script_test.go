package schedule

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite the expectations of testdata/*.txt")

// script is a run whose modules have constant spectra, in YAML.
type script struct {
	Config  `yaml:",inline"`
	Epochs  int       `yaml:"epochs"`
	Steps   int       `yaml:"steps"` // steps of an epoch
	SFS     []float64 `yaml:"sfs"`   // SFS of each layer's module, for k = 2
	Nuclear []float64 `yaml:"nuclear"`
	// From1 numbers layers from 1, as the paper does.
	From1 bool `yaml:"from_1"`
}

// singular returns 8 singular values with the given SFS for k = 2 and sum.
func singular(sfs, sum float64) []float64 {
	high, low := (1-sfs)*sum/2, sfs*sum/6
	return []float64{high, high, low, low, low, low, low, low}
}

// play runs a script. It returns a line for each step with an action, and one
// for the structure at the end. The state is converted to JSON and back between
// steps.
func (s script) play(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	s.Resolve()
	run := Run{Epochs: s.Epochs, StepsPerEpoch: s.Steps, Layers: len(s.SFS), Rank: 8}
	for _, err := range append(s.Validate(), s.Check(run)...) {
		fmt.Fprintln(&out, err)
	}
	base := 0
	if s.From1 {
		base = 1
	}
	name := func(x Span) string {
		if x.First == x.Last {
			return fmt.Sprint(x.First + base)
		}
		return fmt.Sprintf("[%d-%d]", x.First+base, x.Last+base)
	}
	var modules []Module
	for i, sfs := range s.SFS {
		sum := 1.0
		if s.Nuclear != nil {
			sum = s.Nuclear[i]
		}
		modules = append(modules, Module{Span{i, i}, singular(sfs, sum)})
	}
	schedule := New(s.Config, run)
	var state State
	kept := map[Span]int{}
	var injected []string
	for step := 1; step <= s.Epochs*s.Steps; step++ {
		var line []string
		for {
			action, next := schedule.Next(state, step, modules)
			state = roundTrip(t, next)
			if action == nil {
				break
			}
			if !schedule.Due(step) {
				t.Errorf("step %d has an action but is not due", step)
			}
			c := action.Candidates[action.Winner]
			if action.Kind == Merge {
				line = append(line,
					fmt.Sprintf("merge %s+%s (%.4g) keep %d", name(c.Members[0]), name(c.Members[1]), c.Score, action.Keep+base))
				kept[action.Span] = action.Keep
			} else {
				line = append(line, fmt.Sprintf("inject %s (%.4g)", name(c.Span), c.Score))
				injected = append(injected, name(c.Span))
			}
			modules = carryOut(modules, action)
		}
		if line != nil {
			when := fmt.Sprintf("step %d", step)
			if step%s.Steps == 0 {
				when = fmt.Sprintf("epoch %d", step/s.Steps)
			}
			fmt.Fprintf(&out, "%s: %s\n", when, strings.Join(line, "; "))
		}
	}
	var left []string
	for _, m := range modules {
		left = append(left, name(m.Span))
	}
	fmt.Fprintf(&out, "modules: %s\ninjected: %s\n", strings.Join(left, " "), strings.Join(injected, " "))
	fmt.Fprintf(&out, "carried out: %d of %d merges, %d of %d injections\n", state.Merges, s.MaxMerges, state.Injects,
		s.MaxInjects)
	return out.String()
}

func roundTrip(t *testing.T, s State) (back State) {
	t.Helper()
	b, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil || back != s {
		t.Fatalf("%+v comes back from %s as %+v, %v", s, b, back, err)
	}
	return back
}

// carryOut returns the modules after an action.
func carryOut(modules []Module, a *Action) (left []Module) {
	var spectrum []float64
	for _, m := range modules {
		if m.First == a.Keep {
			spectrum = m.Singular
		}
	}
	for _, m := range modules {
		switch {
		case m.First < a.First || m.First > a.Last:
			left = append(left, m)
		case m.First == a.First && a.Kind == Merge:
			left = append(left, Module{a.Span, spectrum})
		}
	}
	return left
}

// TestScripts runs testdata/*.txt. Each file has a run, a line of dashes and
// the expected actions.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, file := range files {
		t.Run("file="+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, want, ok := strings.Cut(string(text), "---\n")
			if !ok && !*update {
				t.Fatal("no line of dashes")
			}
			s := script{Config: Default()}
			d := yaml.NewDecoder(bytes.NewReader([]byte(head)))
			d.KnownFields(true)
			if err := d.Decode(&s); err != nil {
				t.Fatal(err)
			}
			got := s.play(t)
			if *update {
				if err := os.WriteFile(file, []byte(strings.TrimRight(head, "\n")+"\n---\n"+got), 0o666); err != nil {
					t.Fatal(err)
				}
			} else if got != want {
				t.Errorf("got\n%swant\n%s", got, want)
			}
		})
	}
}
