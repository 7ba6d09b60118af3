package model_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// cached stores the golden model in the layout of huggingface_hub and returns
// its snapshot.
func cached(t *testing.T, golden, cache, repo string) string {
	t.Helper()
	const revision = "0123456789abcdef0123456789abcdef01234567"
	root := filepath.Join(cache, repo)
	snapshot := filepath.Join(root, "snapshots", revision)
	for _, dir := range []string{"blobs", "refs", filepath.Join("snapshots", revision)} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "refs", "main"), []byte(revision), 0o644); err != nil {
		t.Fatal(err)
	}
	for blob, name := range map[string]string{"aa11": "config.json", "bb22": "model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join(golden, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "blobs", blob), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..", "..", "blobs", blob), filepath.Join(snapshot, name)); err != nil {
			t.Skip(err)
		}
	}
	return snapshot
}

// TestFind looks for models by directory, by name and by name without ORG.
func TestFind(t *testing.T) {
	golden, err := filepath.Abs(filepath.Join(goldenDir, "roberta"))
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	t.Chdir(t.TempDir()) // no directory there has the name of a model
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	check := func(name, want string) {
		t.Helper()
		if got, err := model.Find(name); err != nil || got != want {
			t.Errorf("Find(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	fails := func(name, want string) {
		t.Helper()
		if got, err := model.Find(name); err == nil || got != "" || err.Error() != want {
			t.Errorf("Find(%q) = %q\n%v\nwant\n%s", name, got, err, want)
		}
	}
	hub := filepath.Join(home, ".cache", "huggingface", "hub")
	missing := func(name, base, cache string) string {
		return "model: open " + name + ": there is no such directory, and the Hugging Face cache in " + cache +
			" has no snapshot of such a model; " +
			"fetch it with: hf download " + name + " --local-dir models/" + base + ", and set model: models/" + base
	}
	fails("FacebookAI/roberta-base", missing("FacebookAI/roberta-base", "roberta-base", hub))
	fails("roberta-base", missing("roberta-base", "roberta-base", hub))
	// A text that cannot be a name on the hub is returned as a path.
	for _, path := range []string{"./m", "/m", "a/b/c", "../m", "m [v1]", ""} {
		check(path, path)
	}
	for file, want := range map[string]string{
		"config.json":     "it is a file; want the folder of a model, which has a config.json",
		"model.Q4_1.gguf": "it is a file; lor2c reads folders with safetensors; convert it with AutoModelForCausalLM",
	} {
		if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := model.Find(file); err == nil || !strings.Contains(err.Error(), file+": "+want) || !place.IsMistake(err) {
			t.Errorf("Find(%q): error %v; want %s", file, err, want)
		}
	}
	full := cached(t, golden, hub, "models--FacebookAI--roberta-base")
	check("FacebookAI/roberta-base", full)
	check("roberta-base", full)
	short := cached(t, golden, hub, "models--roberta-base")
	check("roberta-base", short)
	check("FacebookAI/roberta-base", full)
	cached(t, golden, hub, "models--one--bert")
	cached(t, golden, hub, "models--two--bert")
	fails("bert",
		"model: open bert: there is no such directory, and the cache in "+hub+
			" has models--one--bert, models--two--bert; name one as ORG/NAME")

	// These are the environment variables in order of precedence.
	for _, name := range []string{"XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE"} {
		root := t.TempDir()
		t.Setenv(name, root)
		cache := filepath.Join(root, map[string]string{"XDG_CACHE_HOME": "huggingface/hub", "HF_HOME": "hub"}[name])
		fails("org/m", missing("org/m", "m", cache))
		check("org/m", cached(t, golden, cache, "models--org--m"))
	}
	cache := os.Getenv("HF_HUB_CACHE")

	// A reference that leads out of the cache is not followed.
	for _, ref := range []string{"", "..", "../../..", "/etc", "no-such-revision"} {
		if err := os.WriteFile(filepath.Join(cache, "models--org--m", "refs", "main"), []byte(ref), 0o644); err != nil {
			t.Fatal(err)
		}
		fails("org/m", missing("org/m", "m", cache))
	}
	// A directory of that name takes precedence over the cache.
	if err := os.MkdirAll("FacebookAI/roberta-base", 0o755); err != nil {
		t.Fatal(err)
	}
	check("FacebookAI/roberta-base", "FacebookAI/roberta-base")

	// The snapshot can be loaded, although all of its files are links that lead
	// out of it.
	if m, err := model.Load(cpu.Open[float32](1), full, model.Head{Outputs: 2}, 1, nil); err != nil || m.Layers != 3 ||
		!strings.HasPrefix(m.Prefix, "roberta") {
		t.Errorf("the snapshot does not load: %v", err)
	}
}
