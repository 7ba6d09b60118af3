package schedule

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestScore compares with worked examples: singular values of
// B = [[1 0] [1 1] [0 1]], A = [[2 0 0] [0 1 0]], whose squares are 5 ± sqrt(13),
// and two spectra of equal sum.
func TestScore(t *testing.T) {
	small := []float64{math.Sqrt(5 + math.Sqrt(13)), math.Sqrt(5 - math.Sqrt(13))}
	first := []float64{1.60, .90, .50, .30, .25, .20, .15, .10}
	second := []float64{.90, .85, .80, .75, .20, .20, .20, .10}
	for _, c := range []struct {
		values []float64
		k      int
		want   float64
	}{
		{small, 1, 0.287009}, {small, 2, 0},
		{first, 1, .600}, {first, 2, .375}, {first, 3, .250}, {first, 4, .175}, {first, 8, 0},
		{second, 2, .5625},
		{[]float64{0, 0, 0}, 2, 0},
	} {
		if got := SFS(c.values, c.k); math.Abs(got-c.want) > 5e-7 {
			t.Errorf("SFS_%d of %v is %v, want %v", c.k, c.values, got, c.want)
		}
	}
	for _, values := range [][]float64{first, second} {
		if got := Nuclear(values); math.Abs(got-4) > 1e-12 {
			t.Errorf("the sum of %v is %v, want 4", values, got)
		}
	}
	for score, want := range map[string]float64{ScoreSFS: .375, ScoreNuclear: 4} {
		if got := New(Config{Score: score, SFSK: 2}, Run{}).Score(first); math.Abs(got-want) > 1e-12 {
			t.Errorf("score=%s: is %v, want %v", score, got, want)
		}
	}
}

// TestInterval compares eq. 11 with values computed by hand for 1 to 6
// operations, and the times of a plan with multiples of the interval.
func TestInterval(t *testing.T) {
	for epochs, want := range map[int][6]int{
		30: {8, 4, 3, 2, 2, 2}, 40: {10, 5, 4, 3, 2, 2}, 60: {15, 8, 5, 4, 3, 3}, 80: {20, 10, 7, 5, 4, 4},
	} {
		for i, interval := range want {
			limit := i + 1
			for _, c := range []Config{{MaxMerges: limit}, {MaxInjects: limit}} {
				c.Preset = PresetPaper
				c.Resolve()
				var got, multiples []int
				for _, d := range New(c, Run{Epochs: epochs, StepsPerEpoch: 7, Layers: 12, Rank: 8}).Plan() {
					if d.Merge != (c.MaxMerges > 0) || d.Inject != (c.MaxInjects > 0) || d.Epoch*7 != float64(d.Step) {
						t.Errorf("epochs=%d: %+v is planned", epochs, d)
					}
					got = append(got, d.Step)
				}
				for k := range limit {
					multiples = append(multiples, (k+1)*interval*7)
				}
				if !slices.Equal(got, multiples) {
					t.Errorf("epochs=%d operations=%d: planned at steps %v, want %v", epochs, limit, got, multiples)
				}
			}
		}
	}
}

// TestSteps compares the plan of a run of three epochs of 388 steps with a plan
// made by hand.
func TestSteps(t *testing.T) {
	for limit, want := range map[int][]int{
		3: {97, 194, 291}, 8: {36, 73, 109, 146, 182, 218, 255, 291},
	} {
		c := Config{Preset: PresetPaper, Timing: TimingSteps, MaxMerges: limit, MaxInjects: limit}
		c.Resolve()
		run := Run{Epochs: 3, StepsPerEpoch: 388, Layers: 32, Rank: 64}
		if faults := c.Check(run); faults != nil {
			t.Error(faults)
		}
		var got []int
		for _, d := range New(c, run).Plan() {
			if !d.Merge || !d.Inject {
				t.Errorf("%+v is planned", d)
			}
			got = append(got, d.Step)
		}
		if !slices.Equal(got, want) {
			t.Errorf("operations=%d: planned at %v, want %v", limit, got, want)
		}
	}
}

