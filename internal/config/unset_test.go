package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestZero: a 0 for a key without a number as its default is a fault that names the key and says what would be right,
// whatever source it comes from. A null is the same as a key that is not set.
func TestZero(t *testing.T) {
	tested := 0
	for _, k := range Keys() {
		if k.Unset == "" || k.Name == "optim.warmup_steps" {
			continue
		}
		tested++
		t.Run("key="+k.Name, func(t *testing.T) {
			run := slices.Clone(minimal)
			if strings.HasPrefix(k.Name, "method.") {
				run = append(run, "method.name="+k.Methods[0])
			}
			if k.Name == "data.threshold" { // only this kind of data has it
				run = []string{"model=m", "data.task=custom", "data.kind=multilabel", "data.train=t.csv", "data.dev=d.csv",
					"data.text=text", "data.label=tags", "out=o"}
			}
			fault := "is 0; want " + k.Range.String() + ", or null for the default: " + k.Unset
			_, err := Load("", append(run, k.Name+"=0"), nil)
			wantFaults(t, err, "config: --set "+k.Name+"=0: "+fault)
			_, err = Load("", run, []string{k.Env + "=0"})
			wantFaults(t, err, "config: "+k.Env+": "+k.Name+": "+fault)
			section, key, _ := strings.Cut(k.Name, ".")
			file := section + ":\n  " + key + ": 0\n"
			_, err = load("x.yaml", []byte(file), run, nil)
			wantFaults(t, err, "config: x.yaml:2:3: "+k.Name+": "+fault)

			want := mustLoad(t, "", run, nil)
			got, err := load("x.yaml", []byte(section+":\n  "+key+": null\n"), run, []string{k.Env + "=null"})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("null is not as if the key was not set: -want +got:\n%s", d)
			}
			example := mustLoad(t, "", append(run, "train.batch_size=64", k.Name+"="+k.Example), nil)
			again := mustLoad(t, "", append(run, "train.batch_size=64", k.Name+"="+k.Example, k.Name+"=null"), nil)
			unset := mustLoad(t, "", append(run, "train.batch_size=64"), nil)
			if d := cmp.Diff(unset, again); d != "" {
				t.Errorf("null does not take back %s: -want +got:\n%s", k.Example, d)
			}
			if v, _ := runFile.byName[k.Name].get(example); v.IsZero() {
				t.Errorf("the example %s has no effect", k.Example)
			}
		})
	}
	if tested < 9 {
		t.Errorf("%d keys have no number as their default; want at least the 9 that were known", tested)
	}
}

// TestNoWarmup: optim.warmup_steps 0 is a run without warm-up, unless the ratio is set in the same source or a stronger
// one.
func TestNoWarmup(t *testing.T) {
	const ratio = 0.06 // the default
	for _, c := range []struct {
		name, file    string
		environ, sets []string
		ratio         float64
		steps         int
	}{
		{name: "unset", ratio: ratio},
		{name: "file", file: "optim: {warmup_steps: 0}", ratio: 0},
		{name: "environment", environ: []string{"LOR2C_OPTIM_WARMUP_STEPS=0"}, ratio: 0},
		{name: "set", sets: []string{"optim.warmup_steps=0"}, ratio: 0},
		{name: "null", sets: []string{"optim.warmup_steps=null"}, ratio: ratio},
		{name: "last", sets: []string{"optim.warmup_steps=0", "optim.warmup_steps=9"}, ratio: ratio, steps: 9},
		{name: "beside", file: "optim: {warmup_steps: 0, warmup_ratio: 0.2}", ratio: 0.2},
		{name: "over a ratio", file: "optim: {warmup_ratio: 0.2}", sets: []string{"optim.warmup_steps=0"}, ratio: 0},
		{name: "under a ratio", file: "optim: {warmup_steps: 0}", sets: []string{"optim.warmup_ratio=0.2"}, ratio: 0.2},
		{name: "under steps", file: "optim: {warmup_steps: 0}", sets: []string{"optim.warmup_steps=9"}, ratio: ratio,
			steps: 9},
		{name: "under null", file: "optim: {warmup_steps: 0}", sets: []string{"optim.warmup_steps=null"}, ratio: ratio},
		{name: "under null with a ratio", file: "optim: {warmup_ratio: 0.2}", environ: []string{"LOR2C_OPTIM_WARMUP_STEPS=0"},
			sets: []string{"optim.warmup_steps=null"}, ratio: 0.2},
	} {
		t.Run("case="+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			got, err := load("x.yaml", []byte("seed: 1\n"+c.file), slices.Concat(minimal, c.sets), c.environ)
			if err != nil {
				t.Fatal(err)
			}
			if got.Optim.WarmupRatio != c.ratio || got.Optim.WarmupSteps != c.steps {
				t.Errorf("ratio %g and steps %d; want %g and %d", got.Optim.WarmupRatio, got.Optim.WarmupSteps, c.ratio, c.steps)
			}
			again := filepath.Join(t.TempDir(), "run.yaml")
			if err := os.WriteFile(again, got.YAML(), 0o600); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(got, mustLoad(t, again, nil, nil)); d != "" {
				t.Errorf("the run file gives another run: -want +got:\n%s", d)
			}
		})
	}
}

// TestZerosOfRunDirectories: releases before null could be written had a 0 in the run file of a run directory for every
// key that was not set. Such a file is read as it was meant, and no other.
func TestZerosOfRunDirectories(t *testing.T) {
	const older = "model: m\ndata: {task: rte, dir: d, max_length: 0}\nmethod: {name: aslora, merges: 0}\n" +
		"optim: {warmup_ratio: 0.2, warmup_steps: 0}\npaths: file\n"
	got, err := load("x.yaml", []byte(older+"out: .\n"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Data.MaxLength != 0 || got.Method.Value("merges") != 0 || got.Optim.WarmupRatio != 0.2 {
		t.Errorf("got %+v", got)
	}
	for _, key := range []string{"max_length: null", "merges: null", "warmup_steps: null"} {
		if !strings.Contains(string(got.YAML()), key) {
			t.Errorf("the run file is without %s:\n%s", key, got.YAML())
		}
	}
	_, err = load("x.yaml", []byte(older+"out: o\n"), nil, nil)
	wantFaults(t, err, "config: x.yaml:2:27: data.max_length: is 0; want at least 5, or null for the default: 256, and "+
		"512 for rte\n"+
		"config: x.yaml:3:24: method.merges: is 0; want 1 to 1000, or null for the default: 7 of 12")
	newer := strings.Replace(older, "merges: 0", "merges: null", 1)
	_, err = load("x.yaml", []byte(newer+"out: .\n"), nil, nil)
	wantFaults(t, err, "config: x.yaml:2:27: data.max_length: is 0; want at least 5, or null for the default: 256, and "+
		"512 for rte")
}
