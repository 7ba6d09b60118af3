package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// goldenDecoders is testdata/golden/decoders.json, written by
// scripts/golden_decoder_tokenizer.py with tokenizers and sentencepiece.
type goldenDecoders struct {
	Texts         []string
	Sentencepiece [][]int32
	Tokenizers    map[string]struct {
		Singles        [][]int32
		Streams        [][]int32
		Decoded, Plain []string
	}
}

func TestDecodersEqualHuggingFace(t *testing.T) {
	var g goldenDecoders
	readGolden(t, "decoders.json", &g)
	if len(g.Tokenizers) != 8 {
		t.Fatalf("%d tokenizers in the golden file; 8 were written", len(g.Tokenizers))
	}
	for name, want := range g.Tokenizers {
		t.Run("tokenizer="+name, func(t *testing.T) {
			tok := mustLoad(t, name)
			for pass := range 2 { // the second pass reads the word cache
				for i, text := range g.Texts {
					if got := tok.Encode(text, nil, 0).IDs; !slices.Equal(got, want.Singles[i]) {
						t.Errorf("pass %d, %q:\n got %v\nwant %v", pass, text, got, want.Singles[i])
					}
				}
			}
			var lists [][]int32
			for i := 0; i < len(want.Singles); i += 3 {
				lists = append(lists, want.Singles[i])
			}
			for i, ids := range append(lists, want.Streams...) {
				if got := tok.Decode(ids); got != want.Decoded[i] {
					t.Errorf("decode %v: got %q, want %q", ids, got, want.Decoded[i])
				}
				if got := tok.Text(ids); got != want.Plain[i] {
					t.Errorf("text of %v: got %q, want %q", ids, got, want.Plain[i])
				}
				s := tok.NewStream(nil, nil)
				got := ""
				for _, id := range ids {
					piece, stopped := s.Push(id)
					if got += piece; stopped {
						t.Error("stopped without a stop string")
					}
				}
				rest, _ := s.Flush()
				if got += rest; got != want.Plain[i] {
					t.Errorf("stream of %v: got %q, want %q", ids, got, want.Plain[i])
				}
			}
		})
	}
}

// TestSentencePiece compares tokenizer.model with SentencePiece itself and with
// the tokenizer.json that was made from it.
func TestSentencePiece(t *testing.T) {
	var g goldenDecoders
	readGolden(t, "decoders.json", &g)
	model, converted := mustLoad(t, "llama-model"), mustLoad(t, "llama")
	for i, text := range g.Texts {
		if got := model.AppendIDs(nil, text, false); !slices.Equal(got, g.Sentencepiece[i]) {
			t.Errorf("%q:\n got %v\nwant %v", text, got, g.Sentencepiece[i])
		}
		if a, b := model.Encode(text, nil, 0).IDs, converted.Encode(text, nil, 0).IDs; !slices.Equal(a, b) {
			t.Errorf("%q: %v from tokenizer.model, %v from tokenizer.json", text, a, b)
		}
	}
	before, after := model.Affixes()
	if !slices.Equal(before, []int32{1}) || len(after) != 0 || model.BOS() != 1 || model.EOS() != 2 {
		t.Errorf("affixes %v and %v, BOS %d, EOS %d", before, after, model.BOS(), model.EOS())
	}
	if _, ok := model.Files()[sentencePieceFile]; !ok {
		t.Error("tokenizer.model is not among the files")
	}
	if w := model.Warnings(); w != nil {
		t.Errorf("warnings %q", w)
	}
}

// TestSentencePieceConfig: the configuration beside tokenizer.model determines
// BOS, EOS and the blank after a special token.
func TestSentencePieceConfig(t *testing.T) {
	for _, c := range []struct {
		config        string
		before, after []int32
		second        string // the token after </s>
	}{
		{`{}`, []int32{1}, nil, "▁the"},
		{`{"add_bos_token": false}`, nil, nil, "▁the"},
		{`{"add_bos_token": true, "add_eos_token": true}`, []int32{1}, []int32{2}, "▁the"},
		{`{"legacy": false}`, []int32{1}, nil, "t"},
	} {
		dir := copyOf(t, "llama-model")
		put(t, dir, configFile, c.config)
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		before, after := tok.Affixes()
		ids := tok.AppendIDs(nil, "the</s>the", true)
		at := slices.Index(ids, 2)
		if !slices.Equal(before, c.before) || !slices.Equal(after, c.after) || at < 0 ||
			!strings.HasPrefix(tok.Token(ids[at+1]), c.second) {
			t.Errorf("%s: affixes %v and %v, %q", c.config, before, after, tok.Decode(ids))
		}
	}
}