// TestCutShort: a run that ends inside an epoch plans its operations over the
// steps that it has. More operations than fit are a fault.
func TestCutShort(t *testing.T) {
	run := Run{Epochs: 3, StepsPerEpoch: 10, Steps: 26, Layers: 12, Rank: 8} // two epochs and six steps
	steps := func(c Config) (at []int) {
		c.Preset = PresetPaper
		c.Resolve()
		for _, d := range New(c, run).Plan() {
			at = append(at, d.Step)
		}
		return at
	}
	if got := steps(Config{MaxMerges: 2, Timing: TimingSteps}); !slices.Equal(got, []int{3, 7}) {
		t.Errorf("planned after steps %v; want 3 and 7, eighths of 26", got)
	}
	// Operations by epochs: every epoch counts that ends within the run.
	if got := steps(Config{MaxMerges: 3, Until: 1}); !slices.Equal(got, []int{10, 20}) {
		t.Errorf("planned after steps %v; want the ends of both whole epochs", got)
	}
	c := Config{Preset: PresetPaper, MaxMerges: 3, Until: 1}
	c.Resolve()
	if faults := c.Check(run); len(faults) != 1 || !strings.Contains(faults[0].Error(), "schedule.max_merges: is 3") {
		t.Errorf("faults %v; want one about max_merges", faults)
	}
}

// TestWorked compares the scripts of the worked example with results computed
// by hand.
func TestWorked(t *testing.T) {
	for name, want := range map[string]string{
		"paper":          "9+10 10 7, 8+[9-10] 8 6, [8-10]+11 11 5: 1 2 3 4 [8-11] 12",
		"inject_max":     "9+10 10 12, 6+7 6 1, 8+[9-10] 8 2: 3 4 5 [6-7] [8-10] 11",
		"most_top_share": "11+12 11 9, 1+2 1 7, [1-2]+3 1 10: [1-3] 4 5 6 8 [11-12]",
		"release":        "6+7 6 12, 5+[6-7] 5 11, 8+9 8 1: 2 3 4 [5-7] [8-9] 10",
		"max_span":       "9+10 10 7, 5+6 5 8, 3+4 4 11: 1 2 [3-4] [5-6] [9-10] 12",
		"strict":         "9+10 10 7, [9-10]+11 11 6, 3+4 4 8: 1 2 [3-4] 5 [9-11] 12",
	} {
		text, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		_, played, _ := strings.Cut(string(text), "---\n")
		operations, layout, _ := strings.Cut(want, ": ")
		for i, o := range strings.Split(operations, ", ") {
			f := strings.Fields(o)
			line := strings.Split(played, "\n")[i]
			var pair, merged, kept, layer, injected string
			if _, err := fmt.Sscanf(line, fmt.Sprintf("epoch %d: merge %%s %%s keep %%s inject %%s %%s", 3*(i+1)), &pair,
				&merged, &kept, &layer, &injected); err != nil {
				t.Fatalf("%s: %q: %v", name, line, err)
			}
			if pair != f[0] || kept != f[1]+";" || layer != f[2] {
				t.Errorf("script=%s: %s, want %s", name, line, o)
			}
		}
		if !strings.Contains(played, "\nmodules: "+layout+"\n") {
			t.Errorf("script=%s ends with\n%swant %s", name, played, layout)
		}
	}
}

