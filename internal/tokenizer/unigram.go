package tokenizer

import (
	"slices"
	"sort"
	"strings"
	"sync"
	"unicode/utf8"
)

// unknownPenalty is how much lower the score of an unknown character is than that of every token.
const unknownPenalty = 10

// unigram is the Unigram model of SentencePiece (Kudo 2018, arXiv:1804.10959): a text becomes the tokens whose scores,
// logarithms of probabilities, have the largest sum. It is the scheme of XLM-RoBERTa and CamemBERT.
type unigram struct {
	ids    map[string]int32
	sorted []string // the tokens in the order of their bytes
	first  [257]int32
	scores []float64 // by id
	lowest float64
	unk    int32
	bytes  *byteTokens // byte_fallback, for characters without a token; nil without it
	steps  []textStep
	// splitSpaces says that words end at white space, before the blank is put in front of each.
	splitSpaces bool
	prefix      prefixRule
	splitBlanks bool
	cache       wordCache
}

// textStep is a step of the normalizer. Its name tells it from steps that do something else.
type textStep struct {
	name  string
	apply func(string) string
}

// newUnigram returns the model of a vocabulary whose tokens have the given scores by id.
func newUnigram(v *vocab, scores []float64, unk int32) *unigram {
	m := &unigram{ids: v.ids, scores: scores, unk: unk, lowest: slices.Min(scores), cache: newWordCache()}
	for token := range v.ids {
		m.sorted = append(m.sorted, token)
	}
	slices.Sort(m.sorted)
	for b := range m.first {
		m.first[b] = int32(sort.Search(len(m.sorted), func(i int) bool { return int(m.sorted[i][0]) >= b }))
	}
	return m
}

func (m *unigram) normalize(text string) string {
	for _, step := range m.steps {
		text = step.apply(text)
	}
	return text
}

func (m *unigram) appendIDs(dst []int32, text string, first bool) []int32 {
	if !m.splitSpaces {
		return m.appendWord(dst, text, first)
	}
	for at := 0; at < len(text); {
		start := strings.IndexFunc(text[at:], func(r rune) bool { return !isSpace(r) })
		if start < 0 {
			break
		}
		start += at
		end := len(text)
		if n := strings.IndexFunc(text[start:], isSpace); n >= 0 {
			end = start + n
		}
		dst = m.appendWord(dst, text[start:end], first && start == 0)
		at = end
	}
	return dst
}

// appendWord appends the ids of a part of the text. first is true if nothing comes before it.
func (m *unigram) appendWord(dst []int32, text string, first bool) []int32 {
	if text == "" {
		return dst
	}
	text = strings.ReplaceAll(text, " ", blank)
	if (m.prefix == prefixAlways || m.prefix == prefixFirst && first) && !strings.HasPrefix(text, blank) {
		text = blank + text
	}
	for text != "" {
		end := len(text)
		if m.splitBlanks {
			if n := strings.Index(text[1:], blank); n >= 0 {
				end = 1 + n
			}
		}
		dst = m.cache.appendIDs(dst, text[:end], m.best)
		text = text[end:]
	}
	return dst
}

// step is the best path to a place in a word: its score, the place at which its last token begins, and the token.
type step struct {
	score float64
	from  int32
	id    int32
}

var stepPool = sync.Pool{New: func() any { return new([]step) }}

// best appends the ids of the path with the highest score (Viterbi). Of paths with equal scores, the one whose last
// token begins first is taken, as in the reference. Unknown characters in a row become one unknown token.
func (m *unigram) best(dst []int32, word string) []int32 {
	const none = -1
	pooled := stepPool.Get().(*[]step)
	defer stepPool.Put(pooled)
	path := slices.Grow((*pooled)[:0], len(word)+1)[:len(word)+1]
	*pooled = path
	for i := range path {
		path[i] = step{from: none}
	}
	for at, r := range word {
		size, single := utf8.RuneLen(r), false
		reach := func(end int, score float64, id int32) {
			if to := &path[end]; to.from == none || score > to.score {
				*to = step{score, int32(at), id}
			}
		}
		m.prefixes(word[at:], func(token string) {
			id := m.ids[token]
			reach(at+len(token), path[at].score+m.scores[id], id)
			single = single || len(token) == size
		})
		if !single {
			reach(at+size, path[at].score+m.lowest-unknownPenalty, m.unk)
		}
	}
	start := len(dst)
	for end := len(word); end > 0; {
		from, id := int(path[end].from), path[end].id
		for id == m.unk && from > 0 && path[from].id == m.unk {
			from = int(path[from].from)
		}
		dst = m.appendToken(dst, word[from:end], id)
		end = from
	}
	slices.Reverse(dst[start:])
	return dst
}

// appendToken appends the id of a part of a word in reverse, which for an unknown part are the ids of its bytes if
// there are such tokens.
func (m *unigram) appendToken(dst []int32, text string, id int32) []int32 {
	if id != m.unk {
		return append(dst, id)
	}
	if known, ok := m.ids[text]; ok {
		return append(dst, known)
	}
	if m.bytes == nil {
		return append(dst, id)
	}
	for i := len(text) - 1; i >= 0; i-- {
		dst = append(dst, m.bytes[text[i]])
	}
	return dst
}

// prefixes calls visit for each token that text begins with, the shortest first.
func (m *unigram) prefixes(text string, visit func(token string)) {
	low, high := int(m.first[text[0]]), int(m.first[int(text[0])+1])
	for n := 1; low < high; n++ {
		if len(m.sorted[low]) == n {
			visit(m.sorted[low])
			low++
		}
		if n == len(text) {
			return
		}
		next, rest := text[n], m.sorted[low:high]
		from := sort.Search(len(rest), func(i int) bool { return rest[i][n] >= next })
		to := sort.Search(len(rest), func(i int) bool { return rest[i][n] > next })
		low, high = low+from, low+to
	}
}

// decode joins tokens as the reference's decoder Metaspace does, after one that joins the tokens of bytes.
func (m *unigram) decode(tokens []string) string {
	if m.bytes != nil {
		tokens = joinBytes(tokens)
	}
	var b strings.Builder
	for i, token := range tokens {
		space := " "
		if i == 0 && m.prefix != prefixNever {
			space = ""
		}
		b.WriteString(strings.ReplaceAll(token, blank, space))
	}
	return b.String()
}

// joinBytes returns tokens with the text of each run of byte tokens in its place.
func joinBytes(tokens []string) (out []string) {
	var run []byte
	flush := func() {
		if len(run) > 0 {
			out = append(out, textOfBytes(run))
		}
		run = run[:0]
	}
	for _, token := range tokens {
		if b, ok := byteOf(token); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, token)
	}
	flush()
	return out
}
