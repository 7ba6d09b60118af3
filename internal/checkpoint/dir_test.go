package checkpoint

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// fillWith returns a fill function that writes the named files.
func fillWith(files map[string]string) func(string) error {
	return func(dir string) error {
		for name, text := range files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				return err
			}
		}
		return nil
	}
}

// mustWriteDir writes a directory with one file and returns its path.
func mustWriteDir(t *testing.T, parent, name, text string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := WriteDir(dir, fillWith(map[string]string{"a.txt": text})); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantList compares the sorted names in dir.
func wantList(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s holds %v; want %v", dir, got, want)
	}
}

func wantText(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s is %q, %v; want %q", path, got, err, want)
	}
}

// TestWriteDirManifest compares the manifest with known SHA-256 values (of
// "abc" and of an empty file, examples in FIPS 180-4) and checks it with
// sha256sum.
func TestWriteDirManifest(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "checkpoint-1")
	if err := WriteDir(dir+"/",
		fillWith(map[string]string{"b/c": "abc", "b.txt": "abc", "a": "", "MANIFEST.sha256": "old"})); err != nil {
		t.Fatal(err)
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	wantText(t, filepath.Join(dir, "MANIFEST.sha256"), empty+"  a\n"+abc+"  b.txt\n"+abc+"  b/c\n")
	wantList(t, parent, "checkpoint-1")
	if err := VerifyDir(dir); err != nil {
		t.Error(err)
	}
	if path, err := exec.LookPath("sha256sum"); err == nil {
		check := exec.Command(path, "--check", "--strict", "MANIFEST.sha256")
		check.Dir = dir
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("sha256sum: %v\n%s", err, out)
		}
	}
}

// withoutExchange simulates a file system that cannot exchange two names.
func withoutExchange(t *testing.T) {
	exchangeDirs = func(_, _ string) error { return errNoExchange }
	t.Cleanup(func() { exchangeDirs = exchange })
}

func TestWriteDirReplaces(t *testing.T) {
	for _, way := range []string{"exchange", "steps"} {
		t.Run("way="+way, func(t *testing.T) {
			if way == "steps" {
				withoutExchange(t)
			}
			parent := t.TempDir()
			dir := mustWriteDir(t, parent, "checkpoint-1", "old")
			mustWriteDir(t, parent, "checkpoint-1", "new")
			wantText(t, filepath.Join(dir, "a.txt"), "new")
			wantList(t, parent, "checkpoint-1")
			if err := os.Mkdir(filepath.Join(parent, "empty"), 0o777); err != nil {
				t.Fatal(err)
			}
			mustWriteDir(t, parent, "empty", "new")
			wantList(t, parent, "checkpoint-1", "empty")
		})
	}
}

// TestWriteDirKeepsOld makes a save fail in every way that a test can cause.
// The previous directory must remain valid, and nothing else may be left.
func TestWriteDirKeepsOld(t *testing.T) {
	disk := errors.New("injected")
	for _, c := range []struct {
		name string
		fill func(string) error
		want string
	}{
		{"fill", func(dir string) error {
			w, err := os.Create(filepath.Join(dir, "a.txt"))
			if err != nil {
				return err
			}
			defer w.Close()
			_, _ = w.WriteString("half")
			return disk
		}, "injected"},
		{"disk-full", func(string) error {
			return Write(&shortWriter{room: 9}, nil, exampleTensors())
		}, "no space left on device"},
		{"nothing", func(string) error { return nil }, "there is no file in it"},
		{"link", func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "l")) },
			"l is a symbolic link, and only regular files can be checksummed"},
		{"name", fillWith(map[string]string{"a\nb": ""}),
			`the file name "a\nb" has a character that a manifest cannot contain`},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			parent := t.TempDir()
			dir := mustWriteDir(t, parent, "checkpoint-1", "old")
			wantError(t, WriteDir(dir, c.fill), "checkpoint: write "+dir+": "+c.want+"; nothing was replaced")
			wantList(t, parent, "checkpoint-1")
			wantText(t, filepath.Join(dir, "a.txt"), "old")
			if err := VerifyDir(dir); err != nil {
				t.Error(err)
			}
		})
	}
	if err := WriteDir(filepath.Join(t.TempDir(), "a"), func(string) error { return disk }); !errors.Is(err, disk) {
		t.Errorf("error %v does not wrap that of fill", err)
	}
}