// naive is an independent implementation of the schedule, with the defaults of
// presets, as one loop over the epochs. It does not use the package.
func naive(epochs, maxMerges, maxInjects, maxSpan int, max, first bool, scores []float64) (log []string, left []Span) {
	type module struct {
		s, e  int
		score float64
	}
	var modules []module
	for i, v := range scores {
		modules = append(modules, module{i, i, v})
	}
	iv := func(x int) int { return int(math.Floor(float64(epochs)/(4*float64(x)+1e-9))) + 1 }
	merges, injects := 0, 0
	for e := 1; 2*e <= epochs; e++ {
		if merges < maxMerges && e%iv(maxMerges) == 0 {
			best, at := math.Inf(1), -1
			for i := 0; i+1 < len(modules); i++ {
				a, b := modules[i], modules[i+1]
				if a.e+1 == b.s && (maxSpan == 0 || b.e-a.s+1 <= maxSpan) && a.score+b.score < best {
					best, at = a.score+b.score, i
				}
			}
			if at >= 0 {
				a, b := modules[at], modules[at+1]
				k := a
				if !first && b.score > a.score {
					k = b
				}
				modules = slices.Replace(modules, at, at+2, module{a.s, b.e, k.score})
				merges++
				log = append(log, fmt.Sprint(e, " merge ", a.s, b.e))
			}
		}
		if injects < maxInjects && e%iv(maxInjects) == 0 {
			at := -1
			for i, m := range modules {
				if m.s == m.e && (at < 0 || max && m.score > modules[at].score || !max && m.score < modules[at].score) {
					at = i
				}
			}
			if at >= 0 {
				log = append(log, fmt.Sprint(e, " inject ", modules[at].s, modules[at].s))
				modules = slices.Delete(modules, at, at+1)
				injects++
			}
		}
	}
	for _, m := range modules {
		left = append(left, Span{m.s, m.e})
	}
	return log, left
}

// TestNaive compares the schedule with naive on thousands of random runs, many
// of them with ties and with too few modules.
func TestNaive(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[Kind]int{}
	for trial := range 4000 {
		c := Config{Preset: PresetPaper, MaxMerges: rng.IntN(7), MaxInjects: rng.IntN(7),
			MaxSpan: []int{0, 0, 2, 3}[rng.IntN(4)]}
		if rng.IntN(2) == 0 {
			c.InjectSelect = SelectMax
		}
		if rng.IntN(2) == 0 {
			c.Keep = KeepFirst
		}
		c.Resolve()
		run := Run{Epochs: 1 + rng.IntN(60), StepsPerEpoch: 1 + rng.IntN(3), Layers: 1 + rng.IntN(12), Rank: 8}
		var scores []float64
		var modules []Module
		for i := range run.Layers {
			sfs := float64(rng.IntN(16)) / 16
			scores = append(scores, sfs)
			// the values are not in order, but their SFS_2 is sfs
			modules = append(modules, Module{Span{i, i}, []float64{1, 0, sfs / (1 - sfs)}})
		}
		s := New(c, run)
		var log []string
		var st State
		for step := range run.Epochs*run.StepsPerEpoch + 1 {
			for {
				a, next := s.Next(st, step, modules)
				if st = next; a == nil {
					break
				}
				seen[a.Kind]++
				log = append(log, fmt.Sprint(step/run.StepsPerEpoch, " ", a.Kind, " ", a.First, a.Last))
				modules = carryOut(modules, a)
			}
		}
		var left []Span
		for _, m := range modules {
			left = append(left, m.Span)
		}
		wantLog, wantLeft := naive(run.Epochs, c.MaxMerges, c.MaxInjects, c.MaxSpan, c.InjectSelect == SelectMax,
			c.Keep == KeepFirst, scores)
		if !slices.Equal(log, wantLog) || !slices.Equal(left, wantLeft) {
			t.Fatalf("trial=%d: %+v %+v %v:\n%v %v, want\n%v %v", trial, c, run, scores, log, left, wantLog, wantLeft)
		}
	}
	if seen[Merge] < 1000 || seen[Inject] < 1000 {
		t.Errorf("only %v", seen)
	}
}