// TestAppendIDsPlain: a special token in text of unknown origin is read as
// text.
func TestAppendIDsPlain(t *testing.T) {
	for name, token := range map[string]string{"llama3": "<|im_end|>", "qwen": "<|im_end|>", "llama": "</s>",
		"llama-model": "</s>"} {
		tok := mustLoad(t, name)
		id, ok := tok.ID(token)
		if !ok || !tok.Special(id) || tok.EOS() != id {
			t.Fatalf("%s: %s has id %d, %v; EOS is %d", name, token, id, ok, tok.EOS())
		}
		text := "a" + token + " b"
		if ids := tok.AppendIDs(nil, text, true); !slices.Contains(ids, id) {
			t.Errorf("%s: %v lacks %d", name, ids, id)
		}
		ids := tok.AppendIDs(nil, text, false)
		if slices.Contains(ids, id) || tok.Text(ids) != text {
			t.Errorf("%s: %v, %q", name, ids, tok.Text(ids))
		}
	}
	tok := mustLoad(t, "llama3")
	if id, _ := tok.ID("<tool>"); !slices.Contains(tok.AppendIDs(nil, "a<tool>", false), id) {
		t.Error("an added token that is not special is not matched")
	}
}

// TestStreamStops cuts 300 random outputs at stop strings that begin at any
// place.
func TestStreamStops(t *testing.T) {
	var g goldenDecoders
	readGolden(t, "decoders.json", &g)
	cuts := 0
	for name, golden := range g.Tokenizers {
		tok := mustLoad(t, name)
		for _, ids := range golden.Streams {
			whole := tok.Text(ids)
			for at := 1; at+3 < len(whole); at += 7 {
				for !utf8.RuneStart(whole[at]) {
					at--
				}
				stops := []string{whole[at : at+3], "\n\n\n"}
				want := whole
				for _, stop := range stops {
					if i := strings.Index(whole, stop); i >= 0 {
						want = want[:min(i, len(want))]
					}
				}
				s := tok.NewStream(nil, stops)
				got, done := "", false
				for _, id := range ids {
					piece, stopped := s.Push(id)
					if got += piece; stopped {
						done = true
						break
					}
				}
				rest, stopped := s.Flush()
				if got += rest; got != want || !(done || stopped) {
					t.Fatalf("%s: %q cut at %q: got %q, want %q", name, whole, stops, got, want)
				}
				cuts++
			}
		}
	}
	if cuts < 300 {
		t.Errorf("only %d cuts", cuts)
	}
}

// TestStreamEnds: Ends is true from the token on with which the text of all tokens so far contains a stop string, also
// if Push still holds the bytes of that token back.
func TestStreamEnds(t *testing.T) {
	var g goldenDecoders
	readGolden(t, "decoders.json", &g)
	early := 0
	for name, golden := range g.Tokenizers {
		tok := mustLoad(t, name)
		for _, ids := range golden.Streams {
			for n := 1; n <= len(ids); n += 5 {
				text := tok.Text(ids[:n])
				if text == "" {
					continue
				}
				_, size := utf8.DecodeLastRuneInString(text)
				stop := text[len(text)-size:]
				s, held := tok.NewStream(nil, []string{stop}), true
				for i, id := range ids[:n] {
					_, stopped := s.Push(id)
					if want := strings.Contains(tok.Text(ids[:i+1]), stop); s.Ends() != want {
						t.Fatalf("%s: Ends is %v after %q with the stop string %q", name, !want, tok.Text(ids[:i+1]), stop)
					} else if want && !stopped && held {
						early++
					}
					if held = !stopped; s.Ends() {
						break
					}
				}
			}
		}
	}
	if early == 0 {
		t.Error("Push never held back a stop string")
	}
}

// TestStreamPieces: a character of several byte tokens is returned when it is
// complete, and a stream with a context keeps the space that a new text would
// lose.
func TestStreamPieces(t *testing.T) {
	tok := mustLoad(t, "llama")
	ids := tok.AppendIDs(nil, "🙂 the", false)
	s := tok.NewStream(nil, nil)
	var pieces []string
	for _, id := range ids {
		piece, _ := s.Push(id)
		pieces = append(pieces, piece)
	}
	if got := strings.Join(pieces, "|"); !strings.HasPrefix(got, "|||||🙂 ") {
		t.Errorf("pieces %q", got)
	}
	context := tok.AppendIDs(nil, "the river", false)
	next := tok.AppendIDs(nil, "sings", false)
	s = tok.NewStream(context, nil)
	text := ""
	for _, id := range next {
		piece, _ := s.Push(id)
		text += piece
	}
	if text != " sings" || tok.Text(next) != "sings" {
		t.Errorf("stream %q, text %q", text, tok.Text(next))
	}
}

