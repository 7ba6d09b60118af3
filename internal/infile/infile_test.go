package infile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/infile"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error is %v; want %s", err, want)
	}
}

func TestRead(t *testing.T) {
	path := write(t, "12345")
	for _, limit := range []int64{5, 6, infile.Config} {
		got, err := infile.Read(path, limit)
		if err != nil || string(got) != "12345" {
			t.Errorf("limit %d: %q, %v", limit, got, err)
		}
	}
	_, err := infile.Read(path, 4)
	wantError(t, err, "it has 5 bytes; at most 4 bytes is allowed for such a file")
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Skip(err)
	}
	if got, err := infile.Read(link, 5); err != nil || string(got) != "12345" {
		t.Errorf("through a link: %q, %v", got, err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := infile.Read(dir, 5)
	wantError(t, err, "it is a directory; a regular file is expected")
	_, err = infile.Read(filepath.Join(dir, "none"), 5)
	wantError(t, err, "no such file or directory")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
	// The file is sparse and takes no space on the disk, but reading it would fill
	// the memory.
	path := write(t, "")
	if err := os.Truncate(path, 5<<30+1<<29); err != nil {
		t.Skip(err)
	}
	_, err = infile.Read(path, infile.Config)
	wantError(t, err, "it has 5.5 GiB; at most 1 MiB is allowed for such a file")
}

func TestDescribe(t *testing.T) {
	for _, c := range []struct{ head, want string }{
		{"<!DOCTYPE html>\r\n<html>", `an HTML page, it starts with "<!DOCTYPE html>"`},
		{"\n  <!doctype HTML PUBLIC " + strings.Repeat("x", 200),
			`an HTML page, it starts with "<!doctype HTML PUBLIC ` + strings.Repeat("x", 38) + `"...`},
		{"\ufeff<html lang=en>", `an HTML page, it starts with "<html lang=en>"`},
		{`<?xml version="1.0"?><Error>`, `an XML document, it starts with "<?xml version=\"1.0\"?><Error>"`},
		{"version https://git-lfs.github.com/spec/v1\noid", `a Git LFS pointer; run "git lfs pull" in its repository`},
		{"\x1f\x8b\x08\x00", "gzip data"},
		{"PK\x03\x04\x14", "a zip archive, such as .xlsx of Excel or .pt and .bin of PyTorch"},
		{"\x80\x02}q\x00", "a Python pickle"},
		{"GGUF\x03\x00", "a GGUF file"},
		{"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":", "a safetensors file"},
		{"\x00\x00\x00", "a file of NUL bytes"},
		{"ab\x00c", "binary data, it contains NUL bytes"},
		{"\xff\xfea\x00", "UTF-16 text"},
		{`{"a": 1}`, ""},
		{"plain text", ""},
		{"", ""},
	} {
		if got := infile.Describe([]byte(c.head)); got != c.want {
			t.Errorf("%q is %q; want %q", c.head, got, c.want)
		}
		textOnly := strings.Contains(c.want, "NUL bytes") || c.want == "a safetensors file"
		if got := infile.DescribeBinary([]byte(c.head)); textOnly == (got == c.want) && c.want != "" {
			t.Errorf("%q is %q as binary data; as text it is %q", c.head, got, c.want)
		}
	}
}
