//go:build unix

package outfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lor2c/lor2c/internal/outfile"
)

func fill(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func stat(t *testing.T, path string) os.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestRegular: a file is replaced completely or not at all and keeps its
// permissions; a new file has those of the umask.
func TestRegular(t *testing.T) {
	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	if err := outfile.Write(path, fill("1")); err != nil || read(t, path) != "1" {
		t.Fatal(err)
	}
	if mode := stat(t, path).Mode(); mode != 0o640 {
		t.Errorf("a new file has mode %v; want 0640 under umask 027", mode)
	}
	private := filepath.Join(dir, "private")
	put(t, private, "before", 0o600)
	reader, err := os.Open(private)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := outfile.Write(private, fill("after")); err != nil || read(t, private) != "after" {
		t.Fatal(err)
	}
	if mode := stat(t, private).Mode(); mode != 0o600 {
		t.Errorf("the file has mode %v; want 0600 as before", mode)
	}
	// A process that has the old file open still reads its content, because it was
	// replaced by a rename.
	if raw, err := io.ReadAll(reader); string(raw) != "before" {
		t.Errorf("the old file contains %q, %v", raw, err)
	}
	broken := errors.New("broken")
	err = outfile.Write(private, func(w io.Writer) error {
		io.WriteString(w, "half")
		return broken
	})
	if !errors.Is(err, broken) || read(t, private) != "after" {
		t.Errorf("after an error, %v, the file contains %q", err, read(t, private))
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("%d files; want 2", len(entries))
	}
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "sub", "real"), "before", 0o600)
	for link, target := range map[string]string{"link": "sub/real", "chain": "link", "dangling": "sub/none",
		"loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for link, real := range map[string]string{"link": "sub/real", "chain": "sub/real", "dangling": "sub/none"} {
		t.Run("link="+link, func(t *testing.T) {
			if err := outfile.Write(filepath.Join(dir, link), fill(link)); err != nil {
				t.Fatal(err)
			}
			if got := read(t, filepath.Join(dir, real)); got != link {
				t.Errorf("the target contains %q", got)
			}
			if stat(t, filepath.Join(dir, link)).Mode()&os.ModeSymlink == 0 {
				t.Error("the link is gone")
			}
		})
	}
	if mode := stat(t, filepath.Join(dir, "sub", "real")).Mode(); mode != 0o600 {
		t.Errorf("the target has mode %v; want 0600 as before", mode)
	}
	if err := outfile.Write(filepath.Join(dir, "loop"), fill("x")); err == nil {
		t.Error("a link to itself was written")
	}
}

// TestPipe: a pipe remains a pipe, and its reader gets everything.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	pipe, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "link")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("pipe", link); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("0123456789", 100000)
	for _, path := range []string{pipe, link} {
		got := make(chan string)
		go func() {
			raw, _ := os.ReadFile(pipe)
			got <- string(raw)
		}()
		if err := outfile.Write(path, fill(long)); err != nil {
			t.Fatal(err)
		}
		// Without the pipe its reader would wait for ever.
		if stat(t, pipe).Mode()&os.ModeNamedPipe == 0 {
			t.Fatalf("%s: the pipe is gone", path)
		}
		if text := <-got; text != long {
			t.Errorf("%s: the reader got %d bytes; want %d", path, len(text), len(long))
		}
	}
}

// TestDevices uses its own link to the device, so that a fault of this package,
// when run as root, destroys the link and not the device.
func TestDevices(t *testing.T) {
	link := filepath.Join(t.TempDir(), "null")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	if err := outfile.Write(link, fill("x")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Fatalf("/dev/null is %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	full := filepath.Join(t.TempDir(), "full")
	if err := os.Symlink("/dev/full", full); err != nil {
		t.Fatal(err)
	}
	if err := outfile.Write(full, fill("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v; want %v", err, syscall.ENOSPC)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	put(t, path("data.csv"), "x", 0o666)
	put(t, path("read-only"), "x", 0o444)
	if err := os.Mkdir(path("model"), 0o777); err != nil {
		t.Fatal(err)
	}
	put(t, path("model/config.json"), "{}", 0o666)
	if err := os.Symlink("data.csv", path("link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path("data.csv"), path("hard")); err != nil {
		t.Fatal(err)
	}
	inputs := []string{path("data.csv"), path("model"), path("not-there")}
	for name, want := range map[string]string{
		"new":               "",
		"model/new":         "",
		"none/new":          "there is no folder " + path("none"),
		"data.csv/new":      "not a directory",
		"model":             "it is a folder; want the name of a file",
		"data.csv":          "this command reads that file; want another one",
		"link":              "this command reads that file; want another one",
		"hard":              "this command reads that file; want another one",
		"model/config.json": "this command reads the files in " + path("model") + "; want a file elsewhere",
		"read-only":         "permission denied",
	} {
		t.Run("path="+name, func(t *testing.T) {
			if name == "read-only" && os.Getuid() == 0 {
				t.Skip("root may write it")
			}
			got := ""
			if err := outfile.Check(path(name), inputs...); err != nil {
				got = err.Error()
			}
			if want != "" {
				want = "outfile: write " + path(name) + ": " + want
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}
