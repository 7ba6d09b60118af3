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
		{"--run " + lora + " --out " + dir + "/x", `lor2c: export: --format is ""; want one of peft, merged, merged-nf4, lora, onnx, gguf, gguf-lora`},
		{"--run " + lora + " --format onxx --out " + dir + "/x",
			`lor2c: export: --format is "onxx"; want one of peft, merged, merged-nf4, lora, onnx, gguf, gguf-lora`},
		{"--run " + lora + " --format lora --out " + out,
			"train: export to " + out + ": it exists; want the name of a new directory"},
		{"--run " + lora + " --format lora --out " + dir + "/x/y",
			"train: export to " + dir + "/x/y: the directory " + dir + "/x does not exist; create it first"},
		{"--run " + lora + " --format lora --checkpoint best2 --out " + dir + "/x",
			"train: open " + lora + `: it has no "best2"; it has best, `},
		{"--run " + lora + " --format gguf --out " + dir + "/x",
			"adapter: export lora as gguf: GGUF files are written for decoders, and the base is a roberta encoder; want onnx"},
		{"--run " + lora + " --format merged --dtype f8 --out " + dir + "/x",
			`lor2c: export: --dtype is "f8"; want one of f32, f16, bf16`},
		{"--run " + lora + " --format onnx --dtype f16 --out " + dir + "/x",
			"lor2c: export: --dtype is f16, and --format onnx has a type of its own; want --format merged or gguf"},
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

// TestExportGGUF: a decoder is written as GGUF in the type that the command line names, and its adapter as LoRA, and
// both say how far their outputs are from the adapter's; an adapter of LoR2C is refused with what to do.
func TestExportGGUF(t *testing.T) {
	dir := t.TempDir()
	lora, lor2c := filepath.Join(dir, "lora"), filepath.Join(dir, "lor2c")
	for out, settings := range map[string][]string{lora: {"--set", "method.name=lora"}, lor2c: nil} {
		args := []string{"train", "-c", "configs/demo-decoder.yaml", "--device", "cpu", "--out", out, "--set",
			"train.epochs=1"}
		if r := run(t, append(args, settings...)...); r.code != 0 {
			t.Fatalf("%+v", r)
		}
	}
	for _, c := range []struct{ format, dtype, want, file string }{
		{"gguf", "", "gguf of lora in f32; on 8 rows of dev the outputs differ by at most ", "model.gguf"},
		{"gguf", "f16", "gguf of lora in f16; on 8 rows of dev the outputs differ by at most 0.0", "model.gguf"},
		{"gguf-lora", "", "gguf-lora of lora in f32; on 8 rows of dev the outputs differ by at most 0, ", "adapter.gguf"},
	} {
		out := filepath.Join(dir, c.format+c.dtype)
		args := []string{"export", "--run", lora, "--format", c.format, "--out", out}
		if c.dtype != "" {
			args = append(args, "--dtype", c.dtype)
		}
		if r := run(t, args...); r.code != 0 || !strings.HasPrefix(r.stdout, out+": "+c.want) {
			t.Errorf("%+v; want %s", r, c.want)
		}
		for _, name := range []string{c.file, "README.md", "MANIFEST.sha256"} {
			if _, err := os.Stat(filepath.Join(out, name)); err != nil {
				t.Error(err)
			}
		}
	}
	r := run(t, "export", "--run", lor2c, "--format", "gguf", "--out", filepath.Join(dir, "x"))
	const want = "adapter: export lor2c as gguf: a module adds to the output of a whole layer and not to that of a " +
		"linear layer, and llama.cpp has only changes of weights; want lor2c serve"
	if r.code != 2 || !strings.HasPrefix(r.stderr, want) {
		t.Errorf("%+v; want %s", r, want)
	}
}
