package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExport: the command writes a merged model and says how far its outputs are from the adapter's; mistakes on the
// command line and forms that the method does not have end it with code 2 and leave nothing.
func TestExport(t *testing.T) {
	dir := t.TempDir()
	lora, lor2c, out := filepath.Join(dir, "lora"), filepath.Join(dir, "lor2c"), filepath.Join(dir, "merged")
	for _, run := range []result{run(t, append(short(t, lora), "--set", "method.name=lora")...),
		run(t, short(t, lor2c)...)} {
		if run.code != 0 {
			t.Fatalf("%+v", run)
		}
	}
	r := run(t, "export", "--run", lora, "--format", "merged", "--out", out)
	if want := out + ": merged of lora in bf16; on 32 rows of dev the outputs differ by at most "; r.code != 0 ||
		!strings.HasPrefix(r.stdout, want) {
		t.Fatalf("%+v; want %s", r, want)
	}
	if _, err := os.Stat(filepath.Join(out, "model.safetensors")); err != nil {
		t.Error(err)
	}
	graph := filepath.Join(dir, "onnx")
	r = run(t, "export", "--run", lor2c, "--format", "onnx", "--out", graph)
	if want := graph + ": onnx of lor2c in f32; on 32 rows of dev the outputs differ by at most 0, "; r.code != 0 ||
		!strings.HasPrefix(r.stdout, want) {
		t.Errorf("%+v; want %s", r, want)
	}
	for _, name := range []string{"model.onnx", "config.json", "tokenizer.json", "README.md", "MANIFEST.sha256"} {
		if _, err := os.Stat(filepath.Join(graph, name)); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"--format merged --out x", "lor2c: export: name a run with --run DIR and a new directory with --out DIR"},
		{"--run " + lora + " --format merged", "lor2c: export: name a run with --run DIR and a new directory with --out DIR"},
		{"--run " + lora + " --out " + dir + "/x", `lor2c: export: --format is ""; want one of peft, merged, merged-nf4, lora, onnx`},
		{"--run " + lora + " --format gguf --out " + dir + "/x",
			`lor2c: export: --format is "gguf"; want one of peft, merged, merged-nf4, lora, onnx`},
		{"--run " + lora + " --format lora --out " + out,
			"train: export to " + out + ": it exists; want the name of a new directory"},
		{"--run " + lora + " --format lora --out " + dir + "/x/y",
			"train: export to " + dir + "/x/y: the directory " + dir + "/x does not exist; create it first"},
		{"--run " + lora + " --format lora --checkpoint best2 --out " + dir + "/x",
			"train: open " + lora + `: it has no "best2"; it has best, `},
		{"--run " + lor2c + " --format merged --out " + dir + "/x",
			"adapter: export lor2c as merged: a module adds to the output of a whole layer"},
	} {
		r := run(t, append([]string{"export"}, strings.Fields(c.args)...)...)
		if r.code != 2 || !strings.HasPrefix(r.stderr, c.want) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: %+v; want %s", c.args, r, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
		t.Error("a refused export wrote something")
	}
}
