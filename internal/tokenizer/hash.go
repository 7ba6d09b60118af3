package tokenizer

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
)

// hashOf returns a hash of the rules of t that does not depend on the form of
// its files. encoding/json sorts map keys, so the encoding is canonical.
func hashOf(t *Tokenizer, v *vocab, added []addedToken) [32]byte {
	added = slices.Clone(added)
	slices.SortFunc(added, func(a, b addedToken) int { return int(a.id) - int(b.id) })
	type piece struct {
		Text   int8
		TypeID int32
		IDs    []int32
	}
	pieces := func(t template) (out []piece) {
		for _, p := range t.pieces {
			// Adjacent special tokens are merged, so that equal layouts have
			// equal hashes.
			if last := len(out) - 1; p.text == specialPiece && last >= 0 && out[last].Text == specialPiece &&
				out[last].TypeID == p.typeID {
				out[last].IDs = append(out[last].IDs, p.ids...)
				continue
			}
			out = append(out, piece{p.text, p.typeID, slices.Clone(p.ids)})
		}
		return out
	}
	ids := make([]int32, len(added))
	for i, a := range added {
		ids[i] = a.id
	}
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, part := range []any{"lor2c tokenizer 1", unicodeTables, v.ids, added, ids, pieces(t.single), pieces(t.pair),
		modelRules(t.model)} {
		if err := enc.Encode(part); err != nil {
			panic(err) // plain data always encodes
		}
	}
	return [32]byte(h.Sum(nil))
}

// modelRules returns the rules of a model besides its vocabulary.
func modelRules(m model) any {
	switch m := m.(type) {
	case *bytePair:
		merges := sortedMerges(m.merges)
		rules := []any{"bpe", merges, m.whole != nil, m.unk, m.fuseUnk, m.addPrefixSpace}
		if m.pattern != gpt2Pattern || m.compose || m.splitNumerals {
			rules = append(rules, m.pattern, m.compose, m.splitNumerals, decoderTables)
		}
		return rules
	case *piecePair:
		return []any{"pieces", sortedMerges(m.merges), m.inNormalizer, m.prefix, m.splitBlanks}
	case *unigram:
		rules := []any{"unigram", m.scores, m.unk, m.bytes != nil, m.splitSpaces, m.prefix, m.splitBlanks}
		for _, step := range m.steps {
			rules = append(rules, []byte(step.name))
		}
		return rules
	case *wordPiece:
		n := m.bertNormalizer
		return []any{"wordpiece", m.unk, m.maxRunes, m.prefix, n.cleanText, n.spaceCJK, n.stripAccents, n.lowercase}
	}
	panic("tokenizer: a model without rules")
}

func sortedMerges(table mergeTable) [][4]int32 {
	merges := make([][4]int32, 0, len(table))
	for p, to := range table {
		merges = append(merges, [4]int32{to.rank, p.left, p.right, to.id})
	}
	slices.SortFunc(merges, func(a, b [4]int32) int { return slices.Compare(a[:], b[:]) })
	return merges
}
