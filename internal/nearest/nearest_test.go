package nearest_test

import (
	"testing"

	"github.com/lor2c/lor2c/internal/nearest"
)

func TestName(t *testing.T) {
	names := []string{"train", "dev", "test", "Text"}
	for got, want := range map[string]string{
		"tset":   "test", // 2 edits of 4
		"TRIAN":  "train",
		"text":   "Text",
		"tess":   "test",
		"tesst":  "test",
		"devel":  "",    // 2 edits of 3
		"de":     "dev", // 1 edit of 3
		"texs":   "Text",
		"tex":    "Text",
		"tett":   "test", // equally near to "text", which comes later
		"valid":  "",
		"":       "",
		"abcdef": "",
	} {
		t.Run("got="+got, func(t *testing.T) {
			name, near := nearest.Name(got, names)
			if near != (want != "") || near && name != want {
				t.Errorf("%q, %t; want %q", name, near, want)
			}
		})
	}
	if name, near := nearest.Name("dev", nil); near {
		t.Errorf("%q is near among no names", name)
	}
}
