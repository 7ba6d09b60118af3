package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func openModel(t *testing.T, dir string) *Model {
	t.Helper()
	m, err := OpenModel(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func writeIndex(t *testing.T, dir string, home map[string]string) {
	t.Helper()
	var pairs []string
	for tensor, file := range home {
		pairs = append(pairs, fmt.Sprintf("%q: %q", tensor, file))
	}
	text := `{"weight_map": {` + strings.Join(pairs, ", ") + "}}"
	if err := os.WriteFile(filepath.Join(dir, indexFile), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSHA256: the digest of the same tensors is equal for one file and for two,
// and it changes if anything about a tensor changes.
func TestSHA256(t *testing.T) {
	sum := func(dir string) string {
		t.Helper()
		sum, err := openModel(t, dir).SHA256()
		if err != nil || len(sum) != 64 {
			t.Fatalf("%q, %v", sum, err)
		}
		return sum
	}
	single := t.TempDir()
	writeShard(t, single, singleFile, map[string]float32{"a": 1, "b": 2, "c": 3})
	want := sum(single)

	shards := t.TempDir()
	writeShard(t, shards, "s1.safetensors", map[string]float32{"a": 1, "c": 3})
	writeShard(t, shards, "s2.safetensors", map[string]float32{"b": 2, "unlisted": 4})
	writeIndex(t, shards, map[string]string{"a": "s1.safetensors", "b": "s2.safetensors", "c": "s1.safetensors"})
	if got := sum(shards); got != want {
		t.Errorf("two shards give %s, one file %s", got, want)
	}
	if got := openModel(t, shards).Files(); !slices.Equal(got,
		[]string{filepath.Join(shards, "s1.safetensors"), filepath.Join(shards, "s2.safetensors")}) {
		t.Errorf("files are %q", got)
	}

	// Other weights beside the model, and an index beside a single file, are
	// not part of it.
	writeShard(t, single, "model.fp16.safetensors", map[string]float32{"a": 9})
	writeShard(t, single, "s1.safetensors", map[string]float32{"a": 9, "d": 9})
	writeIndex(t, single, map[string]string{"a": "s1.safetensors", "d": "s1.safetensors"})
	if got := sum(single); got != want {
		t.Errorf("with other files beside it %s, before %s", got, want)
	}
	if got := openModel(t, single).Files(); !slices.Equal(got, []string{filepath.Join(single, singleFile)}) {
		t.Errorf("files are %q", got)
	}

	for name, tensors := range map[string][]Tensor{
		"value": {{Name: "a", Shape: []int{1}, Data: []float32{1}}, {Name: "b", Shape: []int{1}, Data: []float32{2}},
			{Name: "c", Shape: []int{1}, Data: []float32{4}}},
		"name": {{Name: "a", Shape: []int{1}, Data: []float32{1}}, {Name: "b", Shape: []int{1}, Data: []float32{2}},
			{Name: "d", Shape: []int{1}, Data: []float32{3}}},
		"shape": {{Name: "a", Shape: []int{1}, Data: []float32{1}}, {Name: "b", Shape: []int{1}, Data: []float32{2}},
			{Name: "c", Shape: []int{1, 1}, Data: []float32{3}}},
		"fewer": {{Name: "a", Shape: []int{1}, Data: []float32{1}}, {Name: "b", Shape: []int{1}, Data: []float32{2}}},
	} {
		t.Run("differs="+name, func(t *testing.T) {
			dir := t.TempDir()
			w, err := os.Create(filepath.Join(dir, singleFile))
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			if err := Write(w, nil, tensors); err != nil {
				t.Fatal(err)
			}
			if got := sum(dir); got == want {
				t.Error("the digest is that of the other model")
			}
		})
	}
}

// TestOpenModelLinks: weights behind a link that leads out of the folder are
// refused.
func TestOpenModelLinks(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	writeShard(t, outside, "w.safetensors", map[string]float32{"a": 1})
	if err := os.Symlink(filepath.Join(outside, "w.safetensors"), filepath.Join(dir, singleFile)); err != nil {
		t.Skip(err)
	}
	if _, err := OpenModel(dir); err == nil || !strings.Contains(err.Error(), singleFile+": it is a link to ") {
		t.Errorf("error %v", err)
	}
}
