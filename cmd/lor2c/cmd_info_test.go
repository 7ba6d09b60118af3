package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInfo describes a run, a copied adapter and a PEFT adapter, and refuses a directory that is none of these.
func TestInfo(t *testing.T) {
	out := filepath.Join(t.TempDir(), "run")
	if r := run(t, short(t, out)...); r.code != 0 {
		t.Fatalf("train: %+v", r)
	}
	best := filepath.Join(out, "best")
	r := run(t, "info", out)
	for _, want := range []string{
		"run        " + out + " with best, checkpoint-8, final\n", "adapter    " + best + "\n", "method     LoR2C: ",
		`"rank":8`, "on 64 examples; evaluated on 64\n",
		"base       demo/model, a roberta of 4 layers and width 128, weights ",
		"predicts   one of 10 labels (act, animal, ", "from text, at most 64 tokens",
		"`PeftModel.from_pretrained`", "lor2c_peft",
		"files      their checksums are right\n",
		"lor2c train --resume " + best + " continues", "use        lor2c predict --adapter " + best + " FILE\n",
	} {
		if r.code != 0 || r.stderr != "" || !strings.Contains(r.stdout, want) {
			t.Errorf("%d %q\n%s\nwant %q", r.code, r.stderr, r.stdout, want)
		}
	}
	// A run that was not evaluated yet has no best adapter.
	early := t.TempDir()
	for name, from := range map[string]string{"checkpoint-9": "checkpoint-8", "checkpoint-10": "checkpoint-8"} {
		if err := os.CopyFS(filepath.Join(early, name), os.DirFS(filepath.Join(out, from))); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(out, "config.resolved.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(early, "config.resolved.yaml"), raw, 0o644)
	}
	if r := run(t, "info", early); err != nil || !strings.Contains(r.stdout, "with checkpoint-9, checkpoint-10\n") ||
		!strings.Contains(r.stdout, "adapter    "+filepath.Join(early, "checkpoint-10")+"\n") {
		t.Errorf("%v, %+v", err, r)
	}
	copied := filepath.Join(t.TempDir(), "adapter")
	if err := os.CopyFS(copied, os.DirFS(filepath.Join(out, "final"))); err != nil {
		t.Fatal(err)
	}
	c := command(t, "info", copied)
	c.Dir = t.TempDir()
	if r := finish(t, c); r.code != 0 ||
		!strings.Contains(r.stdout, "not found from here; name its directory with --model") ||
		strings.Contains(r.stdout, "--resume") {
		t.Errorf("%+v", r)
	}
	var got struct {
		Method struct{ Name string }
		Task   struct{ Labels []string }
		Found  string `json:"found_base"`
		Data   map[string]int
	}
	r = run(t, "info", copied, "--json")
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || got.Method.Name != "lor2c" ||
		len(got.Task.Labels) != 10 || got.Found != "demo/model" || got.Data["dev"] != 64 {
		t.Errorf("%v, %+v from %s", err, got, r.stdout)
	}
	r = run(t, "info", "testdata/golden/peft_lora_roberta")
	if r.code != 0 || !strings.Contains(r.stdout, "labels, which it does not name") ||
		!strings.Contains(r.stdout, "have no checksums") {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(filepath.Join(copied, "README.md"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{"demo/data": "there is neither lor2c.json nor adapter_config.json",
		"none": "file does not exist", copied: "README.md"} {
		if r := run(t, "info", dir); r.code == 0 || !strings.Contains(r.stderr, want) || r.stdout != "" {
			t.Errorf("%s: %+v", dir, r)
		}
	}
}