// TestDecodersEveryCodePoint compares splits and NFC around Unicode scalar
// values with those of the library, for the values that have their own class or
// decomposition. TestEveryCodePoint compares the classes of all values.
func TestDecodersEveryCodePoint(t *testing.T) {
	if testing.Short() {
		t.Skip("decodes every code point, which -short leaves out")
	}
	var g struct{ SHA256 map[string]string }
	readGolden(t, "unicode_decoders.json", &g)
	lengths := func(buf []byte, s string, end wordPattern) []byte {
		for i := 0; i < len(s); {
			next := end(s, i)
			if len(buf) > 0 && buf[len(buf)-1] != 0 {
				buf = append(buf, '\n')
			}
			buf = strconv.AppendInt(buf, int64(utf8.RuneCountInString(s[i:next])), 10)
			i = next
		}
		return buf
	}
	split := func(end wordPattern) func(ch string) []byte {
		return func(ch string) []byte {
			text := strings.ReplaceAll("a@1@!@\n@@ @ '@ '@e '@l 'r@ 'v@ 'l@\r@", "@", ch)
			return lengths(nil, text, end)
		}
	}
	treatments := map[string]func(ch string) []byte{
		"llama3": split(llamaWordEnd),
		"qwen":   split(qwenWordEnd),
		"smollm": func(ch string) (out []byte) {
			text := strings.ReplaceAll("a@1@!@\n@@ @ '@ '@e '@l 'r@ 'v@ 'l@\r@", "@", ch)
			splitNumerals(text, func(part string) { out = lengths(out, part, wordEnd) })
			return out
		},
		"nfc": func(ch string) []byte {
			return []byte(composed(strings.ReplaceAll("@\u0301a@e@\u0323@\u1100@\uac00@", "@", ch)))
		},
	}
	if len(g.SHA256) != len(treatments) {
		t.Fatalf("%d digests for %d treatments", len(g.SHA256), len(treatments))
	}
	for name, treat := range treatments {
		t.Run("treatment="+name, func(t *testing.T) {
			t.Parallel()
			h := sha256.New()
			for r := rune(0); r <= utf8.MaxRune; r++ {
				covered := r < 0x3400 || r >= 0xa000 && r < 0xac00 || r >= 0xd7a4 && r < 0x20000
				if name == "nfc" {
					covered = r < 0x30000
				}
				if covered && utf8.ValidRune(r) {
					h.Write(append(treat(string(r)), 0))
				}
			}
			if got := hex.EncodeToString(h.Sum(nil)); got != g.SHA256[name] {
				t.Errorf("digest %s, want %s", got, g.SHA256[name])
			}
		})
	}
}

// TestLongPiece: a long text without a blank is merged in parts that begin at
// characters.
func TestLongPiece(t *testing.T) {
	tok := mustLoad(t, "llama")
	text := strings.Repeat("日", maxWord/3+5)
	if got := tok.Text(tok.AppendIDs(nil, text, false)); got != text {
		t.Errorf("%d bytes were decoded to %d", len(text), len(got))
	}
}

