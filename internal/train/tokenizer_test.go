package train

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// withTemplate returns a copy of the demo's model in which the post_processor
// of the tokenizer puts n special tokens of a type before the text.
func withTemplate(t *testing.T, n, typeID int) string {
	t.Helper()
	dir := demoModel(t, `"hidden_size"`, `"hidden_size"`)
	path := filepath.Join(dir, "tokenizer.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]any
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	type piece map[string]map[string]any
	special := piece{"SpecialToken": {"id": "<s>", "type_id": typeID}}
	a, b := piece{"Sequence": {"id": "A", "type_id": 0}}, piece{"Sequence": {"id": "B", "type_id": 0}}
	file["post_processor"] = map[string]any{
		"type": "TemplateProcessing", "single": append(slices.Repeat([]piece{special}, n), a), "pair": []piece{special, a, b},
		"special_tokens": map[string]any{"<s>": map[string]any{"id": "<s>", "ids": []int{0}, "tokens": []string{"<s>"}}},
	}
	if raw, err = json.Marshal(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestLoadTemplate: special tokens that do not fit the model are an error
// before the examples are encoded.
func TestLoadTemplate(t *testing.T) {
	onlyLong(t, true)
	for _, c := range []struct {
		name      string
		n, typeID int
		want      string
	}{
		{"one", 1, 0, ""},
		{"room-for-one", 31, 0, ""},
		{"no-room", 32, 0, "adds 32 special tokens to a text, and data.max_length is 32; want at least 33"},
		{"many", 100_000, 0, "adds 100000 special tokens to a text, and data.max_length is 32; want at least 100001"},
		{"type", 1, 7, "gives tokens the type 7, and type_vocab_size is 1; use tokenizer and config.json of the same model"},
	} {
		t.Run("template="+c.name, func(t *testing.T) {
			config := demoConfig(t, t.TempDir(), 8)
			config.Model = withTemplate(t, c.n, c.typeID)
			s, err := OpenSession(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.load(t.Context(), "train", true)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if want := "train: load " + config.Data.Train + ":2: the tokenizer in " + config.Model + " " + c.want; err == nil ||
				err.Error() != want {
				t.Errorf("error %v\nwant  %s", err, want)
			}
		})
	}
}

// TestTokenizerCopies: a checkpoint contains the tokenizer files that were
// read, with the bytes that were read, and no other file of their directory.
func TestTokenizerCopies(t *testing.T) {
	c := demoConfig(t, t.TempDir(), 8)
	c.Model, c.Train.Epochs = demoModel(t, `"hidden_size"`, `"hidden_size"`), 1
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a private key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(c.Model, "vocab.txt")); err != nil {
		t.Skip(err)
	}
	got, err := Run(context.Background(), c, quiet(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"final", "best"} {
		copied, err := os.ReadFile(filepath.Join(got.Out, dir, "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		if original, err := os.ReadFile(filepath.Join(c.Model, "tokenizer.json")); err != nil ||
			string(copied) != string(original) {
			t.Errorf("%s: tokenizer.json differs from the base's, %v", dir, err)
		}
		if _, err := os.Lstat(filepath.Join(got.Out, dir, "vocab.txt")); !os.IsNotExist(err) {
			t.Errorf("%s: vocab.txt was copied, or %v", dir, err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(got.Out, "log.txt"))
	if err != nil || !strings.Contains(string(raw), "classification head: new; the base has none") {
		t.Errorf("the log does not mention the head: %v\n%s", err, raw)
	}
}
