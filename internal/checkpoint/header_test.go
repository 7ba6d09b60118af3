package checkpoint

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fileOf returns a file of the length prefix, header and data.
func fileOf(header, data string) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))) + header + data
}

// testFile parses a file from memory under the path "mem".
func testFile(t *testing.T, header, data string) *File {
	t.Helper()
	f, err := newFile("mem", []byte(fileOf(header, data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error is\n  %v\nwant\n  %s", err, want)
	}
}

// manyTensors returns a header with n tensors without elements.
func manyTensors(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
	}
	b.WriteByte('}')
	return b.String()
}

// TestOpenRefuses opens files each of which breaks one rule.
func TestOpenRefuses(t *testing.T) {
	one := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"a":{"dtype":"%s","shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	two := func(a, b string) string {
		return fmt.Sprintf(`{"a":{"dtype":"U8","shape":[4],"data_offsets":%s},"b":{"dtype":"U8","shape":[4],"data_offsets":%s}}`, a, b)
	}
	known := fmt.Sprint(byAlignment)
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "the file has 0 bytes; a safetensors file starts with 8 bytes of header length"},
		{"7-bytes", "1234567", "the file has 7 bytes; a safetensors file starts with 8 bytes of header length"},
		{"lfs-pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
			`it is not safetensors but a Git LFS pointer; run "git lfs pull" in its repository`},
		{"html", "<!DOCTYPE html>\n<html><head>", `it is not safetensors but an HTML page, it starts with "<!DOCTYPE html>"`},
		{"gzip-without-time", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc", "it is not safetensors but gzip data"},
		{"zip", "PK\x03\x04\x14\x00\x00\x00\x08\x00",
			"it is not safetensors but a zip archive, such as .xlsx of Excel or .pt and .bin of PyTorch"},
		{"pickle", "\x80\x02\x8a\nl\xfc\x9cF\xf9 j", "it is not safetensors but a Python pickle"},
		{"header-too-large", "\x01\xe1\xf5\x05\x00\x00\x00\x00{}",
			"the header length is 100000001 bytes; at most 100000000 is allowed"},
		{"header-length-negative", strings.Repeat("\xff", 8) + "{}",
			"the header length is 18446744073709551615 bytes; at most 100000000 is allowed"},
		{"header-longer-than-file", "\x03\x00\x00\x00\x00\x00\x00\x00{}",
			"the header length is 3 bytes, but only 2 follow; the file is cut off or is not safetensors"},
		{"header-empty", fileOf("", ""),
			"the header is not JSON: the text ends before its JSON value is complete at byte 8; a JSON object is expected"},
		{"header-not-json", fileOf(`{"a":}`, ""), `the header is not JSON: "}" stands where a value must be ` +
			"at byte 13; a JSON object is expected"},
		{"header-not-utf8", fileOf("{\"\xff\":1}", ""),
			"the header is not JSON: invalid UTF-8 byte 0xff at byte 10; a JSON object is expected"},
		{"header-trailing", fileOf(`{} x`, ""),
			`the header is not JSON: "x" follows the end of the JSON value at byte 11; a JSON object is expected`},
		{"header-list", fileOf(`[]`, ""), "the header starts with '['; a safetensors header starts with '{'"},
		{"header-leading-space", fileOf(` {}`, ""), "the header starts with ' '; a safetensors header starts with '{'"},
		{"tensor-not-object", fileOf(`{"a":1}`, ""), `tensor "a" is not a JSON object; {...} is expected`},
		{"name-twice",
			fileOf(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`,
				""),
			`the header has the key "a" twice; every key may appear once`},
		{"name-twice-escaped", fileOf(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0061":{}}`, ""),
			`the header has the key "a" twice; every key may appear once`},
		{"dtype-twice", fileOf(`{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}`, ""),
			`tensor "a" has the key "dtype" twice; every key may appear once`},
		{"metadata-number", fileOf(`{"__metadata__":{"step":3}}`, ""),
			`__metadata__ has a value for "step" that is not a string; strings are expected`},
		{"metadata-null", fileOf(`{"__metadata__":{"step":null}}`, ""),
			`__metadata__ has a value for "step" that is not a string; strings are expected`},
		{"metadata-string", fileOf(`{"__metadata__":"pt"}`, ""), `__metadata__ is not a JSON object; {...} is expected`},
		{"metadata-twice", fileOf(`{"__metadata__":{"a":"","a":""}}`, ""),
			`__metadata__ has the key "a" twice; every key may appear once`},
		{"no-dtype", fileOf(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, "1234"),
			`tensor "a" has no dtype; dtype, shape and data_offsets are expected`},
		{"no-shape", fileOf(`{"a":{"dtype":"F32","data_offsets":[0,4]}}`, "1234"),
			`tensor "a" has no shape; dtype, shape and data_offsets are expected`},
		{"no-offsets", fileOf(`{"a":{"dtype":"F32","shape":[1]}}`, "1234"),
			`tensor "a" has 0 data_offsets; [begin, end] is expected`},
		{"three-offsets", fileOf(one("F32", "[1]", "[0,4,8]"), "1234"),
			`tensor "a" has 3 data_offsets; [begin, end] is expected`},
		{"unknown-key", fileOf(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]}}`, "1234"),
			`tensor "a" has the unknown key "strides"; dtype, shape and data_offsets are expected`},
		{"unknown-case", fileOf(`{"a":{"DType":"F32"}}`, ""),
			`tensor "a" has the unknown key "DType"; dtype, shape and data_offsets are expected`},
		{"unknown-key-long", fileOf(`{"a":{"`+strings.Repeat("\\u001b", 70)+`":1}}`, ""),
			`tensor "a" has the unknown key "` + strings.Repeat(`\x1b`, 60) +
				`"...; dtype, shape and data_offsets are expected`},
		{"name-long", fileOf(`{"`+strings.Repeat("n", 1<<20)+`":1}`, ""),
			`tensor "` + strings.Repeat("n", 60) + `"... is not a JSON object; {...} is expected`},
		{"dimensions", fileOf(one("U8", "[1"+strings.Repeat(",1", 64)+"]", "[0,1]"), "1"),
			`tensor "a" has 65 dimensions; at most 64 are allowed`},
		{"tensors", fileOf(manyTensors(100_001), ""), "the header has more than 100000 tensors, which is the limit"},
		{"dtype-null", fileOf(`{"a":{"dtype":null}}`, ""),
			`tensor "a" has a dtype that is not a string; a name such as "F32" is expected`},
		{"dtype-unknown", fileOf(one("F31", "[1]", "[0,4]"), "1234"),
			`tensor "a" has the unknown dtype "F31"; known are ` + known},
		{"dtype-packed", fileOf(one("F4", "[2]", "[0,1]"), "1"), `tensor "a" has the unknown dtype "F4"; known are ` + known},
		{"shape-negative", fileOf(one("F32", "[-1]", "[0,4]"), "1234"),
			`tensor "a" has -1 in its shape; numbers from 0 are expected`},
		{"shape-float", fileOf(one("F32", "[1.5]", "[0,4]"), "1234"),
			`tensor "a" has a shape that is not a list of whole numbers; e.g. [2, 3] is expected`},
		{"shape-null-item", fileOf(one("F32", "[null]", "[0,0]"), ""),
			`tensor "a" has a shape that is not a list of whole numbers; e.g. [2, 3] is expected`},
		{"shape-past-int64", fileOf(one("F32", "[9223372036854775808]", "[0,4]"), "1234"),
			`tensor "a" has a shape that is not a list of whole numbers; e.g. [2, 3] is expected`},
		{"product-overflow", fileOf(one("F32", "[4294967296,4294967296]", "[0,0]"), ""),
			`tensor "a" of F32[4294967296 4294967296] has more bytes than 64 bits can count; the header is damaged`},
		{"size-overflow", fileOf(one("F32", "[4611686018427387904]", "[0,0]"), ""),
			`tensor "a" of F32[4611686018427387904] has more bytes than 64 bits can count; the header is damaged`},
		{"overflow-before-zero", fileOf(one("F32", "[4294967296,4294967296,0]", "[0,0]"), ""),
			`tensor "a" of F32[4294967296 4294967296 0] has more bytes than 64 bits can count; the header is damaged`},
		{"size-mismatch", fileOf(one("F32", "[2,3]", "[0,20]"), strings.Repeat("x", 20)),
			`tensor "a" of F32[2 3] needs 24 bytes, but its data_offsets span 20; the two must agree`},
		{"offset-negative", fileOf(one("U8", "[4]", "[-4,0]"), "1234"),
			`tensor "a" has -4 in its data_offsets; numbers from 0 are expected`},
		{"offsets-reversed", fileOf(one("U8", "[4]", "[4,0]"), "1234"),
			`tensor "a" begins at byte 4 and ends at 0; the end comes last`},
		{"truncated", fileOf(one("F32", "[2]", "[0,8]"), "1234567"),
			`tensor "a" ends at data byte 8, but the data has 7; the file is cut off or damaged`},
		{"out-of-range", fileOf(one("U8", "[4]", "[9000,9004]"), "1234"),
			`tensor "a" ends at data byte 9004, but the data has 4; the file is cut off or damaged`},
		{"overlap", fileOf(two("[0,4]", "[2,6]"), "123456"),
			`tensor "b" begins at data byte 2, inside "a" which ends at 4; tensors may not overlap`},
		{"same-bytes", fileOf(two("[0,4]", "[0,4]"), "1234"),
			`tensor "b" begins at data byte 0, inside "a" which ends at 4; tensors may not overlap`},
		{"hole", fileOf(two("[5,9]", "[0,4]"), "123456789"),
			`data bytes 4 to 5 before tensor "a" belong to no tensor; the data may have no holes`},
		{"hole-at-start", fileOf(one("U8", "[4]", "[1,5]"), "12345"),
			`data bytes 0 to 1 before tensor "a" belong to no tensor; the data may have no holes`},
		{"trailing-data", fileOf(one("U8", "[4]", "[0,4]"), "12345"),
			"the tensors end at data byte 4, but the data has 5; the data may have no holes"},
		{"data-without-tensors", fileOf("{}", "1"),
			"the tensors end at data byte 0, but the data has 1; the data may have no holes"},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.safetensors")
			if err := os.WriteFile(path, []byte(c.file), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path)
			wantError(t, err, "checkpoint: open "+path+": "+c.want)
		})
	}
}

