package gguf

import (
	"fmt"

	"github.com/lor2c/lor2c/internal/tokenizer"
)

// tokenTypes has the values of tokenizer.ggml.token_type, llama_token_type in llama.h.
var tokenTypes = map[tokenizer.Kind]int32{
	tokenizer.KindText: 1, tokenizer.KindUnknown: 2, tokenizer.KindControl: 3, tokenizer.KindAdded: 4,
	tokenizer.KindUnused: 5, tokenizer.KindByte: 6,
}

// setTokenizer adds the metadata of a tokenizer for an embedding with the given number of rows.
func (f *File) setTokenizer(t *tokenizer.Tokenizer, rows int) error {
	v, err := t.Vocabulary()
	if err != nil {
		return err
	}
	tokens, types := make([]string, rows), make([]int32, rows)
	for id := range rows {
		kind := tokenizer.KindUnused
		if id < len(v.Tokens) {
			tokens[id], kind = v.Tokens[id], v.Kinds[id]
		}
		if kind == tokenizer.KindUnused {
			tokens[id] = fmt.Sprintf("[PAD%d]", id) // llama.cpp wants every token once
		}
		types[id] = tokenTypes[kind]
	}
	if v.Scores != nil {
		f.set("tokenizer.ggml.model", "llama")
		f.set("tokenizer.ggml.pre", "default")
		f.set("tokenizer.ggml.tokens", tokens)
		f.set("tokenizer.ggml.scores", append(v.Scores, make([]float32, rows-len(v.Scores))...))
		f.set("tokenizer.ggml.token_type", types)
		f.set("tokenizer.ggml.add_space_prefix", v.Blank)
	} else {
		pre, err := splitter(v)
		if err != nil {
			return err
		}
		f.set("tokenizer.ggml.model", "gpt2")
		f.set("tokenizer.ggml.pre", pre)
		f.set("tokenizer.ggml.tokens", tokens)
		f.set("tokenizer.ggml.token_type", types)
		f.set("tokenizer.ggml.merges", v.Merges)
	}
	return f.setRoles(t, v.Unknown)
}

// setRoles adds the tokens with a role and the chat template.
func (f *File) setRoles(t *tokenizer.Tokenizer, unknown int32) error {
	before, after := t.Affixes()
	if len(before) > 1 || len(after) > 1 || len(before) == 1 && before[0] != t.BOS() ||
		len(after) == 1 && after[0] != t.EOS() {
		return fmt.Errorf("gguf: the tokenizer puts other tokens around a text than its bos_token and eos_token")
	}
	for _, r := range []struct {
		key string
		id  int32
	}{{"bos", t.BOS()}, {"eos", t.EOS()}, {"unknown", unknown}, {"padding", t.PadID()}} {
		if r.id >= 0 {
			f.set("tokenizer.ggml."+r.key+"_token_id", uint32(r.id))
		}
	}
	f.set("tokenizer.ggml.add_bos_token", len(before) == 1)
	f.set("tokenizer.ggml.add_eos_token", len(after) == 1)
	template, ok, err := t.ChatTemplate()
	if ok && err == nil {
		f.set("tokenizer.chat_template", template)
	}
	return err
}

// splitter returns the value of tokenizer.ggml.pre with which llama.cpp divides a text into words as byte-level BPE
// with the vocabulary v does. Of the Llama 3 splitters, llama-bpe takes words that are tokens whole, and smaug-bpe
// does not.
func splitter(v *tokenizer.Vocabulary) (string, error) {
	type rules struct {
		split           tokenizer.Split
		numerals, whole bool
	}
	name := map[rules]string{
		{tokenizer.SplitGPT2, false, false}: "gpt-2", {tokenizer.SplitGPT2, true, false}: "smollm",
		{tokenizer.SplitLLaMA3, false, true}: "llama-bpe", {tokenizer.SplitLLaMA3, false, false}: "smaug-bpe",
		{tokenizer.SplitQwen2, false, false}: "qwen2",
	}[rules{v.Split, v.Numerals, v.Whole}]
	switch {
	case v.Blank:
		return "", fmt.Errorf("gguf: the tokenizer puts a space in front of a text (add_prefix_space), which llama.cpp " +
			"does not do for byte-level BPE")
	case name == "":
		return "", fmt.Errorf("gguf: the tokenizer divides text into words with the expression of %s, individual digits "+
			"%t and ignore_merges %t, and llama.cpp has no name for that", v.Split, v.Numerals, v.Whole)
	}
	return name, nil
}
