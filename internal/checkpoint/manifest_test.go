package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestVerifyDir(t *testing.T) {
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	manifest := func(text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, manifestName), []byte(text), 0o666) }
	}
	for _, c := range []struct {
		name   string
		damage func(dir string) error
		want   string
	}{
		{"manifest-missing", func(dir string) error { return os.Remove(filepath.Join(dir, manifestName)) },
			"MANIFEST.sha256 is corrupt: it is missing"},
		{"manifest-empty", manifest(""), "MANIFEST.sha256 is corrupt: it is empty or its last line is cut off"},
		{"manifest-cut", manifest(sum + "  a.txt"), "MANIFEST.sha256 is corrupt: it is empty or its last line is cut off"},
		{"manifest-blank", manifest("\n"), `MANIFEST.sha256:1 is corrupt: "" is not a checksum and a file name`},
		{"manifest-garbage", manifest(sum + "  a.txt\n\x00\x00\n"),
			`MANIFEST.sha256:2 is corrupt: "\x00\x00" is not a checksum and a file name`},
		{"manifest-escapes", manifest(sum + "  ../a.txt\n"),
			`MANIFEST.sha256:1 is corrupt: "` + sum + `  ../a.txt" is not a checksum and a file name`},
		{"file-missing", func(dir string) error { return os.Remove(filepath.Join(dir, "a.txt")) },
			"a.txt is corrupt: it is missing"},
		{"file-changed", fillWith(map[string]string{"a.txt": "abd"}),
			"a.txt is corrupt: its SHA-256 is a52d159f262b2c6ddb724a61840befc36eb30c88877a4030b65cbe86298449c9; the " +
				"manifest has " + sum},
		{"file-link", func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "a.txt"), filepath.Join(dir, "b")),
				os.Symlink("b", filepath.Join(dir, "a.txt")))
		}, "a.txt is corrupt: it is a symbolic link"},
		{"file-replaced-by-folder", func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "a.txt")), os.Mkdir(filepath.Join(dir, "a.txt"), 0o777))
		}, "a.txt is corrupt: it is a directory"},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			dir := mustWriteDir(t, t.TempDir(), "checkpoint-1", "abc")
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			err := VerifyDir(dir)
			wantError(t, err, "checkpoint: verify "+dir+": "+c.want+"; use an earlier one")
			if !errors.Is(err, ErrCorrupt) {
				t.Error("the error does not wrap ErrCorrupt")
			}
		})
	}
	dir := mustWriteDir(t, t.TempDir(), "checkpoint-1", "abc")
	if err := os.WriteFile(filepath.Join(dir, "note"), []byte("keep this one"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := VerifyDir(dir); err != nil {
		t.Errorf("with an extra file: %v", err)
	}
	err := VerifyDir(dir + "/none")
	wantError(t, err, "checkpoint: verify "+dir+"/none: no such file or directory; a checkpoint folder is expected")
	if errors.Is(err, ErrCorrupt) {
		t.Error("a missing directory wraps ErrCorrupt")
	}
}
