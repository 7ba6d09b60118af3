package identity

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sum = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

func whole() Manifest {
	return Manifest{
		Format:   format,
		Base:     Base{sum, sum, map[string]string{"hidden_size": "128", "hidden_act": `"gelu"`}},
		Labels:   []string{"no", "yes"},
		Data:     map[string]Split{"train": {40, sum}, "dev": {24, sum}},
		Settings: map[string]string{"seed": "17", "optim.lr": "0.001"},
	}
}

// TestRoundTrip: what was written is read back, and a directory without the
// file is not an error.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	if got, err := Read(dir); got != nil || err != nil {
		t.Errorf("without a file: %v, %v", got, err)
	}
	m := whole()
	m.Labels = []string{} // regression, which must not become "not known"
	if err := m.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&m, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestCompare changes one part at a time.
func TestCompare(t *testing.T) {
	other := strings.Repeat("f", 64)
	for name, c := range map[string]struct {
		change func(was, now *Manifest)
		want   []string
	}{
		"equal": {func(_, _ *Manifest) {}, nil},
		"weights": {func(_, now *Manifest) { now.Base.Weights = other },
			[]string{"weights: SHA-256 000102030405 in the run, SHA-256 ffffffffffff now"}},
		"tokenizer": {func(_, now *Manifest) { now.Base.Tokenizer = other },
			[]string{"tokenizer: SHA-256 000102030405 in the run, SHA-256 ffffffffffff now"}},
		"config": {func(_, now *Manifest) {
			now.Base.Config = map[string]string{"hidden_size": "128", "hidden_act": `"relu"`}
		}, []string{`config.json: hidden_act: "gelu" in the run, "relu" now`}},
		"order": {func(_, now *Manifest) { now.Labels = []string{"yes", "no"} },
			[]string{`label of class 0: "no" in the run, "yes" now`}},
		"classes": {func(_, now *Manifest) { now.Labels = append(now.Labels, "maybe") },
			[]string{"labels: 2 classes in the run, 3 classes now"}},
		"kind": {func(_, now *Manifest) { now.Labels = []string{} },
			[]string{"labels: 2 classes in the run, none (regression) now"}},
		"row": {func(_, now *Manifest) { now.Data["train"] = Split{41, other} },
			[]string{"data train: 40 examples, SHA-256 000102030405 in the run, 41 examples, SHA-256 ffffffffffff now"}},
		"split": {func(_, now *Manifest) { delete(now.Data, "dev") },
			[]string{"data dev: 24 examples, SHA-256 000102030405 in the run, no such split now"}},
		"settings": {func(_, now *Manifest) { now.Settings = map[string]string{"seed": "3", "optim.lr": "1"} },
			[]string{"optim.lr: 0.001 in the run, 1 now", "seed: 17 in the run, 3 now"}},
		"new key": {func(_, now *Manifest) { now.Settings["optim.later"] = "1" }, nil},
		"old key": {func(was, _ *Manifest) { was.Settings["optim.gone"] = "1" },
			[]string{"optim.gone: 1 in the run, not known now"}},
		"unknown": {func(was, now *Manifest) {
			*was = Manifest{Labels: was.Labels}
			now.Base.Weights = other
		}, nil},
	} {
		t.Run("change="+name, func(t *testing.T) {
			was, now := whole(), whole()
			c.change(&was, &now)
			var got []string
			for _, d := range Compare(was, now) {
				got = append(got, d.from("run"))
				if base := name == "weights" || name == "tokenizer" || name == "config"; d.Base != base {
					t.Errorf("%s belongs to the base: %v; want %v", d.Name, d.Base, base)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
	if got := (Manifest{}).Unchecked(); !reflect.DeepEqual(got,
		[]string{"weights", "tokenizer", "config.json", "labels", "data", "settings"}) {
		t.Errorf("of nothing %q is unchecked", got)
	}
}

// TestRefuse reads files that Write cannot have written.
func TestRefuse(t *testing.T) {
	dir := t.TempDir()
	if err := whole().Write(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, File)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ from, to, want string }{
		{`"format": 1`, `"format": 2`, "its format is 2; this lor2c reads 1"},
		{`"format": 1`, `"format": 1, "format": 1`, `the key "format" twice`},
		{`"labels"`, `"Labels"`, `the key "Labels" is "labels" in another case`},
		{`"labels"`, `"label"`, `the key "label" is not known`},
		{`"examples": 24`, `"examples": -24`, "data.dev has -24 examples"},
		{`"examples": 24`, `"examples": "24"`, "identity.json:17:22: data.examples holds a JSON string"},
		{`"weights_sha256": "00`, `"weights_sha256": "0`, `base.weights_sha256 is "0010203`},
		{`"seed": "17"`, `"seed": 17`, "holds a JSON number, not a string"},
		{string(raw), "null", "its format is 0"},
		{string(raw), `{"format": 1}`, "it does not contain weights, tokenizer, config.json, labels, data, settings"},
		{string(raw), "", "the text ends before its JSON value is complete"},
	} {
		text := strings.Replace(string(raw), c.from, c.to, 1)
		if text == string(raw) {
			t.Fatalf("%s is not in the file", c.from)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s for %s: error is %v; want one line with %q", c.to, c.from, err, c.want)
		}
	}
}

// FuzzParse: every text is either refused with an error of one line, or is a
// manifest that does not change when it is written and read back.
func FuzzParse(f *testing.F) {
	dir := f.TempDir()
	if err := whole().Write(dir); err != nil {
		f.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("null"))
	f.Add([]byte(`{"format": 1, "labels": []}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parse("file", text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has a line break: %q", err)
			}
			return
		}
		dir := t.TempDir()
		if err := m.Write(dir); err != nil {
			t.Fatal(err)
		}
		again, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if d := Compare(*m, *again); d != nil {
			t.Errorf("differences after a round trip: %v", d)
		}
	})
}
