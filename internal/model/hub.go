package model

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// hubName matches NAME or ORG/NAME, the name of a model on the Hugging Face hub.
var hubName = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$`)

// Find returns the directory of a model. It is name itself if that path exists.
// Otherwise it is the snapshot of the model called name in the cache of the
// Hugging Face hub, which "hf download" and transformers fill. A name without
// ORG also finds a cached model of that name under any ORG, if there is only
// one. Find downloads nothing.
func Find(name string) (string, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil && hubName.MatchString(name):
		return fromCache(name)
	case err == nil && info.Mode().IsRegular():
		want := "want the folder of a model, which has a config.json"
		if how := checkpoint.Foreign(name); how != "" {
			want = "lor2c reads folders with safetensors; " + how
		}
		return "", place.Mistake(fmt.Errorf("model: open %s: it is a file; %s", name, want))
	}
	return name, nil
}

// fromCache returns the directory of the model called name in the cache of the hub.
func fromCache(name string) (string, error) {
	cache := hubCache()
	repo := "models--" + strings.ReplaceAll(name, "/", "--")
	repos := []string{repo}
	if _, err := os.Stat(filepath.Join(cache, repo)); err != nil && !strings.Contains(name, "/") {
		repos = underAnyOrg(cache, name)
	}
	switch len(repos) {
	case 1:
		if dir, ok := snapshot(filepath.Join(cache, repos[0])); ok {
			return dir, nil
		}
	case 0:
	default:
		return "", place.Mistake(fmt.Errorf("model: open %s: there is no such directory, and the cache in %s has %s; "+
			"name one as ORG/NAME", name, cache, place.List(repos)))
	}
	return "", place.Mistake(fmt.Errorf("model: open %s: there is no such directory, and the Hugging Face cache in %s "+
		"has no snapshot of such a model; "+
		"fetch it with: hf download %s --local-dir models/%s, and set model: models/%[4]s", name, cache, name,
		filepath.Base(name)))
}

// hubCache returns the directory in which huggingface_hub caches models; see
// https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables.
func hubCache() string {
	if dir := cmp.Or(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE")); dir != "" {
		return dir
	}
	if home := os.Getenv("HF_HOME"); home != "" {
		return filepath.Join(home, "hub")
	}
	caches := os.Getenv("XDG_CACHE_HOME")
	if caches == "" {
		home, _ := os.UserHomeDir() // without a home directory the path is relative and does not exist
		caches = filepath.Join(home, ".cache")
	}
	return filepath.Join(caches, "huggingface", "hub")
}

// underAnyOrg returns the cached repositories, under any organisation, of models called
// name.
func underAnyOrg(cache, name string) (repos []string) {
	entries, _ := os.ReadDir(cache)
	for _, e := range entries {
		if parts := strings.Split(e.Name(), "--"); len(parts) == 3 && parts[0] == "models" && parts[2] == name {
			repos = append(repos, e.Name())
		}
	}
	return repos
}

// snapshot returns the directory of the revision that refs/main of a cached
// repository names.
func snapshot(repo string) (dir string, ok bool) {
	revision, err := infile.Read(filepath.Join(repo, "refs", "main"), 1<<10)
	if err != nil {
		return "", false
	}
	rev := strings.TrimSpace(string(revision))
	if rev == "" || rev != filepath.Base(rev) || !filepath.IsLocal(rev) {
		return "", false
	}
	dir = filepath.Join(repo, "snapshots", rev)
	_, err = os.Stat(dir)
	return dir, err == nil
}
