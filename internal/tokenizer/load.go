package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/place"
)

// Names of the files that Hugging Face saves a tokenizer in.
const (
	tokenizerFile   = "tokenizer.json"
	vocabJSONFile   = "vocab.json"
	mergesFile      = "merges.txt"
	vocabTextFile   = "vocab.txt"
	configFile      = "tokenizer_config.json"
	specialMapFile  = "special_tokens_map.json"
	addedTokensFile = "added_tokens.json"
)

// Load reads the tokenizer in folder dir: tokenizer.json if it is there, else
// vocab.json with merges.txt (byte-level BPE with RoBERTa's special tokens),
// else vocab.txt (WordPiece with BERT's). Beside them, tokenizer_config.json,
// special_tokens_map.json and added_tokens.json may name special tokens, and
// tokenizer_config.json may set do_lower_case, strip_accents,
// tokenize_chinese_chars and add_prefix_space, which win over tokenizer.json.
//
// Errors name the file and, where there is one, the line.
func Load(dir string) (*Tokenizer, error) {
	cfg, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	for _, route := range []func(string, *config) (*builder, error){fromTokenizerJSON, fromBPEFiles, fromVocabText} {
		b, err := route(dir, cfg)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return b.finish(cfg)
	}
	return nil, place.Mistake(fmt.Errorf("tokenizer: load %s: no tokenizer found; the folder must hold %s, or %s and %s, or %s",
		dir, tokenizerFile, vocabJSONFile, mergesFile, vocabTextFile))
}

// fromBPEFiles reads vocab.json and merges.txt.
func fromBPEFiles(dir string, cfg *config) (*builder, error) {
	vocabFile, err := readSource(dir, vocabJSONFile)
	if err != nil {
		return nil, err
	}
	v, err := parseVocabJSON(vocabFile)
	if err != nil {
		return nil, err
	}
	merges, err := readSource(dir, mergesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: load %s: %s is there but %s is not; byte-level BPE needs both",
			dir, vocabJSONFile, mergesFile)
	}
	if err != nil {
		return nil, err
	}
	pairs, err := parseMergesText(merges)
	if err != nil {
		return nil, err
	}
	m, err := newBytePair(v, pairs, merges)
	if err != nil {
		return nil, err
	}
	m.addPrefixSpace = isSet(cfg.AddPrefixSpace, false)
	b := &builder{source: vocabFile, vocab: v, model: m, names: cfg.Names.orDefaults(robertaNames, v)}
	if err := b.requireNamed(); err != nil {
		return nil, err
	}
	return b, nil
}

// fromVocabText reads vocab.txt.
func fromVocabText(dir string, cfg *config) (*builder, error) {
	src, err := readSource(dir, vocabTextFile)
	if err != nil {
		return nil, err
	}
	v, err := parseVocabText(src)
	if err != nil {
		return nil, err
	}
	b := &builder{source: src, vocab: v, names: cfg.Names.orDefaults(bertNames, v)}
	if err := b.requireNamed(); err != nil {
		return nil, err
	}
	lower := isSet(cfg.DoLowerCase, true)
	m := newWordPiece(v, "##", v.ids[b.names.Unk.Content])
	m.bertNormalizer = bertNormalizer{
		cleanText:    true,
		spaceCJK:     isSet(cfg.TokenizeChineseChars, true),
		stripAccents: isSet(cfg.StripAccents, lower),
		lowercase:    lower,
	}
	b.model = m
	return b, nil
}

// source is a file's text together with what errors call it.
type source struct {
	path string
	data []byte
}

// readSource reads a file of the tokenizer. The error of a file that is not
// there wraps fs.ErrNotExist.
func readSource(dir, name string) (*source, error) {
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: load: %w", err)
	}
	s := &source{path, data}
	if err := s.checkUTF8(); err != nil {
		return nil, err
	}
	return s, nil
}

// isSet returns *p, or fallback when p is nil.
func isSet(p *bool, fallback bool) bool {
	if p == nil {
		return fallback
	}
	return *p
}
