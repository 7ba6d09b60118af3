package infile

import (
	"bytes"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// signatures are the first bytes of files that people often store under the
// name of another kind, each with a description. If two signatures start with
// the same bytes, the longer one comes first.
var signatures = []struct{ head, what string }{
	{"version https://git-lfs", `a Git LFS pointer; run "git lfs pull" in its repository`},
	{"\x1f\x8b", "gzip data"},
	{"PK\x03\x04", "a zip archive, such as .xlsx of Excel or .pt and .bin of PyTorch"},
	{"GGUF", "a GGUF file"},
	{"\x80\x02", "a Python pickle"},
	{"\x80\x03", "a Python pickle"},
	{"\x80\x04", "a Python pickle"},
	{"\x80\x05", "a Python pickle"},
	{"PAR1", "a parquet file"},
	{"\x89HDF\r\n\x1a\n", "an HDF5 file"},
	{"%PDF-", "a PDF document"},
	{"\x89PNG\r\n\x1a\n", "a PNG image"},
	{"BZh", "bzip2 data"},
	{"\xfd7zXZ\x00", "xz data"},
	{"\x28\xb5\x2f\xfd", "zstd data"},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive"},
	{"\x7fELF", "a program"},
	{"\xff\xfe", "UTF-16 text"},
	{"\xfe\xff", "UTF-16 text"},
}

// Describe returns a description of a file that should be text, such as JSON or
// CSV, and is something else, for example "an HTML page, it starts with
// \"<!DOCTYPE html>\"". head is the start of the file; 64 bytes are enough. The
// result is meant to follow "it is" or "it is not JSON but" in an error. It is
// empty if head is no known kind of file.
func Describe(head []byte) string {
	switch what := DescribeBinary(head); {
	case what != "":
		return what
	case len(head) > 8 && head[8] == '{' && bytes.Equal(head[4:8], make([]byte, 4)):
		return "a safetensors file"
	case len(head) > 0 && len(bytes.Trim(head, "\x00")) == 0:
		return "a file of NUL bytes"
	case bytes.IndexByte(head, 0) >= 0:
		return "binary data, it contains NUL bytes"
	}
	return ""
}

// DescribeBinary does what [Describe] does for a file that should be binary, in
// which NUL bytes are normal.
func DescribeBinary(head []byte) string {
	for _, s := range signatures {
		if bytes.HasPrefix(head, []byte(s.head)) {
			return s.what
		}
	}
	text := strings.TrimLeft(strings.TrimPrefix(string(head[:min(len(head), 256)]), "\ufeff"), " \t\r\n")
	start, _, _ := strings.Cut(text, "\n")
	lower := strings.ToLower(start)
	switch {
	case strings.HasPrefix(lower, "<!doctype html"), strings.HasPrefix(lower, "<html"):
		return "an HTML page, it starts with " + place.Quote(strings.TrimRight(start, "\r"))
	case strings.HasPrefix(lower, "<?xml"), strings.HasPrefix(lower, "<error"):
		return "an XML document, it starts with " + place.Quote(strings.TrimRight(start, "\r"))
	}
	return ""
}
