package tokenizer

// EncodeWords returns the ids of a text that is a list of words, such as a tagged sentence, as transformers gives them
// with is_split_into_words=True: each word is encoded by itself, with special tokens around all of them. Byte-level BPE
// puts a space before every word, as transformers does with add_prefix_space=True, which it demands for such texts.
// starts [n] has the index of the first id of each word, or -1 for a word that has none: the vocabulary has nothing for
// it, or it is behind the at most maxLength ids. 0 means no limit.
func (t *Tokenizer) EncodeWords(words []string, maxLength int) (e Encoding, starts []int32) {
	spaced := *t
	if t.spaced != nil {
		spaced.model = t.spaced
	}
	starts = make([]int32, len(words))
	var ids []int32
	for i, word := range words {
		starts[i] = int32(len(ids))
		if ids = spaced.appendText(ids, word, &t.added, ""); len(ids) == int(starts[i]) {
			starts[i] = -1
		}
	}
	if maxLength > 0 {
		ids, _ = truncate(ids, nil, max(0, maxLength-t.single.specials))
	}
	before, _ := t.Affixes()
	for i, start := range starts {
		if starts[i] = start + int32(len(before)); start < 0 || int(start) >= len(ids) {
			starts[i] = -1
		}
	}
	return t.single.apply(ids, nil), starts
}

// setSpaced sets the model that encodes words of lists, if it is not that of texts.
func (t *Tokenizer) setSpaced() {
	m, ok := t.model.(*bytePair)
	if !ok || m.addPrefixSpace {
		return
	}
	spaced := *m
	spaced.addPrefixSpace = true
	t.spaced = &spaced
}
