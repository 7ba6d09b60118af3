package reproduce

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/benchmark"
	"github.com/lor2c/lor2c/internal/metric"
	"github.com/lor2c/lor2c/internal/sweep"
)

// TestPlanTable2: each method but the base has a run for each seed, and all run files load with the settings of the
// paper.
func TestPlanTable2(t *testing.T) {
	atRoot(t)
	j := plan(t, table2, Options{Profile: Mini, Seeds: []uint64{1, 2}, AllowCode: true})
	if len(j.Cells) != 2*(len(Methods2)-1) || !slices.Equal(j.o.Tasks, benchmark.Names) {
		t.Errorf("%d cells, tasks %v", len(j.Cells), j.o.Tasks)
	}
	for _, c := range j.Cells {
		load(t, c)
	}
	paper := &Job{target: table2, o: Options{Profile: Paper, Model: "m", Data: "d"}}
	for _, m := range Methods2 {
		file, sets := paper.runFile(m)
		c := load(t, sweep.Cell{Name: m, Base: file, Sets: sets})
		if c.Model != "m" || c.Data.Train != "d/alpaca/alpaca_data_cleaned.json" || c.Train.BatchSize != 128 ||
			c.Train.Reduction != "examples" || c.Seed != 42 || c.Optim.WarmupSteps != 100 {
			t.Errorf("%s: %+v", m, c)
		}
		if (m == "qlora") != (c.Train.Quantize == "nf4") || (m == "imlor2c") != (c.Schedule.MaxMerges == 8) {
			t.Errorf("%s: %+v %+v", m, c.Train, c.Schedule)
		}
	}
	without := plan(t, table2, Options{Profile: Mini})
	if slices.Contains(without.o.Tasks, benchmark.NameHumanEval) {
		t.Error("HumanEval is asked without permission")
	}
	for want, o := range map[string]Options{
		"--allow-code-execution permits that":                   {Profile: Mini, Tasks: []string{"humaneval"}},
		`--tasks has "rte"; want some of mmlu`:                  {Profile: Mini, Tasks: []string{"rte"}},
		`--methods has "dylora"; want some of base`:             {Profile: Mini, Methods: []string{"dylora"}},
		"no/such: there is no such file or folder; want the fo": {Profile: Paper, Data: "no/such"},
	} {
		if _, err := Plan(table2, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v; want %s", err, want)
		}
	}
}

// TestTable2 compares with a table worked out by hand.
func TestTable2(t *testing.T) {
	j := &Job{target: table2, o: Options{
		Profile: Paper, Methods: []string{"base", "lora", "lor2c", "sharelor2c"}, Tasks: benchmark.Names,
	}}
	add := func(method string, seed uint64, d *metric.Difference, values ...float64) {
		for i, v := range values {
			j.answers = append(j.answers, answered{method, seed, benchmark.Names[i], &Score{
				Title: benchmark.Names[i] + "@x", Value: metric.Number(v), StdErr: 0.004, N: 100, Difference: d,
			}})
		}
	}
	add("base", 1, nil, 0.46, 0.32, 0.31, 0.12)
	add("lora", 1, nil, 0.45, 0.33, 0.32, 0.15)
	add("lora", 2, nil, 0.47, 0.33, 0.32, 0.15)
	interval := &metric.Interval{Low: -0.01, High: 0.03}
	add("lor2c", 1, &metric.Difference{Value: 0.01, Interval: interval, N: 100}, 0.46, 0.33, 0.33, 0.16)
	table := j.table2(&sweep.Summary{Groups: []sweep.Group{
		{Name: "table2-lora", Parameters: sweep.Range{Min: 33554432, Max: 33554432}},
	}})
	text := table.markdown()
	for _, want := range []string{
		"| w/o FT | MMLU | 45.96 | 46.00 | +0.04 | 0.40 | - | 100 | 1 | - |",
		"| LoRA | MMLU | 45.64 | 46.00 ± 1.41 | +0.36 | 0.40 | - | 100 | 1 2 | 33554432 (33.6M) |",
		"| LoR2C | DROP | 32.52 | 33.00 | +0.48 | 0.40 | +1.00 (-1.00 to +3.00) | 100 | 1 | 0 (16.8M) |",
		"| ShareLoR2C | BBH | - | - | - | - | - | - |  | 0 |",
		"| LoR2C | average | 31.70 | 32.00 | +0.30 | | | | | |",
		"no multiples of 1/164",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "ShareLoR2C | average") {
		t.Error("a method without scores has an average")
	}
	tex := table.latex()
	for _, want := range []string{
		"LoRA & paper & 45.64 & 32.40 & 32.46 & 15.09 & 31.40 \\\\\n & ours & 46.00 & 33.00 & 32.00 & 15.00 & 31.50 \\\\",
		"ShareLoR2C & paper & - & - & - & - \\\\\n & ours & - & - & - & - \\\\",
	} {
		if !strings.Contains(tex, want) {
			t.Errorf("no line %q in\n%s", want, tex)
		}
	}
}

// TestAsk: every model is asked every benchmark, and each but LoRA is then compared with LoRA of the same seed.
func TestAsk(t *testing.T) {
	atRoot(t)
	j := plan(t, table2, Options{
		Profile: Mini, Methods: []string{"base"}, Tasks: []string{"mmlu", "drop"}, Out: t.TempDir(),
	})
	if err := j.Check(nil); err != nil {
		t.Fatal(err)
	}
	var asked []Asked
	err := j.Ask(context.Background(), func(_ context.Context, a Asked) (*Score, error) {
		asked = append(asked, a)
		return &Score{Value: 0.5}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 2 || asked[0].Model != "demo/decoder" || asked[1].Task != "drop" || !asked[0].Own ||
		asked[0].Against != "" || len(j.answers) != 2 {
		t.Errorf("%+v, %+v", asked, j.answers)
	}
	paths, err := j.Write()
	if err != nil || len(paths) != 3 {
		t.Errorf("%v, %v", paths, err)
	}
}
