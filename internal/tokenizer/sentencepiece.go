package tokenizer

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"google.golang.org/protobuf/encoding/protowire"
)

// These are the types of pieces in sentencepiece_model.proto.
const (
	pieceNormal  = 1
	pieceUnknown = 2
	pieceControl = 3
	pieceByte    = 6
)

var pieceTypes = map[uint64]string{4: "USER_DEFINED", 5: "UNUSED"}

// maxPiece is the largest number of bytes of a piece, because every division of
// a piece is looked up. SentencePiece's own default is 16 characters.
const maxPiece = 1 << 10

// sentencePiece is the part of a SentencePiece model (sentencepiece_model.proto,
// message ModelProto) that determines ids.
type sentencePiece struct {
	pieces []scoredPiece
	// trainer_spec
	modelType        uint64
	byteFallback     bool
	whitespaceSuffix bool
	specials         [4]int32 // ids of unk, bos, eos and pad; -1 for none
	// normalizer_spec
	charsmap           []byte
	addDummyPrefix     bool
	removeExtraSpaces  bool
	escapesWhitespaces bool
}

type scoredPiece struct {
	text  string
	score float32
	kind  uint64
}

// fromSentencePiece reads tokenizer.model.
func fromSentencePiece(d *folder, cfg *config) (*builder, error) {
	src, err := d.readBinary(sentencePieceFile)
	if err != nil {
		return nil, err
	}
	if what := infile.DescribeBinary(src.data); what != "" {
		return nil, src.errorf("it is not a SentencePiece model but %s", what)
	}
	if isRanks(src.data) {
		return nil, src.errorf("it is a list of ranks in base64, as tiktoken writes, and not a SentencePiece model; want "+
			"%s beside it", tokenizerFile)
	}
	model, err := parseSentencePiece(src)
	if err != nil {
		return nil, err
	}
	if err := model.check(src); err != nil {
		return nil, err
	}
	b := &builder{source: src, bare: true}
	if b.vocab, err = model.vocab(src); err != nil {
		return nil, err
	}
	table, err := model.merges(b.vocab, src)
	if err != nil {
		return nil, err
	}
	m, err := newPiecePair(b.vocab, table, src)
	if err != nil {
		return nil, err
	}
	// The legacy behaviour puts a blank before every text between special
	// tokens, as SentencePiece does. It is the default of transformers.
	spaced := isSet(cfg.AddPrefixSpace, model.addDummyPrefix)
	if m.inNormalizer = isSet(cfg.Legacy, true); spaced {
		m.prefix = prefixAlways
		if !m.inNormalizer {
			m.prefix = prefixFirst
		}
	}
	m.strip = spaced
	b.model = m
	model.nameTokens(b, cfg)
	d.files[sentencePieceFile] = src.data
	return b, nil
}

// nameTokens adds the control tokens of the model as special tokens. Roles that
// no file names are those of the model.
func (p *sentencePiece) nameTokens(b *builder, cfg *config) {
	b.names = cfg.Names
	for i, name := range []**addedToken{&b.names.Unk, &b.names.Bos, &b.names.Eos, &b.names.Pad} {
		if id := p.specials[i]; *name == nil && id >= 0 && int(id) < len(p.pieces) {
			*name = special(p.pieces[id].text)
		}
	}
	for id, piece := range p.pieces {
		if piece.kind == pieceControl || piece.kind == pieceUnknown {
			b.added = append(b.added, addedToken{Content: piece.text, Special: true, id: int32(id)})
		}
	}
	// transformers puts BOS before a text unless the configuration says not to.
	if cfg.AddBosToken == nil {
		on := b.names.Bos != nil
		cfg.AddBosToken = &on
	}
}

// isRanks reports whether data begins as a file of tiktoken does: base64, a
// space, and the rank 0.
func isRanks(data []byte) bool {
	line := data[:min(len(data), 64)]
	for i, c := range line {
		isBase64 := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '/' || c == '='
		if !isBase64 {
			return i >= 4 && i%4 == 0 && len(line) > i+2 && line[i] == ' ' && line[i+1] == '0' && line[i+2] == '\n'
		}
	}
	return false
}

// check returns an error for a model whose rules this package does not have.
func (p *sentencePiece) check(src *source) error {
	const bpe = "a BPE model with byte_fallback, as LLaMA and Mistral have"
	switch {
	case p.modelType == 1:
		return src.unsupported("model", "Unigram", bpe)
	case p.modelType != 2:
		return src.errorf("model_type %d is not supported; supported: %s", p.modelType, bpe)
	case !p.byteFallback:
		return src.unsupported("model BPE", "without byte_fallback", bpe)
	case len(p.charsmap) > 0:
		return src.unsupported("normalizer", "with a precompiled_charsmap", "the normalizer identity")
	case p.removeExtraSpaces:
		return src.unsupported("normalizer", "with remove_extra_whitespaces", "remove_extra_whitespaces false")
	case !p.escapesWhitespaces:
		return src.unsupported("normalizer", "without escape_whitespaces", "escape_whitespaces true")
	case p.whitespaceSuffix:
		return src.unsupported("model BPE", "with treat_whitespace_as_suffix", "treat_whitespace_as_suffix false")
	}
	return p.checkPieces(src)
}

// checkPieces returns an error for a piece of a type that this package does not have.
func (p *sentencePiece) checkPieces(src *source) error {
	for id, piece := range p.pieces {
		if name, ok := pieceTypes[piece.kind]; ok {
			return src.errorf("piece %d, %s, has type %s, which is not supported; supported: NORMAL, UNKNOWN, CONTROL and BYTE",
				id, place.Quote(piece.text), name)
		}
	}
	return nil
}

