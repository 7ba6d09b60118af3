package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"github.com/lor2c/lor2c/internal/place"
)

// These are the names of the files that Hugging Face saves a tokenizer in.
const (
	tokenizerFile   = "tokenizer.json"
	vocabJSONFile   = "vocab.json"
	mergesFile      = "merges.txt"
	vocabTextFile   = "vocab.txt"
	configFile      = "tokenizer_config.json"
	specialMapFile  = "special_tokens_map.json"
	addedTokensFile = "added_tokens.json"

	sentencePieceFile = "tokenizer.model"
	chatTemplateFile  = "chat_template.jinja"
)

// Load reads the tokenizer in folder dir: tokenizer.json if it is there, else
// vocab.json with merges.txt (byte-level BPE with RoBERTa's special tokens),
// else vocab.txt (WordPiece with BERT's, or with MPNet's if tokenizer_config.json
// says that it is an MPNetTokenizer), else tokenizer.model (the BPE of
// SentencePiece), else sentencepiece.bpe.model (the Unigram model of XLM-RoBERTa
// or CamemBERT). Beside them, tokenizer_config.json,
// special_tokens_map.json and added_tokens.json may name special tokens, and
// tokenizer_config.json may set do_lower_case, strip_accents,
// tokenize_chinese_chars and add_prefix_space, which take precedence over
// tokenizer.json.
//
// Errors name the file and, where there is one, the line.
//
// Load returns the tokenizer of the call before it if the directory and the files in it are the same.
func Load(dir string) (*Tokenizer, error) {
	if last := recent.Load(); last != nil && last.from.path == dir && last.from.unchanged() {
		return last.tokenizer, nil
	}
	d := &folder{path: dir, files: map[string][]byte{}, seen: map[string]seenFile{}}
	t, err := load(d)
	if err == nil {
		recent.Store(&loaded{t, d})
	}
	return t, err
}

// loaded is a tokenizer with the files that it was read from.
type loaded struct {
	tokenizer *Tokenizer
	from      *folder
}

// recent is the tokenizer that Load returned last. A process opens a model several times, for example to train, to
// evaluate and to predict, and a vocabulary of 100,000 tokens takes seconds to read.
var recent atomic.Pointer[loaded]

func load(d *folder) (*Tokenizer, error) {
	cfg, err := readConfig(d)
	if err != nil {
		return nil, err
	}
	// It belongs to the files that are saved with an adapter, also if nothing here reads it.
	if _, err := d.optional(chatTemplateFile); err != nil {
		return nil, err
	}
	for _, route := range []func(*folder, *config) (*builder, error){fromTokenizerJSON, fromBPEFiles, fromVocabText,
		fromSentencePiece, fromFairseq} {
		b, err := route(d, cfg)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t, err := b.finish(cfg)
		if err != nil {
			return nil, err
		}
		t.files, t.chat = d.files, source{filepath.Join(d.path, configFile), cfg.ChatTemplate}
		return t, nil
	}
	return nil, place.Mistake(fmt.Errorf("tokenizer: load %s: no tokenizer found; the folder must hold %s, or %s and "+
		"%s, or %s, or %s, or %s",
		d.path, tokenizerFile, vocabJSONFile, mergesFile, vocabTextFile, sentencePieceFile, fairseqFile))
}

// LoadFor is Load for a model whose embedding has the given number of rows. It returns an error if the tokenizer has
// more tokens, because it then belongs to another model.
func LoadFor(dir string, rows int) (*Tokenizer, error) {
	t, err := Load(dir)
	if err != nil {
		return nil, place.Given(err)
	}
	if n := t.VocabSize(); n > rows {
		return nil, place.Mistake(fmt.Errorf("tokenizer: load %s: it has %d tokens and the embedding of the model has %d "+
			"rows; use tokenizer and weights of the same model", dir, n, rows))
	}
	return t, nil
}

// fromBPEFiles reads vocab.json and merges.txt.
func fromBPEFiles(d *folder, cfg *config) (*builder, error) {
	vocabFile, err := d.read(vocabJSONFile)
	if err != nil {
		return nil, err
	}
	v, err := parseVocabJSON(vocabFile)
	if err != nil {
		return nil, err
	}
	merges, err := d.read(mergesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("tokenizer: load %s: %s is there but %s is not; byte-level BPE needs both",
			d.path, vocabJSONFile, mergesFile)
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
func fromVocabText(d *folder, cfg *config) (*builder, error) {
	src, err := d.read(vocabTextFile)
	if err != nil {
		return nil, err
	}
	v, err := parseVocabText(src)
	if err != nil {
		return nil, err
	}
	defaults := bertNames
	if cfg.mpnet() {
		defaults = mpnetNames
	}
	b := &builder{source: src, vocab: v, names: cfg.Names.orDefaults(defaults, v)}
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

// isSet returns *p, or fallback if p is nil.
func isSet(p *bool, fallback bool) bool {
	if p == nil {
		return fallback
	}
	return *p
}
