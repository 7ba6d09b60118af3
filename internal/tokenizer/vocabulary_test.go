package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestVocabularyScores: SentencePiece's algorithm encodes with the scores as the tokenizer does, whether they are those
// of tokenizer.model or made from the merges of tokenizer.json.
func TestVocabularyScores(t *testing.T) {
	var g goldenDecoders
	readGolden(t, "decoders.json", &g)
	for _, name := range []string{"llama-model", "llama"} {
		t.Run("tokenizer="+name, func(t *testing.T) {
			tok := mustLoad(t, name)
			v, err := tok.Vocabulary()
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]int32{}
			for id, token := range v.Tokens {
				ids[token] = int32(id)
			}
			for _, text := range g.Texts {
				if strings.Contains(text, "<") || text == "" || !utf8.ValidString(text) {
					continue // added tokens are found before
				}
				got := mergedByScore(v, ids, blank+strings.ReplaceAll(text, " ", blank))
				if want := tok.AppendIDs(nil, text, false); !slices.Equal(got, want) {
					t.Errorf("%q:\n got %v\nwant %v", text, got, want)
				}
			}
		})
	}
}

// mergedByScore merges the neighbours whose result has the highest score, the leftmost of equal ones, until none form a
// piece, and spells what is no piece in bytes.
func mergedByScore(v *Vocabulary, ids map[string]int32, text string) (out []int32) {
	parts := strings.Split(text, "")
	for {
		best, at := float32(0), -1
		for i := range len(parts) - 1 {
			if id, ok := ids[parts[i]+parts[i+1]]; ok && (at < 0 || v.Scores[id] > best) {
				best, at = v.Scores[id], i
			}
		}
		if at < 0 {
			break
		}
		parts[at] += parts[at+1]
		parts = slices.Delete(parts, at+1, at+2)
	}
	for _, part := range parts {
		if id, ok := ids[part]; ok {
			out = append(out, id)
			continue
		}
		for _, b := range []byte(part) {
			out = append(out, ids[fmt.Sprintf("<0x%02X>", b)])
		}
	}
	return out
}

// TestVocabularyKinds: every kind of token is told from the others, and byte-level BPE has its rules.
func TestVocabularyKinds(t *testing.T) {
	for name, want := range map[string]Vocabulary{
		"llama-model": {Unknown: 0, Blank: true}, "llama": {Unknown: -1, Blank: true},
		"smollm": {Unknown: -1, Split: SplitGPT2, Numerals: true},
		"llama3": {Unknown: -1, Split: SplitLLaMA3, Whole: true},
		"qwen":   {Unknown: -1, Split: SplitQwen2, Composed: true},
	} {
		tok := mustLoad(t, name)
		v, err := tok.Vocabulary()
		if err != nil {
			t.Fatal(err)
		}
		if v.Unknown != want.Unknown || v.Blank != want.Blank || v.Split != want.Split || v.Numerals != want.Numerals ||
			v.Whole != want.Whole || v.Composed != want.Composed || (v.Scores == nil) == (v.Merges == nil) {
			t.Errorf("%s: unknown %d, blank %t, split %s, numerals %t, whole %t, composed %t, %d scores, %d merges", name,
				v.Unknown, v.Blank, v.Split, v.Numerals, v.Whole, v.Composed, len(v.Scores), len(v.Merges))
		}
		for id, kind := range v.Kinds {
			want := KindText
			_, isByte := byteOf(v.Tokens[id])
			switch {
			case int32(id) == v.Unknown:
				want = KindUnknown
			case tok.Special(int32(id)):
				want = KindControl
			case isByte && v.Scores != nil:
				want = KindByte
			case strings.HasPrefix(v.Tokens[id], "<") && kind == KindAdded:
				want = KindAdded
			}
			if kind != want {
				t.Errorf("%s: %q has kind %d; want %d", name, v.Tokens[id], kind, want)
			}
		}
	}
	if _, err := mustLoad(t, "bpe").Vocabulary(); err != nil {
		t.Error(err)
	}
	if _, err := mustLoad(t, "wordpiece").Vocabulary(); err == nil {
		t.Error("WordPiece has a vocabulary of decoders")
	}
}

// TestVocabularyUnscored: merges that no scores can make are an error that names a token.
func TestVocabularyUnscored(t *testing.T) {
	tok := mustLoad(t, "llama")
	m := tok.model.(*piecePair)
	for p, to := range m.merges {
		if utf8.RuneCountInString(tok.tokens[to.id]) > 1 {
			delete(m.merges, p)
			break
		}
	}
	if _, err := tok.Vocabulary(); err == nil || !strings.Contains(err.Error(), "needs the tokenizer.model") {
		t.Errorf("error %v", err)
	}
}
