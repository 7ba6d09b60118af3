package sweep

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/metric"
)

// TestSummary compares numbers and table with values worked out by hand.
func TestSummary(t *testing.T) {
	nan := metric.Number(math.NaN())
	ops := func(executed, planned int) Operations { return Operations{planned, executed} }
	s := Summary{Failed: []string{"c-seed=1"}, Groups: []Group{
		{Name: "a", Task: "mrpc", Metric: "accuracy", Runs: []Result{{Seed: 1, Score: 0.5, Parameters: 100, Seconds: 10}}},
		{Name: "b", Task: "mrpc", Metric: "accuracy", Runs: []Result{
			{Seed: 1, Score: 0.5, Parameters: 80, Merges: ops(2, 2), Injects: ops(1, 1), Seconds: 20},
			{Seed: 2, Score: 0.75, Parameters: 60, Merges: ops(1, 2), Injects: ops(1, 1), Seconds: 40},
		}},
		{Name: "c", Task: "mrpc", Metric: "accuracy", Missing: 1},
		{Name: "e", Task: "mrpc", Metric: "accuracy", Runs: []Result{{Seed: 1, Score: nan, Loss: nan, Seconds: 5}}},
		{Name: "d", Task: "cola", Metric: "matthews",
			Runs: []Result{{Seed: 1, Score: 0.25, Loss: 1.5, Epoch: 3, Seconds: 5, Device: "cpu"}}},
	}}
	for i := range s.Groups {
		s.Groups[i].count()
	}
	s.best()
	// sd of 0.5 and 0.75 is 0.25/sqrt(2).
	want := `| cell | task | metric | n | mean | sd | min - max | 95 % interval | parameters | merges | injections | seconds |
|---|---|---|---:|---:|---:|---|---|---:|---|---|---:|
| a | mrpc | accuracy | 1 | 0.5000 | - | 0.5000 - 0.5000 | - | 100 | - | - | 10 |
| b | mrpc | accuracy | 2 | 0.6250 | 0.1768 | 0.5000 - 0.7500 | - | 60 - 80 | 1 - 2 / 2 | 1 / 1 | 30 |
| c | mrpc | accuracy | 0 | - | - | - | - | - | - | - | - |
| e | mrpc | accuracy | 0 (1 undefined) |  | - |  | - | 0 | - | - | 5 |
| d | cola | matthews | 1 | 0.2500 | - | 0.2500 - 0.2500 | - | 0 | - | - | 5 |

Scores are of the best epoch on dev. sd is over seeds, with n - 1; the interval is a bootstrap of the mean, for four seeds and more, too short where n is small.
Parameters are the adapter's in that epoch, the head not counted. Merges and injections are carried out / planned, seconds wall-clock of a run.

Best of 2 on mrpc: b, accuracy 0.6250. It was selected by the dev scores that it is listed with, so they flatter it; the test split has not been looked at.

Without results: c-seed=1.
`
	if d := cmp.Diff(want, s.Markdown()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	var b bytes.Buffer
	if err := s.CSV(&b); err != nil {
		t.Fatal(err)
	}
	want = `cell,task,metric,seed,score,loss,epoch,parameters,merges_planned,merges_executed,injects_planned,injects_executed,seconds,device
a,mrpc,accuracy,1,0.5,0,0,100,0,0,0,0,10,
b,mrpc,accuracy,1,0.5,0,0,80,2,2,1,1,20,
b,mrpc,accuracy,2,0.75,0,0,60,2,1,1,1,40,
e,mrpc,accuracy,1,,,0,0,0,0,0,0,5,
d,cola,matthews,1,0.25,1.5,3,0,0,0,0,0,5,cpu
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestBestByDirection: the best group of a task has the lowest perplexity, and of other scores the highest; a mean that
// another group has too is a tie.
func TestBestByDirection(t *testing.T) {
	for name, want := range map[string]string{metric.Perplexity: "low", "accuracy": "high"} {
		var s Summary
		for _, g := range []struct {
			name  string
			score metric.Number
		}{{"middle", 5}, {"high", 7}, {"low", 3}, {"also high", 7}, {"also low", 3}} {
			s.Groups = append(s.Groups, Group{Name: g.name, Task: "t", Metric: name, Runs: []Result{{Score: g.score}}})
			s.Groups[len(s.Groups)-1].count()
		}
		if s.best(); s.Best[0].Group != want || s.Best[0].Ties != 1 || s.Best[0].Of != 5 {
			t.Errorf("%s: got %+v; want group %s, one tie, of 5", name, s.Best[0], want)
		}
	}
}

// TestReadResult reads a run that was interrupted twice.
func TestReadResult(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"metrics.jsonl": `{"kind":"plan","step":0,"epoch":0,"layers":4,"rank":2,"parameters":64,"merges":[{"step":5,"epoch":1},{"step":9,"epoch":2}],"injects":[{"step":5,"epoch":1}],"max_merges":2,"max_injects":1,"score":"sfs","sfs_k":1}
{"kind":"event","step":5,"epoch":1,"action":"merge","first":0,"last":1,"keep":0,"winner":0,"loss":null,"candidates":[{"first":0,"last":1,"members":[{"first":0,"last":0},{"first":1,"last":1}],"scores":[1,2],"score":3,"loss":null}],"parameters_before":64,"parameters_after":48,"before":{"modules":[],"injected":[]},"after":{"modules":[],"injected":[]}}
{"kind":"eval","step":5,"epoch":1,"split":"dev","loss":0.7,"accuracy":0.6,"f1":0.1,"best":true}
{"kind":"eval","step":9,"epoch":2,"split":"dev","loss":0.6,"accuracy":0.8,"f1":0.2,"best":true}
{"kind":"eval","step":13,"epoch":3,"split":"dev","loss":0.5,"accuracy":0.7,"f1":0.9,"best":false}
`,
		"timing.jsonl": `{"step":2,"seconds":3}
{"step":4,"seconds":6}
{"step":4,"seconds":2}
{"step":6,"seconds":4}
{"step":8,"seconds":1}
`,
		"timing.json": `{"train_runtime":2.5}`,
		"env.json":    `{"device":"cpu float32","cpu":"X1"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var file bytes.Buffer
	tensors := []checkpoint.Tensor{
		{Name: "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight", Shape: []int{2, 8},
			Data: make([]float32, 16)},
		{Name: "base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight", Shape: []int{8, 2},
			Data: make([]float32, 16)},
		{Name: "classifier.dense.weight", Shape: []int{8, 8}, Data: make([]float32, 64)},
		{Name: "bert.pooler.dense.bias", Shape: []int{8}, Data: make([]float32, 8)},
	}
	if err := checkpoint.Write(&file, nil, tensors); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "best"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "best", "adapter_model.safetensors"), file.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	config := `{"peft_type":"LORA","task_type":"SEQ_CLS","r":2,"lora_alpha":4,"target_modules":["query"]}`
	if err := os.WriteFile(filepath.Join(dir, "best", "adapter_config.json"), []byte(config), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := readResult(dir, "accuracy")
	if err != nil {
		t.Fatal(err)
	}
	want := Result{Score: 0.8, Loss: 0.6, Epoch: 2, Parameters: 32, Merges: Operations{2, 1}, Injects: Operations{1, 0},
		Seconds: 6 + 4 + 2.5, Device: "cpu float32 (X1)"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, damaged := range [][3]string{
		{"env.json", "{}x", `env.json:1:3: "x" follows the end of the JSON value; restore the file or remove the run`},
		{"timing.jsonl", "{}\n{", "timing.jsonl:2: the text ends before its JSON value is complete; restore the file"},
	} {
		if err := os.WriteFile(filepath.Join(dir, damaged[0]), []byte(damaged[1]), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := readResult(dir, "accuracy"); err == nil || !strings.Contains(err.Error(), damaged[2]) {
			t.Errorf("%v; want %s", err, damaged[2])
		}
	}
}