func TestOpenRefusesPaths(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	wantError(t, err, "checkpoint: open "+dir+": it is a directory; a regular file is expected")
	_, err = Open(dir + "/none")
	wantError(t, err, "checkpoint: open "+dir+"/none: no such file or directory")
}

// TestOpenAccepts opens files that the format allows but that a reader might
// wrongly refuse.
func TestOpenAccepts(t *testing.T) {
	for _, c := range []struct{ name, header, data string }{
		{"no-tensor", `{}`, ""},
		{"most-tensors", manyTensors(100_000), ""},
		// the length prefix is 1f 8b 00 ..., which is how a gzip file starts
		{"looks-like-gzip", "{" + strings.Repeat(" ", 0x8b1f-2) + "}", ""},
		{"metadata-alone", `{"__metadata__":{"format":"pt"}}   `, ""},
		{"scalar", `{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, "1234"},
		{"empty-between", `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"z":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},
			"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, "123"},
		{"unaligned",
			`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}`, "12345"},
		{"any-key-order",
			`{"b":{"data_offsets":[2,4],"shape":[1],"dtype":"F16"},"a":{"data_offsets":[0,2],"shape":[1],"dtype":"F16"}}`, "1234"},
	} {
		t.Run("case="+c.name, func(t *testing.T) {
			if _, err := newFile("mem", []byte(fileOf(c.header, c.data))); err != nil {
				t.Error(err)
			}
		})
	}
}