// TestDecoderErrors: a component that would change ids is refused by name.
func TestDecoderErrors(t *testing.T) {
	for _, c := range []struct{ dir, old, new, want string }{
		{"llama3", `\\p{N}{1,3}`, `\\p{N}{1,4}`, "pre_tokenizer Split has the unknown regular expression \"(?i:'s|'t|'re|"},
		{"llama3", `"behavior":"Isolated"`, `"behavior":"Removed"`,
			`pre_tokenizer Split with behavior "Removed" is not supported; supported: behavior Isolated, invert false`},
		{"llama3", `"Regex":`, `"String":`, "pre_tokenizer Split without a Regex is not supported"},
		{"llama3", `"use_regex":false`, `"use_regex":true`,
			"pre_tokenizer ByteLevel with use_regex true after a Split is not supported"},
		{"llama3", `"type":"Split"`, `"type":"Punctuation"`,
			"pre_tokenizer Punctuation before ByteLevel is not supported; supported: Digits, Split or both"},
		{"smollm", `"individual_digits":true`, `"individual_digits":false`,
			"pre_tokenizer Digits with individual_digits false is not supported"},
		{"qwen", `"type":"NFC"`, `"type":"NFKC"`, "normalizer NFKC is not supported; supported: NFC or none with model BPE"},
		{"llama", `"type":"Prepend"`, `"type":"Lowercase"`,
			`normalizer "Lowercase, Replace" and pre_tokenizer "" are not supported with byte_fallback`},
		{"llama", `"type":"Fuse"`, `"type":"Metaspace"`, "decoder Replace, ByteFallback, Metaspace, Strip is not supported"},
		{"llama", `"<0x0A>"`, `"<0x0a>"`, "byte token <0x0A> is not in the vocabulary; byte_fallback needs all 256"},
		{"llama", `"ignore_merges":false`, `"ignore_merges":true`,
			"model BPE with byte_fallback and ignore_merges is not supported"},
		{"llama-first", `"prepend_scheme":"first"`, `"prepend_scheme":"last"`,
			`pre_tokenizer Metaspace with prepend_scheme "last" is not supported; supported: always, first and never`},
		{"llama-first", `"replacement":"▁"`, `"replacement":"_"`,
			`pre_tokenizer Metaspace with replacement "_" is not supported`},
	} {
		dir := copyOf(t, c.dir)
		text := get(t, dir, tokenizerFile)
		if !strings.Contains(text, c.old) {
			t.Fatalf("%s is not in %s", c.old, c.dir)
		}
		put(t, dir, tokenizerFile, strings.Replace(text, c.old, c.new, 1))
		if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s -> %s: error %v\nwant %s", c.old, c.new, err, c.want)
		}
	}
}

// TestChatTemplate reads the template from both places. A chat_template that cannot be read is an error only for a
// caller that asks for it.
func TestChatTemplate(t *testing.T) {
	dir := copyOf(t, "llama")
	load := func() *Tokenizer {
		tok, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	want := func(template string, found bool) {
		t.Helper()
		if got, ok, err := load().ChatTemplate(); got != template || ok != found || err != nil {
			t.Errorf("template %q, %v, error %v; want %q, %v", got, ok, err, template, found)
		}
	}
	want("", false)
	for config, template := range map[string]string{
		`{"chat_template": "x"}`: "x",
		`{"chat_template": [{"name": "tool_use", "template": "y"}, {"name": "default", "template": "x"}]}`: "x",
	} {
		put(t, dir, configFile, config)
		want(template, true)
	}
	put(t, dir, configFile, `{"chat_template": [{"name": "tool_use", "template": "y"}]}`)
	want("", false)
	for config, fault := range map[string]string{
		`{"chat_template": 7}`: "tokenizer_config.json: chat_template is 7; it must be a template",
		`{"chat_template": [{"name": "a", "template": "x"}, {"name": "a", "template": "y"}]}`: `chat_template has the name "a" twice or empty`,
	} {
		put(t, dir, configFile, config)
		if _, _, err := load().ChatTemplate(); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("error %v, want %s", err, fault)
		}
	}
	put(t, dir, chatTemplateFile, "{{ z }}\n")
	want("{{ z }}\n", true)
	if _, ok := load().Files()[chatTemplateFile]; !ok {
		t.Errorf("%s is not among the files of the tokenizer", chatTemplateFile)
	}
}

// TestTextsEqualHuggingFace encodes the benchmark and instruction files with
// the real tokenizers of LLaMA 2 and GPT-2 and compares digests.
func TestTextsEqualHuggingFace(t *testing.T) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		t.Skip("LOR2C_SHARED is not set; it names a folder with data/eval and data/tokenizers")
	}
	var g struct {
		Files []struct {
			File, Tokenizer, SHA256 string
			Texts                   int
		}
	}
	readGolden(t, "texts.json", &g)
	if len(g.Files) < 500 {
		t.Fatalf("only %d digests", len(g.Files))
	}
	dir := filepath.Join(shared, "data", "tokenizers")
	pieces := t.TempDir()
	put(t, pieces, sentencePieceFile, get(t, filepath.Join(dir, "llama2"), sentencePieceFile))
	loaded := map[string]*Tokenizer{}
	for name, path := range map[string]string{"llama2": filepath.Join(dir, "llama2"), "gpt2": filepath.Join(dir, "gpt2"),
		"sentencepiece": pieces} {
		tok, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		loaded[name] = tok
	}
	for _, f := range g.Files {
		t.Run(fmt.Sprintf("file=%s/tokenizer=%s", f.File, f.Tokenizer), func(t *testing.T) {
			t.Parallel()
			texts := sharedTexts(t, filepath.Join(shared, "data", "eval", f.File))
			if len(texts) != f.Texts {
				t.Fatalf("%d texts, want %d", len(texts), f.Texts)
			}
			tok := loaded[f.Tokenizer]
			encode := func(text string) []int32 { return tok.Encode(text, nil, 0).IDs }
			if f.Tokenizer == "sentencepiece" {
				encode = func(text string) []int32 { return tok.AppendIDs(nil, text, false) }
			}
			if got := digestOf(texts, encode); got != f.SHA256 {
				t.Errorf("digest %s, want %s", got, f.SHA256)
			}
		})
	}
}

