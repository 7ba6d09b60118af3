package tokenizer

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

// FuzzLoadTokenizerJSON searches for a file for which Load, or a loaded
// tokenizer, panics or breaks the guarantees about ids.
func FuzzLoadTokenizerJSON(f *testing.F) {
	bad, err := filepath.Glob(filepath.Join("testdata", "bad", "*", tokenizerFile))
	if err != nil || len(bad) < 20 {
		f.Fatalf("%d seeds, %v", len(bad), err)
	}
	for _, path := range bad {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checkLoading(t, map[string][]byte{tokenizerFile: data}, "ab  don't a\u0301 \xff <mask> [MASK]",
			"b <s> [CLS] é 日 \t ")
	})
}

// FuzzEncode searches for a text for which an encoding breaks its guarantees,
// or that byte-level BPE does not decode to itself.
func FuzzEncode(f *testing.F) {
	for _, text := range []string{"", " ", "①\u0301ﬁ ▁", "don't  stop\n", "a<mask> b", "é\u0301日\x80\xe2\x82",
		"[CLS] x</s>"} {
		f.Add(text, "pair "+text, 5)
	}
	tokenizers := []*Tokenizer{mustLoad(f, "bpe"), mustLoad(f, "bpe-added"), mustLoad(f, "bpe-drop"),
		mustLoad(f, "wordpiece"), mustLoad(f, "wordpiece-added"), mustLoad(f, "unigram"), mustLoad(f, "unigram-classic"),
		mustLoad(f, "unigram-bytes")}
	f.Fuzz(func(t *testing.T, a, b string, limit int) {
		for _, tok := range tokenizers {
			checkEncoding(t, tok, a, &b, limit)
			checkEncoding(t, tok, a, nil, limit)
		}
		bpe := tokenizers[0]
		if utf8.ValidString(a) {
			for _, p := range bpe.added.literal.patterns {
				if p.LStrip && containsToken(a, p.text) {
					return // an added token that includes white space
				}
			}
			if got := bpe.Decode(bpe.Encode(a, nil, 0).IDs); got != "<s>"+a+"</s>" {
				t.Errorf("%q came back as %q", a, got)
			}
		}
	})
}

func containsToken(text, token string) bool {
	s := newSplitter([]pattern{{text: token}})
	found := false
	s.split(text, func(_ string, id int32) { found = found || id == 0 })
	return found
}

func checkEncoding(t *testing.T, tok *Tokenizer, a string, b *string, limit int) {
	t.Helper()
	e := tok.Encode(a, b, limit)
	if len(e.IDs) != len(e.TypeIDs) {
		t.Fatalf("%d ids, %d type ids", len(e.IDs), len(e.TypeIDs))
	}
	tmpl := tok.single
	if b != nil {
		tmpl = tok.pair
	}
	if limit > 0 && len(e.IDs) > max(limit, tmpl.specials) {
		t.Fatalf("%d ids with max_length %d", len(e.IDs), limit)
	}
	for _, id := range e.IDs {
		if tok.Token(id) == "" {
			t.Fatalf("%q: id %d has no token", a, id)
		}
	}
	tok.Decode(e.IDs)
}

// FuzzLoadFairseq does what FuzzLoadTokenizerJSON does for a SentencePiece model of XLM-RoBERTa, whose map of
// characters may be damaged in places that Load does not look at.
func FuzzLoadFairseq(f *testing.F) {
	for _, name := range []string{"unigram-camembert", "bad/fairseq-class", "bad/fairseq-damaged"} {
		data, err := os.ReadFile(filepath.Join("testdata", filepath.FromSlash(name), fairseqFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files := map[string][]byte{fairseqFile: data, configFile: []byte(`{"tokenizer_class": "XLMRobertaTokenizer"}`)}
		checkLoading(t, files, "ab  don't a\u0301 \xff <mask> ①", "é e\u0301 œ ’ 日 \t ")
	})
}

// checkLoading loads the tokenizer of a directory with the given files. If that succeeds, it checks the encoding of a
// text and a pair.
func checkLoading(t *testing.T, files map[string][]byte, text, pair string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tok, err := Load(dir)
	if err != nil {
		if tok != nil {
			t.Error("both a tokenizer and an error")
		}
		return
	}
	checkEncoding(t, tok, text, &pair, 9)
}
