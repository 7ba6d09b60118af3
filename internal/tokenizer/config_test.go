package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// compose loads a tokenizer from copies of testdata files and given texts.
func compose(t *testing.T, copies []string, texts map[string]string) *Tokenizer {
	t.Helper()
	dir := t.TempDir()
	for _, path := range copies {
		data, err := os.ReadFile(filepath.Join("testdata", path))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestConfigOverridesTokenizerJSON: a setting of tokenizer_config.json has the
// same effect on both forms of the files. The golden ids compare the plain form
// with the reference.
func TestConfigOverridesTokenizerJSON(t *testing.T) {
	for _, c := range []struct {
		config       string
		json, plain  []string
		changesBasis bool
	}{
		{`{"do_lower_case":false,"tokenize_chinese_chars":false}`, []string{"wordpiece/tokenizer.json"},
			[]string{"wordpiece-files/vocab.txt"}, true},
		{`{"strip_accents":false}`, []string{"wordpiece/tokenizer.json"}, []string{"wordpiece-files/vocab.txt"}, true},
		{`{"strip_accents":null}`, []string{"wordpiece/tokenizer.json"}, []string{"wordpiece-files/vocab.txt"}, false},
		{`{"add_prefix_space":true}`, []string{"bpe/tokenizer.json"},
			[]string{"bpe-files/vocab.json", "bpe-files/merges.txt"}, true},
	} {
		t.Run("config="+c.config, func(t *testing.T) {
			texts := map[string]string{configFile: c.config}
			a, b := compose(t, c.json, texts), compose(t, c.plain, texts)
			if a.Hash() != b.Hash() {
				t.Error("the two forms differ")
			}
			if basis := compose(t, c.json, nil); (basis.Hash() != a.Hash()) != c.changesBasis {
				t.Errorf("changed by the setting: %t, want %t", basis.Hash() != a.Hash(), c.changesBasis)
			}
		})
	}
}

// TestPlainRobertaMask: if no file describes RoBERTa's <mask>, it includes the
// space before it.
func TestPlainRobertaMask(t *testing.T) {
	tok := compose(t, []string{"bpe-files/vocab.json", "bpe-files/merges.txt"}, nil)
	if got, want := tok.Encode(" \t<mask>", nil, 0).IDs, []int32{0, 600, 2}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNamedTokens(t *testing.T) {
	const vocabText = "[UNK]\n<open>\n<shut>\na\nb\n"
	const names = `{"unk_token":"[UNK]","cls_token":"<open>","sep_token":{"content":"<shut>","rstrip":true},"additional_special_tokens":["<x>"]}`
	second := "b"
	for _, c := range []struct {
		name  string
		texts map[string]string
		ids   []int32
		pad   int32
	}{
		{"special_tokens_map", map[string]string{specialMapFile: names}, []int32{1, 3, 2, 4, 5, 0, 2}, -1},
		{"tokenizer_config", map[string]string{configFile: names}, []int32{1, 3, 2, 4, 5, 0, 2}, -1},
		{"added_tokens", map[string]string{specialMapFile: names, addedTokensFile: `{"<x>":6,"<y>":5}`},
			[]int32{1, 3, 2, 4, 6, 5, 2}, -1},
		{"added_tokens_decoder", map[string]string{
			configFile: `{"cls_token":"<open>","sep_token":"<shut>","pad_token":"<x>",
				"added_tokens_decoder":{"5":{"content":"<x>","special":true},"2":{"content":"<shut>"}}}`,
			// added_tokens_decoder overrides this file.
			specialMapFile: `{"cls_token":"a"}`,
		}, []int32{1, 3, 2, 4, 5, 0, 2}, 5},
	} {
		t.Run("file="+c.name, func(t *testing.T) {
			c.texts[vocabTextFile] = vocabText
			tok := compose(t, nil, c.texts)
			pair := second + "<x><y>"
			// <y> is an unknown word for tokenizers that do not list it.
			got := tok.Encode("a", &pair, 0).IDs
			if c.name != "added_tokens" {
				got = compactZeros(got)
			}
			if !slices.Equal(got, c.ids) {
				t.Errorf("got %v, want %v", got, c.ids)
			}
			if tok.PadID() != c.pad {
				t.Errorf("pad id %d, want %d", tok.PadID(), c.pad)
			}
		})
	}
}

// compactZeros replaces the unknown words for "<", "y" and ">" by one.
func compactZeros(ids []int32) []int32 {
	return slices.CompactFunc(ids, func(a, b int32) bool { return a == 0 && b == 0 })
}

// TestNoPostProcessor: without a post_processor, named tokens determine the
// template.
func TestNoPostProcessor(t *testing.T) {
	const file = `{"pre_tokenizer":{"type":"BertPreTokenizer"},"padding":{"pad_id":2},
		"model":{"type":"WordPiece","vocab":{"[UNK]":0,"<c>":1,"<s>":2,"a":3}}}`
	tok := compose(t, nil, map[string]string{tokenizerFile: file, configFile: `{"cls_token":"<c>","sep_token":"<s>"}`})
	second := "a A"
	e := tok.Encode("a", &second, 0)
	// Without a normalizer, "A" is not lower-cased.
	if !slices.Equal(e.IDs, []int32{1, 3, 2, 3, 0, 2}) || !slices.Equal(e.TypeIDs, []int32{0, 0, 0, 1, 1, 1}) {
		t.Errorf("got %v", e)
	}
	if tok.PadID() != 2 {
		t.Errorf("pad id %d", tok.PadID())
	}
}

// TestNormalizedDefault: if a description lacks `normalized`, it is false for a
// special token and true for another one, as in the reference's AddedToken
// class.
func TestNormalizedDefault(t *testing.T) {
	const vocabText = "[UNK]\n[CLS]\n[SEP]\n<Ab>\na\n"
	for _, c := range []struct {
		name, file, text string
		ids              []int32
	}{
		{"mask_token", specialMapFile, `{"mask_token":{"content":"<Ab>"}}`, []int32{1, 3, 0, 0, 0, 2}},
		{"special", configFile, `{"added_tokens_decoder":{"3":{"content":"<Ab>","special":true}}}`,
			[]int32{1, 3, 0, 0, 0, 2}},
		{"other", configFile, `{"added_tokens_decoder":{"3":{"content":"<Ab>"}}}`, []int32{1, 3, 3, 2}},
		{"stated", specialMapFile, `{"mask_token":{"content":"<Ab>","normalized":true}}`, []int32{1, 3, 3, 2}},
	} {
		t.Run("token="+c.name, func(t *testing.T) {
			tok := compose(t, nil, map[string]string{vocabTextFile: vocabText, c.file: c.text})
			if got := tok.Encode("<Ab> <aB>", nil, 0).IDs; !slices.Equal(got, c.ids) {
				t.Errorf("got %v, want %v", got, c.ids)
			}
		})
	}
}