// FuzzSentencePiece searches for a tokenizer.model for which Load, or a loaded
// tokenizer, panics or breaks the guarantees about ids.
func FuzzSentencePiece(f *testing.F) {
	model := get(f, filepath.Join("testdata", "llama-model"), sentencePieceFile)
	f.Add([]byte(model))
	f.Add([]byte(model[:len(model)/2]))
	f.Add([]byte("\x0a\x05\x0a\x01a\x18\x01\x12\x05\x18\x02\x98\x02\x01\x1a\x02\x20\x00"))
	f.Add([]byte("IQ== 0\nIg== 1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		put(t, dir, sentencePieceFile, string(data))
		tok, err := Load(dir)
		if err != nil {
			if tok != nil || !strings.HasPrefix(err.Error(), "tokenizer: load "+dir) ||
				strings.ContainsAny(err.Error(), "\x00\x1b\r\n") {
				t.Errorf("%v, error %q", tok != nil, err)
			}
			return
		}
		pair := "b <s> é 日 \t "
		checkEncoding(t, tok, "ab  don't a\u0301 \xff </s> ▁", &pair, 9)
	})
}

// FuzzDecoders searches for a text that a decoder's tokenizer does not decode
// to itself, or for a stream that differs from the whole text.
func FuzzDecoders(f *testing.F) {
	for _, text := range []string{"", " ", "  a", "don't  stop\r\n\n x", "é\u0301日🙂\x80", "</s> x<|im_end|>", "▁a 12345"} {
		f.Add(text, "n")
	}
	tokenizers := map[string]*Tokenizer{}
	for _, name := range []string{"llama3", "qwen", "llama", "llama-model", "llama-first", "llama-never"} {
		tokenizers[name] = mustLoad(f, name)
	}
	f.Fuzz(func(t *testing.T, text, stop string) {
		for name, tok := range tokenizers {
			ids := tok.AppendIDs(nil, text, false)
			want := strings.ToValidUTF8(text, "\ufffd")
			switch name {
			case "qwen":
				want = composed(want)
			case "llama-first":
				want = strings.TrimPrefix(strings.ReplaceAll(want, blank, " "), " ")
			default:
				if strings.HasPrefix(name, "llama-") || name == "llama" {
					want = strings.ReplaceAll(want, blank, " ")
				}
			}
			whole := tok.Text(ids)
			if utf8.ValidString(text) && !strings.Contains(text, "<0x") && !strings.Contains(text, "<tool>") && whole != want {
				t.Errorf("%s: %q came back as %q", name, text, whole)
			}
			if stop == "" {
				continue
			}
			cut, _, _ := strings.Cut(whole, stop)
			s := tok.NewStream(nil, []string{stop})
			got := ""
			for _, id := range ids {
				piece, _ := s.Push(id)
				got += piece
			}
			rest, _ := s.Flush()
			if got += rest; got != cut {
				t.Errorf("%s: %q cut at %q: got %q, want %q", name, whole, stop, got, cut)
			}
		}
	})
}

// BenchmarkDecoders encodes one megabyte of instructions.
func BenchmarkDecoders(b *testing.B) {
	shared := os.Getenv("LOR2C_SHARED")
	if shared == "" {
		b.Skip("LOR2C_SHARED is not set; it names a folder with data/eval and data/tokenizers")
	}
	texts := sharedTexts(b, filepath.Join(shared, "data", "eval", "alpaca", "alpaca_small_2000.json"))
	size := int64(0)
	for _, text := range texts {
		size += int64(len(text))
	}
	for _, name := range []string{"llama2", "gpt2"} {
		tok, err := Load(filepath.Join(shared, "data", "tokenizers", name))
		if err != nil {
			b.Fatal(err)
		}
		b.Run("tokenizer="+name, func(b *testing.B) {
			b.SetBytes(size)
			var ids []int32
			for b.Loop() {
				for _, text := range texts {
					ids = tok.AppendIDs(ids[:0], text, false)
				}
			}
		})
	}
}
