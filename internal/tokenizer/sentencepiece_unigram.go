package tokenizer

import (
	"errors"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// fairseqFile is the name under which XLM-RoBERTa and CamemBERT have a SentencePiece model, whose scheme is Unigram.
const fairseqFile = "sentencepiece.bpe.model"

// unigramLayout is how a family numbers the pieces of a SentencePiece model: its own tokens, then the pieces from the
// number dropped on, then <mask>.
type unigramLayout struct {
	tokens  []scoredPiece
	dropped int
}

// unigramLayouts are those of transformers, by the beginning of the class of the tokenizer.
var unigramLayouts = map[string]unigramLayout{
	"XLMRobertaTokenizer": {[]scoredPiece{{text: "<s>"}, {text: "<pad>"}, {text: "</s>"}, {text: "<unk>"}}, 3},
	"CamembertTokenizer": {[]scoredPiece{{text: "<s>NOTUSED"}, {text: "<pad>"}, {text: "</s>NOTUSED"}, {text: "<unk>"},
		{text: "<unk>NOTUSED", score: -100}}, 1},
}

// modelClasses has the class of the tokenizer of a model_type, for a folder whose files do not name it.
var modelClasses = map[string]string{"xlm-roberta": "XLMRobertaTokenizer", "camembert": "CamembertTokenizer"}

// fromFairseq reads sentencepiece.bpe.model.
func fromFairseq(d *folder, cfg *config) (*builder, error) {
	src, err := d.readBinary(fairseqFile)
	if err != nil {
		return nil, err
	}
	if what := infile.DescribeBinary(src.data); what != "" {
		return nil, src.errorf("it is not a SentencePiece model but %s", what)
	}
	p, err := parseSentencePiece(src)
	if err != nil {
		return nil, err
	}
	if err := p.checkUnigram(src); err != nil {
		return nil, err
	}
	layout, err := d.unigramLayout(cfg, src)
	if err != nil {
		return nil, err
	}
	v, scores, err := p.unigramVocab(layout, src)
	if err != nil {
		return nil, err
	}
	unk, ok := v.ids["<unk>"]
	if !ok {
		panic("tokenizer: a layout without <unk>")
	}
	m := newUnigram(v, scores, unk)
	m.splitSpaces, m.splitBlanks, m.prefix = true, true, prefixAlways
	if !isSet(cfg.AddPrefixSpace, true) {
		m.prefix = prefixNever
	}
	if len(p.charsmap) > 0 {
		chars, err := parseCharsmap(p.charsmap)
		if err != nil {
			return nil, src.errorf("%w", err)
		}
		m.steps = []textStep{chars.step()}
	}
	d.files[fairseqFile] = src.data
	return &builder{source: src, vocab: v, model: m, names: cfg.Names.orDefaults(robertaNames, v)}, nil
}

// unigramLayout returns the layout for the class of the tokenizer, or else for the type of the model in the folder.
func (d *folder) unigramLayout(cfg *config, src *source) (unigramLayout, error) {
	class := strings.TrimSuffix(cfg.Class, "Fast")
	if class == "" {
		var model struct {
			Type string `json:"model_type"`
		}
		file := &source{path: filepath.Join(d.path, "config.json")}
		var err error
		file.data, err = infile.ReadIn(d.path, "config.json", infile.Config)
		if err == nil {
			err = file.unmarshal(&model)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return unigramLayout{}, err
		}
		class = modelClasses[model.Type]
	}
	layout, ok := unigramLayouts[class]
	if !ok {
		return layout, src.errorf("the tokenizer_class of %s is %s; want XLMRobertaTokenizer or CamembertTokenizer, which "+
			"number the pieces in different ways, or %s beside it", configFile, place.Quote(cfg.Class), tokenizerFile)
	}
	return layout, nil
}

// checkUnigram returns an error for a model whose rules this package does not have.
func (p *sentencePiece) checkUnigram(src *source) error {
	switch {
	case p.modelType == 2:
		return src.unsupported("model", "BPE", "a Unigram model, as XLM-RoBERTa and CamemBERT have")
	case p.modelType != 1:
		return src.errorf("model_type %d is not supported; supported: a Unigram model", p.modelType)
	case p.byteFallback:
		return src.unsupported("model Unigram", "with byte_fallback", "a Unigram model without it, or "+tokenizerFile)
	case p.whitespaceSuffix:
		return src.unsupported("model Unigram", "with treat_whitespace_as_suffix", "treat_whitespace_as_suffix false")
	}
	return p.checkPieces(src)
}

// unigramVocab returns the vocabulary of a layout and the scores by id.
func (p *sentencePiece) unigramVocab(layout unigramLayout, src *source) (*vocab, []float64, error) {
	if len(p.pieces) < layout.dropped {
		return nil, nil, src.errorf("the model has %d pieces; want <unk>, <s> and </s> first", len(p.pieces))
	}
	v, scores := &vocab{ids: map[string]int32{}}, []float64(nil)
	all := slices.Concat(layout.tokens, p.pieces[layout.dropped:], []scoredPiece{{text: "<mask>"}})
	for _, piece := range all {
		if piece.text == "" || !utf8.ValidString(piece.text) {
			return nil, nil, src.errorf("piece %s is empty or not UTF-8; every piece must have some text",
				place.Quote(piece.text))
		}
		if math.IsNaN(float64(piece.score)) || math.IsInf(float64(piece.score), 0) {
			return nil, nil, src.errorf("piece %s has the score %g; scores are finite numbers", place.Quote(piece.text),
				piece.score)
		}
		if err := v.addScored(src, piece.text, len(scores)); err != nil {
			return nil, nil, err
		}
		scores = append(scores, float64(piece.score))
	}
	return v, scores, nil
}