// TestResolve checks that a preset fills fields that are not set, and no
// others.
func TestResolve(t *testing.T) {
	c := Config{Preset: PresetRelease, Keep: KeepRicher, Until: 0.25}
	c.Resolve()
	want := presets[PresetRelease]
	want.Preset, want.Keep, want.Until = PresetRelease, KeepRicher, 0.25
	if c != want {
		t.Errorf("is %+v, want %+v", c, want)
	}
	again := c
	if again.Resolve(); again != c {
		t.Errorf("a second time %+v, want %+v", again, c)
	}
	for name := range presets {
		c := Config{Preset: name}
		c.Resolve()
		v := reflect.ValueOf(c)
		for i := range v.NumField() {
			switch f := v.Type().Field(i); f.Name {
			case "MaxMerges", "MaxInjects", "MaxSpan", "WhatIf": // 0 has a meaning
			default:
				if v.Field(i).IsZero() {
					t.Errorf("preset=%s leaves %s empty", name, f.Name)
				}
			}
		}
		if faults := c.Validate(); faults != nil {
			t.Errorf("preset=%s: %v", name, faults)
		}
	}
	if faults := Default().Validate(); faults != nil {
		t.Error(faults)
	}
}

func TestValidate(t *testing.T) {
	for want, c := range map[string]Config{
		`schedule.preset: is "codes"; want paper or release`: {Preset: "codes"},
		`schedule.max_merges: is -1; want 0 to 1000000`: {Preset: PresetPaper,
			MaxMerges: -1},
		`schedule.max_injects: is -2; want 0 to 1000000`: {Preset: PresetPaper,
			MaxInjects: -2},
		`schedule.sfs_k: is -1; want 1 to 1000000`:           {Preset: PresetPaper, SFSK: -1},
		`schedule.max_merges: is 1000001; want 0 to 1000000`: {Preset: PresetPaper, MaxMerges: 1_000_001},
		`schedule.what_if: is -64; want 0 to 1000000`: {Preset: PresetPaper,
			WhatIf: -64},
		`schedule.max_span: is -3; want 0, or at least 2 and at most 1000000`: {Preset: PresetPaper,
			MaxSpan: -3},
		`schedule.max_span: is 1; want 0, or at least 2 and at most 1000000`: {Preset: PresetPaper,
			MaxSpan: 1},
		`schedule.until: is 1.5; want more than 0 and at most 1`:     {Preset: PresetPaper, Until: 1.5},
		`schedule.until: is NaN; want more than 0 and at most 1`:     {Preset: PresetPaper, Until: math.NaN()},
		`schedule.timing: is "epoch"; want epochs or steps`:          {Preset: PresetPaper, Timing: "epoch"},
		`schedule.score: is "SFS"; want sfs or nuclear`:              {Preset: PresetPaper, Score: "SFS"},
		`schedule.merge_select: is "lowest"; want min or max`:        {Preset: PresetPaper, MergeSelect: "lowest"},
		`schedule.inject_select: is "highest"; want min or max`:      {Preset: PresetPaper, InjectSelect: "highest"},
		`schedule.keep: is "higher"; want richer or first`:           {Preset: PresetPaper, Keep: "higher"},
		`schedule.adjacency: is "none"; want gap or strict`:          {Preset: PresetPaper, Adjacency: "none"},
		`schedule.on_conflict: is "skip"; want both or defer_inject`: {Preset: PresetPaper, OnConflict: "skip"},
		`schedule.evaluate: is "never"; want after or before`:        {Preset: PresetPaper, Evaluate: "never"},
		`schedule.moments: is "drop"; want keep or reset`:            {Preset: PresetPaper, Moments: "drop"},
		`schedule.changed: is "frozen"; want train or freeze`:        {Preset: PresetPaper, Changed: "frozen"},
	} {
		if faults := c.Validate(); len(faults) != 1 || faults[0].Error() != want {
			t.Errorf("%v, want %s", faults, want)
		}
	}
}

// TestInactive checks that a run without operations has no plan and no faults.
func TestInactive(t *testing.T) {
	c := Default()
	c.Resolve()
	run := Run{Epochs: 1, StepsPerEpoch: 5, Layers: 1, Rank: 1}
	if faults := c.Check(run); faults != nil || c.Active() {
		t.Error(faults, c.Active())
	}
	s := New(c, run)
	if s.Plan() != nil || s.Due(5) {
		t.Error(s.Plan(), s.Due(5))
	}
}
