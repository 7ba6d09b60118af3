package checkpoint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeShard writes one-element F32 tensors into dir.
func writeShard(t *testing.T, dir, file string, values map[string]float32) {
	t.Helper()
	w, err := os.Create(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var tensors []Tensor
	for name, v := range values {
		tensors = append(tensors, Tensor{Name: name, Shape: []int{1}, Data: []float32{v}})
	}
	if err := Write(w, nil, tensors); err != nil {
		t.Fatal(err)
	}
}

// checkModel reads tensors a=1, b=2 and c=3 through every method of a model.
func checkModel(t *testing.T, dir string) {
	t.Helper()
	m, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	if names := m.Names(); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("names are %v", names)
	}
	for i, name := range m.Names() {
		dtype, shape, ok := m.Info(name)
		if dtype != F32 || !slices.Equal(shape, []int{1}) || !ok {
			t.Errorf("tensor %s is %s%v, %v", name, dtype, shape, ok)
		}
		got := make([]float32, 1)
		if err := m.ReadInto(got, name); err != nil || got[0] != float32(i+1) {
			t.Errorf("tensor %s is %v, %v; want %d", name, got, err, i+1)
		}
		m.Drop(name)
		clear(got)
		if err := m.ReadInto(got, name); err != nil || got[0] != float32(i+1) {
			t.Errorf("after Drop, tensor %s is %v, %v; want %d", name, got, err, i+1)
		}
		_, err := m.ReadInts(name)
		if err == nil || !strings.Contains(err.Error(), "an integer type is expected") {
			t.Errorf("ReadInts of F32 gives %v", err)
		}
	}
	if _, _, ok := m.Info("x"); ok {
		t.Error("Info finds a tensor that does not exist")
	}
	m.Drop("x")
	_, intsErr := m.ReadInts("x")
	for _, err := range []error{intsErr, m.ReadInto(nil, "x")} {
		wantError(t, err, "checkpoint: read "+dir+`: tensor "x" is missing; the model has 3 others`)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenModelSingle(t *testing.T) {
	dir := t.TempDir()
	writeShard(t, dir, "model.safetensors", map[string]float32{"a": 1, "b": 2, "c": 3})
	checkModel(t, dir)
}

func TestOpenModelShards(t *testing.T) {
	dir := t.TempDir()
	// The Hugging Face cache stores files as links that lead out of the folder.
	blobs := filepath.Join(t.TempDir(), "models--org--name", "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		t.Fatal(err)
	}
	writeShard(t, blobs, "blob", map[string]float32{"a": 1, "c": 3})
	if err := os.Symlink(filepath.Join(blobs, "blob"), filepath.Join(dir, "s1.safetensors")); err != nil {
		t.Fatal(err)
	}
	writeShard(t, dir, "s2.safetensors", map[string]float32{"b": 2, "unlisted": 4})
	index := `{"metadata": {"total_size": 12}, "weight_map": {"a": "s1.safetensors", "b": "s2.safetensors", "c": "s1.safetensors"}}`
	if err := os.WriteFile(filepath.Join(dir, indexFile), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	checkModel(t, dir)
}

// TestOpenModelRefusesIndex opens the faulty indices of testdata/index beside
// two valid shards.
func TestOpenModelRefusesIndex(t *testing.T) {
	for name, want := range map[string]string{
		"syntax": `:3:3: it is not JSON: "}" stands where a key in double quotes must be; an ` +
			"object with a weight_map is expected",
		"utf8":           ":2:4: it is not JSON: invalid UTF-8 byte 0xff; an object with a weight_map is expected",
		"not-object":     ":1:1: the index is not a JSON object; {...} is expected",
		"no-map":         `: it lists no tensor; {"weight_map": {"<tensor>": "<file>"}} is expected`,
		"twice":          `:3:5: weight_map has the key "a" twice; every key may appear once`,
		"runes":          `:2:12: weight_map has a value for "größe" that is not a string; strings are expected`,
		"not-string":     `:2:11: weight_map has a value for "a" that is not a string; strings are expected`,
		"parent":         `: tensor "a" is said to be in "../s1.safetensors"; a file inside the folder is expected`,
		"absolute":       `: tensor "a" is said to be in "/etc/passwd"; a file inside the folder is expected`,
		"missing-shard":  `: the shard "s3.safetensors" of tensor "a" is missing; fetch it into the folder`,
		"missing-tensor": `: tensor "b" is not in its shard "s1.safetensors"; index and shards must be from one save`,
	} {
		t.Run("fault="+name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "model")
			if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata/index", name))); err != nil {
				t.Fatal(err)
			}
			// If the path were followed, the shard above would be found.
			for _, d := range []string{dir, parent} {
				writeShard(t, d, "s1.safetensors", map[string]float32{"a": 1})
			}
			_, err := OpenModel(dir)
			wantError(t, err, "checkpoint: open "+filepath.Join(dir, indexFile)+want)
		})
	}
}

func TestOpenModelRefusesFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m [v1") // which is no pattern
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := OpenModel(dir)
	wantError(t, err,
		"checkpoint: open "+dir+
			": there is neither model.safetensors nor model.safetensors.index.json; a model folder has one of them")
	_, err = OpenModel(dir + "/none")
	wantError(t, err, "checkpoint: open "+dir+"/none: no such file or directory; a model folder is expected")

	for name, want := range map[string]string{
		"model.Q4_1.gguf": "; convert it with AutoModelForCausalLM", "consolidated.00.pth": "; convert it with convert_llama",
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("GGUF"), 0o644); err != nil {
			t.Fatal(err)
		}
		want = "checkpoint: open " + dir + ": lor2c does not read " + name + want
		if _, err = OpenModel(dir); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error is %v; want %q", err, want)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "pytorch_model.bin"), []byte("PK"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = OpenModel(dir)
	wantError(t, err,
		"checkpoint: open "+dir+": its only weights are a pickle, which is never read; convert it there with "+
			`python3 -c "import torch, safetensors.torch as s; s.save_file({k: v.contiguous().clone() for k, v in `+
			`torch.load('pytorch_model.bin', weights_only=True).items()}, 'model.safetensors', {'format': 'pt'})"`)

	// A damaged single file is reported, even if there is an index.
	single := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(single, []byte("1234567"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = OpenModel(dir)
	wantError(t, err,
		"checkpoint: open "+single+": the file has 7 bytes; a safetensors file starts with 8 bytes of header length")
}
