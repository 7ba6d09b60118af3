package tokenizer

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// copyOf returns a copy of a tokenizer of testdata, which the test may change.
func copyOf(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, dir, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestLoadAgain: an unchanged directory gives the same tokenizer, and any change of a file another one.
func TestLoadAgain(t *testing.T) {
	dir := copyOf(t, "bpe")
	load := func(dir string) *Tokenizer {
		t.Helper()
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	last := load(dir)
	if load(dir) != last {
		t.Error("an unchanged tokenizer was read again")
	}
	for _, change := range []struct {
		what string
		make func()
	}{
		{"changed", func() { put(t, dir, tokenizerFile, get(t, dir, tokenizerFile)+"\n") }},
		{"new", func() { put(t, dir, chatTemplateFile, "x") }},
		{"removed", func() { os.Remove(filepath.Join(dir, chatTemplateFile)) }},
		{"emptied", func() { put(t, dir, chatTemplateFile, "") }},
	} {
		change.make()
		now := load(dir)
		if now == last {
			t.Errorf("a file was %s, and the tokenizer is the one before", change.what)
		}
		last = now
	}
	if load(copyOf(t, "bpe")) == last {
		t.Error("another directory gives the same tokenizer")
	}
	put(t, dir, tokenizerFile, "{")
	if _, err := Load(dir); err == nil {
		t.Error("a damaged file gives the tokenizer before")
	}
}

// TestPairOf: the short way gives what json.Unmarshal gives, or nothing.
func TestPairOf(t *testing.T) {
	for raw, want := range map[string][2]string{
		`["a","b"]`: {"a", "b"}, "[ \"a b\" ,\n\"Ġc\"\t]": {"a b", "Ġc"}, `["",""]`: {}, `["[","]"]`: {"[", "]"},
	} {
		if left, right, ok := pairOf([]byte(raw)); !ok || left != want[0] || right != want[1] {
			t.Errorf("%s: %q, %q, %t", raw, left, right, ok)
		}
	}
	for _, raw := range []string{
		`["a"]`, `["a","b","c"]`, `[["a"],"b"]`, `["a",1]`, `["\u0061","b"]`, `"a"`, `["a",["b"]]`,
	} {
		if left, right, ok := pairOf([]byte(raw)); ok {
			t.Errorf("%s is the pair %q, %q", raw, left, right)
		}
	}
}

// TestLoadStrict changes one file of a valid tokenizer.
func TestLoadStrict(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `, {"content": "<%d>"}`, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, dir, file, old, new, want string }{
		{"model-twice", "bpe", tokenizerFile, "", `,"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}`,
			`the object has the key "model" twice; every key may appear once; want the JSON that transformers writes`},
		{"capitals", "bpe", tokenizerFile, "", `,"Added_Tokens":[]}`,
			`the key "Added_Tokens" is "added_tokens" in another case; want it written so; want the JSON that transformers writes`},
		{"capitals-in-model", "bpe", tokenizerFile, `"type":"BPE"`, `"Type":"BPE"`,
			`the key "Type" is "type" in another case`},
		{"capitals-in-token", "bpe", tokenizerFile, `"content":"<s>"`, `"Content":"<s>"`,
			"is neither text nor an added token's description"},
		{"escape", "bpe", tokenizerFile, `"type":"BPE"`, `"type": "$(id)\u001b[31m"`,
			`model "$(id)\x1b[31m" is not supported; supported: BPE, WordPiece and Unigram`},
		{"long-type", "bpe", tokenizerFile, `"type":"BPE"`, `"type": "` + strings.Repeat("x", 1<<16) + `"`,
			`model "` + strings.Repeat("x", 60) + `"... is not supported`},
		{"html", "bpe", tokenizerFile, "*", "<!doctype html><title>404</title>",
			`it is not a tokenizer's file but an HTML page, it starts with "<!doctype html><title>404</title>"`},
		{"many-added", "bpe", tokenizerFile, `"added_tokens":[`, `"added_tokens": [{"content": "<0>"}` + many(10_000) + `, `,
			"added tokens; at most 10000 are supported"},
		{"config-twice", "wordpiece-files", configFile, "*", `{"do_lower_case": true, "do_lower_case": false}`,
			`tokenizer_config.json:1:39: the object has the key "do_lower_case" twice`},
		{"config-capitals", "wordpiece-files", configFile, "*", `{"DO_LOWER_CASE": false}`,
			`tokenizer_config.json:1:16: the key "DO_LOWER_CASE" is "do_lower_case" in another case`},
		{"map-twice", "bpe-files", specialMapFile, "*", `{"cls_token": "<s>", "cls_token": "</s>"}`,
			`special_tokens_map.json:1:32: the object has the key "cls_token" twice`},
		{"added-twice", "bpe-files", addedTokensFile, "*", `{"<new>": 3, "<new>": 4}`,
			`added_tokens.json:1:20: the object has the key "<new>" twice`},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			dir := copyOf(t, c.dir)
			text := c.new
			if c.old != "*" {
				old := get(t, dir, c.file)
				if text = strings.Replace(old, c.old, c.new, 1); c.old == "" {
					text = strings.TrimSuffix(strings.TrimSpace(old), "}") + c.new
				}
				if text == old {
					t.Fatalf("%s is not in %s", c.old, c.file)
				}
			}
			put(t, dir, c.file, text)
			_, err := Load(dir)
			if err == nil || !strings.HasPrefix(err.Error(), "tokenizer: load "+dir) || !strings.Contains(err.Error(), c.want) ||
				strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 500 {
				t.Errorf("error %.600v\nwant  %s", err, c.want)
			}
		})
	}
}

