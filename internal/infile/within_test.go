package infile_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// TestReadIn reads through links such as people and programs make.
func TestReadIn(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put := func(path string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("text"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, path string) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Skip(err)
		}
	}
	put("secret")
	put("model/config.json")
	put("model/sub/shard")
	link("config.json", "model/inside")
	link("../secret", "model/outside")
	link("outside", "model/outside-twice")
	link(filepath.Join(root, "secret"), "model/absolute")
	link("../model", "model/up")
	link("model", "alias")
	put("other/vocab.txt")
	link("../other/vocab.txt", "model/vocab.txt")
	link("../secret", "other/key")
	link("../other/key", "model/key") // a link of the same name, which leads on to a secret
	put("hub/models--org--name/blobs/abc")
	link("../../blobs/abc", "hub/models--org--name/snapshots/main/config.json")
	put("hub/models--org--name/refs/main")
	link("../../refs/main", "hub/models--org--name/snapshots/main/ref")
	link(filepath.Join(root, "hub/models--org--name/blobs/abc"), "local/config.json")
	put("blobs/abc")
	link("../blobs/abc", "model/blob")
	for _, c := range []struct {
		dir, name string
		want      string // target of a refused link
	}{
		{"model", "config.json", ""},
		{"model", "sub/shard", ""},
		{"model", "inside", ""},
		{"model", "up/config.json", ""},
		{"alias", "config.json", ""},
		{"model", "vocab.txt", ""},
		{"alias", "inside", ""},
		{"hub/models--org--name/snapshots/main", "config.json", ""},
		{"local", "config.json", ""},
		{"model", "outside", "secret"},
		{"model", "outside-twice", "secret"},
		{"model", "absolute", "secret"},
		{"model", "key", "secret"},
		{"alias", "outside", "secret"},
		{"model", "blob", "blobs/abc"},
		{"hub/models--org--name/snapshots/main", "ref", "hub/models--org--name/refs/main"},
	} {
		t.Run("dir="+c.dir+"/name="+c.name, func(t *testing.T) {
			got, err := infile.ReadIn(filepath.Join(root, c.dir), c.name, 10)
			f, openErr := infile.OpenIn(filepath.Join(root, c.dir), c.name)
			if openErr == nil {
				defer f.Close()
			}
			if c.want == "" {
				if err != nil || openErr != nil || string(got) != "text" {
					t.Errorf("%q, %v, %v", got, err, openErr)
				}
				return
			}
			want := "it is a link to " + place.Quote(filepath.Join(root, c.want)) +
				", outside of its directory and of another name; " +
				"want the file itself there, a link to a file of the same name, or a snapshot in the cache of the Hugging Face hub"
			wantError(t, err, want)
			wantError(t, openErr, want)
		})
	}
}
