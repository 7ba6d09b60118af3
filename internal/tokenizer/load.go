package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/infile"
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
// else vocab.txt (WordPiece with BERT's), else tokenizer.model (the BPE of
// SentencePiece). Beside them, tokenizer_config.json,
// special_tokens_map.json and added_tokens.json may name special tokens, and
// tokenizer_config.json may set do_lower_case, strip_accents,
// tokenize_chinese_chars and add_prefix_space, which take precedence over
// tokenizer.json.
//
// Errors name the file and, where there is one, the line.
func Load(dir string) (*Tokenizer, error) {
	d := &folder{path: dir, files: map[string][]byte{}}
	cfg, err := readConfig(d)
	if err != nil {
		return nil, err
	}
	for _, route := range []func(*folder, *config) (*builder, error){fromTokenizerJSON, fromBPEFiles, fromVocabText,
		fromSentencePiece} {
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
		t.files = d.files
		return t, nil
	}
	return nil, place.Mistake(fmt.Errorf("tokenizer: load %s: no tokenizer found; the folder must hold %s, or %s and "+
		"%s, or %s, or %s",
		dir, tokenizerFile, vocabJSONFile, mergesFile, vocabTextFile, sentencePieceFile))
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

// source is the text of a file with the path that errors show.
type source struct {
	path string
	data []byte
}

// folder is the directory of a tokenizer with the files that were read from it.
type folder struct {
	path  string
	files map[string][]byte
}

// read reads a text file of the tokenizer. The error wraps fs.ErrNotExist if
// the file does not exist.
func (d *folder) read(name string) (*source, error) {
	s, err := d.readBinary(name)
	if err != nil {
		return nil, err
	}
	if what := infile.Describe(s.data[:min(len(s.data), 64)]); what != "" {
		return nil, s.errorf("it is not a tokenizer's file but %s", what)
	}
	if err := s.checkUTF8(); err != nil {
		return nil, err
	}
	d.files[name] = s.data
	return s, nil
}

// readBinary does what read does for a file that need not be text. The caller
// adds it to the files that were read.
func (d *folder) readBinary(name string) (*source, error) {
	s := &source{path: filepath.Join(d.path, name)}
	var err error
	if s.data, err = infile.ReadIn(d.path, name, infile.Tokenizer); err != nil {
		return nil, s.errorf("%w", err)
	}
	return s, nil
}

// isSet returns *p, or fallback if p is nil.
func isSet(p *bool, fallback bool) bool {
	if p == nil {
		return fallback
	}
	return *p
}