// TestLoadLinks: a link to a file of another kind is not followed.
func TestLoadLinks(t *testing.T) {
	dir := copyOf(t, "bpe-files")
	secret := filepath.Join(t.TempDir(), "credentials.json")
	put(t, filepath.Dir(secret), "credentials.json", `{"key": "secret"}`)
	if err := os.Remove(filepath.Join(dir, configFile)); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, configFile)); err != nil {
		t.Skip(err)
	}
	_, err := Load(dir)
	if want := "tokenizer: load " + filepath.Join(dir, configFile) + ": it is a link to "; err == nil ||
		!strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// TestFiles: Files returns only the files that determine the tokenizer.
func TestFiles(t *testing.T) {
	for name, want := range map[string][]string{
		"bpe":       {tokenizerFile},
		"bpe-files": {mergesFile, vocabJSONFile},
	} {
		dir := copyOf(t, name)
		put(t, dir, vocabTextFile, "a secret")
		put(t, dir, "notes.txt", "more secrets")
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{configFile, specialMapFile, addedTokensFile} {
			if _, err := os.Stat(filepath.Join(dir, file)); err == nil && tok.Files()[file] != nil {
				want = append(want, file)
			}
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(tok.Files())); !slices.Equal(got, want) {
			t.Errorf("%s: files %q; want %q", name, got, want)
		}
		for file, content := range tok.Files() {
			if string(content) != get(t, dir, file) {
				t.Errorf("%s: %s has other content", name, file)
			}
		}
	}
}

// TestWarnings removes the end of the list of merges.
func TestWarnings(t *testing.T) {
	dir := copyOf(t, "bpe-files")
	tok, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if tok.Warnings() != nil {
		t.Errorf("the whole tokenizer: %q", tok.Warnings())
	}
	lines := strings.SplitAfter(get(t, dir, mergesFile), "\n")
	put(t, dir, mergesFile, strings.Join(lines[:len(lines)/2], ""))
	half, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, line := range lines[len(lines)/2:] {
		if strings.TrimSpace(line) != "" {
			lost++
		}
	}
	want := fmt.Sprintf("no text can give %d of the tokenizer's %d tokens", tok.unmade+lost, tok.VocabSize())
	if w := half.Warnings(); len(w) != 1 || !strings.Contains(w[0], want) {
		t.Errorf("half the merges: %q; want %q", w, want)
	}
}

// TestLongWord: a text without a space that is longer than the longest merged
// word keeps every byte.
func TestLongWord(t *testing.T) {
	tok := mustLoad(t, "bpe")
	text := strings.Repeat("ab", maxWord/2+5)
	if got := tok.Decode(tok.Encode(text, nil, 0).IDs); got != "<s>"+text+"</s>" {
		t.Errorf("%d bytes came back as %d", len(text), len(got))
	}
}

// FuzzLoadFiles searches for vocabularies and merges for which Load panics or
// breaks the guarantees about ids.
func FuzzLoadFiles(f *testing.F) {
	dir := filepath.Join("testdata", "bpe-files")
	vocab, merges := get(f, dir, vocabJSONFile), get(f, dir, mergesFile)
	f.Add([]byte(vocab), []byte(merges), []byte("{}"))
	f.Add([]byte(`{"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "b": 4, "ab": 5}`), []byte("#version\na b\n"),
		[]byte(`{"cls_token": "a"}`))
	f.Add([]byte("[UNK]\n[CLS]\n[SEP]\na\n##b\n"), []byte(""),
		[]byte(`{"added_tokens_decoder": {"5": {"content": "<x>"}}}`))
	f.Fuzz(func(t *testing.T, vocab, merges, config []byte) {
		for _, kind := range []string{vocabJSONFile, vocabTextFile} {
			dir := t.TempDir()
			for name, content := range map[string][]byte{kind: vocab, mergesFile: merges, configFile: config} {
				put(t, dir, name, string(content))
			}
			tok, err := Load(dir)
			if err != nil {
				if tok != nil || !strings.HasPrefix(err.Error(), "tokenizer: load "+dir) ||
					strings.ContainsAny(err.Error(), "\x00\x1b\r") {
					t.Errorf("%v, error %q", tok != nil, err)
				}
				continue
			}
			pair := "b <s> [CLS] é 日 \t "
			checkEncoding(t, tok, "ab  don't a\u0301 \xff <mask> [MASK]", &pair, 9)
		}
	})
}