func TestWriteDirPanic(t *testing.T) {
	parent := t.TempDir()
	func() {
		defer func() { _ = recover() }()
		_ = WriteDir(filepath.Join(parent, "a"), func(string) error { panic("fill") })
	}()
	wantList(t, parent)
}

// TestWriteDirStepsUndo makes the second rename fail: the first must be undone.
func TestWriteDirStepsUndo(t *testing.T) {
	parent := t.TempDir()
	dir := mustWriteDir(t, parent, "checkpoint-1", "old")
	exchangeDirs = func(temp, _ string) error {
		_ = os.RemoveAll(temp)
		return errNoExchange
	}
	t.Cleanup(func() { exchangeDirs = exchange })
	err := WriteDir(dir, fillWith(map[string]string{"a.txt": "new"}))
	wantError(t, err, "checkpoint: write "+dir+": no such file or directory; nothing was replaced")
	wantList(t, parent, "checkpoint-1")
	wantText(t, filepath.Join(dir, "a.txt"), "old")
}

// TestWriteDirRefuses: what WriteDir has not written is not replaced.
func TestWriteDirRefuses(t *testing.T) {
	parent := t.TempDir()
	file, folder, link := filepath.Join(parent, "file"), filepath.Join(parent, "folder"), filepath.Join(parent, "link")
	if err := errors.Join(os.WriteFile(file, []byte("x"), 0o666), os.Mkdir(folder, 0o777),
		os.WriteFile(filepath.Join(folder, "thesis"), []byte("x"), 0o666), os.Symlink("folder", link)); err != nil {
		t.Fatal(err)
	}
	fill := func(string) error { t.Error("fill was called"); return nil }
	wantError(t, WriteDir(file, fill),
		"checkpoint: write "+file+": there is a regular file of that name; nothing was replaced")
	wantError(t, WriteDir(link, fill),
		"checkpoint: write "+link+": there is a symbolic link of that name; nothing was replaced")
	wantError(t, WriteDir(folder, fill), "checkpoint: write "+folder+
		": there is a folder of that name without MANIFEST.sha256, so lor2c did not write it; nothing was replaced")
	none := filepath.Join(parent, "none", "a")
	wantError(t, WriteDir(none, fill), "checkpoint: write "+none+": no such file or directory; nothing was replaced")
	wantList(t, parent, "file", "folder", "link")
}

func TestRemoveDir(t *testing.T) {
	parent := t.TempDir()
	dir := mustWriteDir(t, parent, "checkpoint-1", "x")
	for range 2 {
		if err := RemoveDir(dir); err != nil {
			t.Error(err)
		}
		wantList(t, parent)
	}
	file := filepath.Join(parent, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	wantError(t, RemoveDir(filepath.Join(file, "x")),
		"checkpoint: remove "+filepath.Join(file, "x")+": not a directory; remove it by hand")
}

// TestRemoveDirAtOnce checks a directory of many files while it is removed: no
// file may be missing while the directory still has its name.
func TestRemoveDirAtOnce(t *testing.T) {
	const files = 1000
	dir := filepath.Join(t.TempDir(), "checkpoint-1")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() { done <- RemoveDir(dir) }()
	for i := 0; ; i++ {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
		_, fileErr := os.Lstat(filepath.Join(dir, strconv.Itoa(i%files)))
		if _, err := os.Lstat(dir); fileErr != nil && err == nil {
			t.Fatalf("file %d is gone before the directory: %v", i%files, errors.Join(fileErr, <-done))
		}
	}
}