// vocab returns the pieces by id.
func (p *sentencePiece) vocab(src *source) (*vocab, error) {
	if len(p.pieces) == 0 {
		return nil, src.errorf("the model has no pieces; it must hold at least the bytes")
	}
	if len(p.pieces) > maxID+1 {
		return nil, src.errorf("the model has %d pieces; a vocabulary has at most %d tokens", len(p.pieces), maxID+1)
	}
	v := &vocab{ids: make(map[string]int32, len(p.pieces)), tokens: make([]string, 0, len(p.pieces))}
	for id, piece := range p.pieces {
		if piece.text == "" || !utf8.ValidString(piece.text) {
			return nil, src.errorf("piece %d, %s, is empty or not UTF-8; every piece must have some text", id,
				place.Quote(piece.text))
		}
		if len(piece.text) > maxPiece {
			return nil, src.errorf("piece %d, %s, has %d bytes; a piece has at most %d", id, place.Quote(piece.text),
				len(piece.text), maxPiece)
		}
		if math.IsNaN(float64(piece.score)) {
			return nil, src.errorf("piece %d, %s, has the score NaN; scores are numbers", id, place.Quote(piece.text))
		}
		if old, twice := v.ids[piece.text]; twice {
			return nil, src.errorf("pieces %d and %d are both %s; every piece must occur once", old, id, place.Quote(piece.text))
		}
		v.set(piece.text, int32(id))
	}
	return v, nil
}

// merges returns the pairs of pieces that form a piece. SentencePiece merges
// the pair whose result has the highest score, the leftmost of equal ones, so
// the rank of a pair is the position of its result's score.
func (p *sentencePiece) merges(v *vocab, src *source) (mergeTable, error) {
	isNormal := func(id int32) bool { return p.pieces[id].kind == pieceNormal }
	var results []int32
	for id := range p.pieces {
		if isNormal(int32(id)) && utf8.RuneCountInString(p.pieces[id].text) > 1 {
			results = append(results, int32(id))
		}
	}
	slices.SortStableFunc(results, func(a, b int32) int { return cmp.Compare(p.pieces[b].score, p.pieces[a].score) })
	table := mergeTable{}
	rank := int32(0)
	for i, id := range results {
		if i > 0 && p.pieces[id].score != p.pieces[results[i-1]].score {
			rank++
		}
		text := p.pieces[id].text
		for cut, r := range text {
			// SentencePiece can merge a character that is not a piece itself, but its
			// trainer makes no such model.
			if one, ok := v.ids[string(r)]; !ok || !isNormal(one) {
				return nil, src.errorf("piece %d, %s, contains %s, which is not a piece; every character of a piece must be one",
					id, place.Quote(text), place.Quote(string(r)))
			}
			if cut == 0 {
				continue
			}
			left, okLeft := v.ids[text[:cut]]
			right, okRight := v.ids[text[cut:]]
			if okLeft && okRight && isNormal(left) && isNormal(right) {
				table[pair{left, right}] = merge{rank, id}
			}
		}
	}
	return table, nil
}

// parseSentencePiece decodes a ModelProto.
func parseSentencePiece(src *source) (*sentencePiece, error) {
	p := &sentencePiece{modelType: 1, addDummyPrefix: true, removeExtraSpaces: true, escapesWhitespaces: true,
		specials: [4]int32{0, 1, 2, -1}}
	err := eachField(src.data, func(field protowire.Number, _ uint64, data []byte) error {
		switch field {
		case 1:
			piece := scoredPiece{kind: pieceNormal}
			p.pieces = append(p.pieces, piece)
			last := &p.pieces[len(p.pieces)-1]
			return eachField(data, func(field protowire.Number, n uint64, data []byte) error {
				switch field {
				case 1:
					last.text = string(data)
				case 2:
					last.score = math.Float32frombits(uint32(n))
				case 3:
					last.kind = n
				}
				return nil
			})
		case 2:
			return eachField(data, p.trainerField)
		case 3:
			return eachField(data, p.normalizerField)
		}
		return nil
	})
	if err != nil {
		return nil, src.errorf("it is not a SentencePiece model or it is damaged: %w", err)
	}
	return p, nil
}

func (p *sentencePiece) trainerField(field protowire.Number, n uint64, _ []byte) error {
	switch field {
	case 3:
		p.modelType = n
	case 24:
		p.whitespaceSuffix = n != 0
	case 35:
		p.byteFallback = n != 0
	case 40, 41, 42, 43:
		p.specials[field-40] = int32(n)
	}
	return nil
}

func (p *sentencePiece) normalizerField(field protowire.Number, n uint64, data []byte) error {
	switch field {
	case 2:
		p.charsmap = data
	case 3:
		p.addDummyPrefix = n != 0
	case 4:
		p.removeExtraSpaces = n != 0
	case 5:
		p.escapesWhitespaces = n != 0
	}
	return nil
}

// eachField calls visit for every field of a protobuf message, with the value
// of a number or the bytes of a text or message.
func eachField(message []byte, visit func(field protowire.Number, n uint64, data []byte) error) error {
	for len(message) > 0 {
		field, kind, size := protowire.ConsumeTag(message)
		if size < 0 {
			return protowire.ParseError(size)
		}
		message = message[size:]
		var n uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(message)
		case protowire.Fixed32Type:
			var word uint32
			word, size = protowire.ConsumeFixed32(message)
			n = uint64(word)
		case protowire.BytesType:
			data, size = protowire.ConsumeBytes(message)
		default:
			size = protowire.ConsumeFieldValue(field, kind, message)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		if err := visit(field, n, data); err != nil {
			return err
		}
		message = message[size:]
	}
	return nil
}
