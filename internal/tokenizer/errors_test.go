package tokenizer

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestLoadErrors: every folder of testdata/bad has one fault, and the message
// names the fault and its place.
func TestLoadErrors(t *testing.T) {
	for _, c := range []struct{ folder, want string }{
		{"no-files", `no tokenizer found; the folder must hold tokenizer.json, or vocab.json and merges.txt, or vocab.txt`},
		{"no-merges", `vocab.json is there but merges.txt is not; byte-level BPE needs both`},
		{"json-syntax",
			`tokenizer.json:3:17: "," stands where a key in double quotes must be; want the JSON that transformers writes`},
		{"json-cut-off", `tokenizer.json:1:24: the text ends before its JSON value is complete; want the JSON that transformers writes`},
		{"json-kind",
			`tokenizer.json:2:20: model.type holds a JSON number, not a string; want the JSON that transformers writes`},
		{"json-token", `token 7 is neither text nor an added token's description`},
		{"not-utf8", `vocab.txt:3:3: byte 0xff is not UTF-8; tokenizer files are UTF-8 text`},
		{"model-unigram", `pre_tokenizer ByteLevel is not supported; supported: Metaspace, alone or after WhitespaceSplit`},
		{"model-unigram-untyped", `pre_tokenizer ByteLevel is not supported; supported: Metaspace`},
		{"model-wordlevel", `model WordLevel is not supported; supported: BPE, WordPiece and Unigram`},
		{"unigram-unk", `model.unk_id is missing or not an id of the vocabulary`},
		{"unigram-score", `tokenizer.json:1:291: ["a"] is not a token and its score; want an array of a text and a number`},
		{"unigram-twice", `tokens 0 and 2 are both "<unk>"; every token must occur once`},
		{"unigram-normalizer", `normalizer Lowercase is not supported; supported: Precompiled, Strip and Replace`},
		{"unigram-decoder", `decoder WordPiece is not supported; supported: Metaspace with model Unigram`},
		{"unigram-bytes", `byte token <0x00> is not in the vocabulary; byte_fallback needs all 256`},
		{"charsmap-base64", `precompiled_charsmap is not base64`},
		{"charsmap-size",
			"precompiled_charsmap says that its trie has 255 bytes, and 2 bytes follow; want a multiple of 4 that is not " +
				"more; the file is damaged"},
		{"fairseq-class", `the tokenizer_class of tokenizer_config.json is "T5Tokenizer"; want XLMRobertaTokenizer or Camembert`},
		{"fairseq-damaged", `it is not a SentencePiece model or it is damaged`},
		{"pre-metaspace", `pre_tokenizer Metaspace is not supported; supported: ByteLevel with model BPE`},
		{"pre-none", `pre_tokenizer none is not supported; supported: BertPreTokenizer with model WordPiece`},
		{"pre-no-regex", `pre_tokenizer ByteLevel with use_regex false is not supported`},
		{"normalizer-nfd", `normalizer NFD is not supported; supported: NFC or none with model BPE`},
		{"normalizer-lowercase",
			`normalizer Lowercase is not supported; supported: BertNormalizer or none with model WordPiece`},
		{"post-unknown", `post_processor Mystery is not supported; supported: TemplateProcessing`},
		{"post-two", `post_processor Sequence of RobertaProcessing and TemplateProcessing is not supported`},
		{"post-no-sep", `post_processor RobertaProcessing lacks cls or sep`},
		{"post-bad-sep", `[ "</s>" ] is not an array of a token and its id`},
		{"post-id", `post_processor token "</s>" has id 99, which is not in the vocabulary`},
		{"post-template-token", `post_processor template "single" uses "[CLS]", and its special_tokens have no such token`},
		{"post-template-id", `post_processor token "[CLS]" has id -3, which is not in the vocabulary`},
		{"post-template-no-b",
			`post_processor template "pair" has text A 1 times and B 0 times; it must have A once and B 1 times`},
		{"post-template-piece", `post_processor template "single" has a piece that is neither`},
		{"config-token-kind", `token 7 is neither text nor`},
		{"dropout", `model BPE with dropout is not supported; supported: no dropout`},
		{"bpe-prefix", `model BPE with continuing_subword_prefix is not supported`},
		{"bpe-suffix", `model BPE with end_of_word_suffix is not supported`},
		{"byte-fallback",
			`normalizer "" and pre_tokenizer "ByteLevel" are not supported with byte_fallback; supported: Prepend`},
		{"merge-malformed", `merges.txt:3:1: merge "a b a" is not two tokens; it must be two tokens with one space between`},
		{"merge-unknown", `merges.txt:3:1: merge of "a" and "c" needs token "c", which the vocabulary lacks`},
		{"merge-unknown-result", `merges.txt:1:1: merge of "b" and "a" needs token "ba"`},
		{"merge-json-malformed", `merge [ "a" ] is not two tokens`},
		{"merge-json-kind", `model.merges is not an array; it must list pairs of tokens`},
		{"merge-json-unknown", `merge of "ab" and "c" needs token "c"`},
		{"vocab-duplicate-id", `vocab.json:2:8: token "</s>" has id 0, which is the id of "<s>"; every id must occur once`},
		{"vocab-duplicate-token", `vocab.json:2:7: token "<s>" has id 0 and again 1; every token must occur once`},
		{"vocab-id-negative", `vocab.json:1:7: token "<s>" has id -1; ids are whole numbers from 0 to 1048575`},
		{"vocab-id-huge", `token "<s>" has id 4000000000; ids are whole numbers from 0`},
		{"vocab-id-text", `token "<s>" has id "0"; ids are whole numbers from 0`},
		{"vocab-not-object", `vocab.json:1:1: vocabulary is not an object; it must map tokens to ids`},
		{"vocab-cut-off", `vocab.json:1:9: the text ends before its JSON value is complete; want the JSON that transformers writes`},
		{"vocab-empty", `vocabulary is empty; it must hold at least the special tokens`},
		{"vocab-missing", `model.vocab is missing; it must be an object of tokens and ids`},
		{"vocab-txt-empty", `vocab.txt: vocabulary is empty; it must hold`},
		{"vocab-txt-duplicate", `vocab.txt:3:1: token "[UNK]" is on line 1 already; every token must occur once`},
		{"vocab-no-unk",
			`vocab.txt: unk_token "[UNK]" is not in the vocabulary; add it, or name another unk_token in tokenizer_config.json`},
		{"vocab-no-cls", `cls_token "[CLS]" is not in the vocabulary`},
		{"vocab-no-sep", `vocab.json: sep_token "</s>" is not in the vocabulary`},
		{"unk-missing", `unk_token "<oov>" is not in the vocabulary; add it, or name another in model.unk_token`},
		{"added-id", `added token "<s>" has id 3, but the vocabulary gives it 0; they must agree`},
		{"added-id-taken", `added token "<new>" has id 4; the next id after the vocabulary is 7`},
		{"added-id-range", `added token "<new>" has id -4; ids are whole numbers from 0 to 1048575`},
		{"added-empty", `an added token is empty; it must have some text`},
		{"added-normalized-away", `is empty after normalization; set its normalized to false`},
		{"config-split", `tokenizer_config.json: split_special_tokens is true; only false is supported`},
		{"config-side", `tokenizer_config.json: truncation_side is "left"; only "right" is supported`},
		{"config-decoder-id", `added_tokens_decoder has id "x"; ids are whole numbers from 0`},
		{"config-syntax", `tokenizer_config.json:1:6: "}" stands where a`},
		{"map-syntax", `special_tokens_map.json:2:1: "]" stands where a`},
		{"added-file-id", `added_tokens.json: token "<new>" has id -2; ids are whole numbers from 0`},
		{"added-file-kind",
			`added_tokens.json:1:1: the text holds a JSON array, not an object; want the JSON that transformers writes`},
	} {
		t.Run("folder="+c.folder, func(t *testing.T) {
			dir := filepath.Join("testdata", "bad", c.folder)
			_, err := Load(dir)
			if err == nil {
				t.Fatal("no error")
			}
			got := err.Error()
			if !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if !strings.HasPrefix(got, "tokenizer: load "+dir) || strings.Contains(got, "\n") {
				t.Errorf("not one line that names the folder: %s", got)
			}
		})
	}
}

func TestLoadMissingFolder(t *testing.T) {
	_, err := Load(filepath.Join("testdata", "nowhere"))
	if err == nil || !strings.Contains(err.Error(), "no tokenizer found; the folder must hold tokenizer.json") {
		t.Errorf("got %v", err)
	}
}
