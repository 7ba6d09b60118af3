package train

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestWhatIf: trials do not change any tensor, and predict the loss that the
// chosen candidate then has.
func TestWhatIf(t *testing.T) {
	c := eventConfig(t, t.TempDir())
	if _, err := Run(context.Background(), c, quiet(2)); err != nil {
		t.Fatal(err)
	}
	tried := *c
	tried.Out, tried.Schedule.WhatIf = c.Out+"-tried", 16
	if _, err := Run(context.Background(), &tried, quiet(2)); err != nil {
		t.Fatal(err)
	}
	want, got := contents(t, c.Out), contents(t, tried.Out)
	compared := 0
	for name := range want {
		if strings.HasSuffix(name, ".safetensors") || strings.HasSuffix(name, stateFile) || name == "metrics.csv" {
			compared++
			if withoutLog(t, name, got[name]) != withoutLog(t, name, want[name]) {
				t.Errorf("%s differs", name)
			}
		}
	}
	if compared < 20 {
		t.Errorf("compared only %d files", compared)
	}
	all := events(t, tried.Out)
	for i, e := range all {
		if e.Loss == nil || len(e.Candidates) == 0 {
			t.Fatalf("event %d has no loss or no candidates", i)
		}
		seen := map[float64]bool{}
		for _, x := range e.Candidates {
			if x.ChangeSE == nil || !(*x.ChangeSE > 0) {
				t.Errorf("event %d: the change of a candidate has the standard error %v", i, x.ChangeSE)
			}
			seen[*x.Loss] = true
		}
		if len(e.Candidates) > 1 && len(seen) == 1 || seen[*e.Loss] {
			t.Errorf("event %d: losses %v and %v before; every candidate changes something", i, slices.Collect(maps.Keys(seen)),
				*e.Loss)
		}
		if i > 0 && e.Step == all[i-1].Step && *e.Loss != *all[i-1].Candidates[all[i-1].Winner].Loss {
			t.Errorf("event %d begins with loss %v; the chosen candidate before it predicted %v", i, *e.Loss,
				*all[i-1].Candidates[all[i-1].Winner].Loss)
		}
	}
	if plain := events(t, c.Out); plain[0].Loss != nil || plain[0].Candidates[0].Loss != nil {
		t.Error("a run without trials has their losses")
	}
}

// TestWhatIfMemory: trials need no more than the planned memory, with pairs of
// examples that are longer in the sample than any pair in training or
// evaluation, and with all examples at once.
func TestWhatIfMemory(t *testing.T) {
	onlyLong(t, true)
	for _, batch := range []int{2, 24} {
		t.Run(fmt.Sprintf("batch=%d", batch), func(t *testing.T) {
			c := eventConfig(t, t.TempDir())
			short, long := "act\tto eat", "act\t"+strings.Repeat("to eat ", 12)
			put := func(path string, rows []string) {
				if err := os.WriteFile(path, []byte("label\ttext\n"+strings.Join(rows, "\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			put(c.Data.Train, slices.Repeat([]string{short}, 24))
			// In order, every evaluated pair has one long example. In the sample some
			// pairs have two.
			put(string(c.Data.Dev), slices.Repeat([]string{short, long}, 12))
			c.Train.MicroBatchSize, c.Train.EvalBatchSize = 1, batch
			c.Schedule.WhatIf, c.Schedule.MaxInjects = 24, 2
			if _, err := Run(context.Background(), c, quiet(1)); err != nil {
				t.Fatal(err)
			}
			kinds := map[string]int{}
			for _, e := range events(t, c.Out) {
				kinds[e.Action]++
			}
			if fmt.Sprint(slices.Sorted(maps.Keys(kinds))) != "[inject merge]" {
				t.Errorf("events are %v; want merges and injections", kinds)
			}
		})
	}
}

// withoutLog removes the digest of the log from a state, because the log
// contains the trials.
func withoutLog(t *testing.T, name, content string) string {
	t.Helper()
	if !strings.HasSuffix(name, "/"+stateFile) {
		return content
	}
	var s state
	if err := json.Unmarshal([]byte(content), &s); err != nil {
		t.Fatal(err)
	}
	s.Log = nil
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
