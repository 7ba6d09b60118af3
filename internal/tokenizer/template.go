package tokenizer

// templatePiece is one part of an encoding: a text (0 or 1), or special tokens
// if text is -1.
type templatePiece struct {
	text   int8
	typeID int32
	ids    []int32
}

// template arranges special tokens around one or two texts.
type template struct {
	pieces   []templatePiece
	specials int
}

const specialPiece = -1

// newTemplate returns a template of pieces. It counts the special tokens,
// because truncation needs the number for every example.
func newTemplate(pieces ...templatePiece) template {
	t := template{pieces: pieces}
	for _, p := range pieces {
		t.specials += len(p.ids)
	}
	return t
}

// apply returns the encoding of the truncated texts a and b.
func (t *template) apply(a, b []int32) Encoding {
	n := t.specials + len(a) + len(b)
	e := Encoding{IDs: make([]int32, 0, n), TypeIDs: make([]int32, 0, n)}
	for _, p := range t.pieces {
		ids := p.ids
		switch p.text {
		case 0:
			ids = a
		case 1:
			ids = b
		}
		e.IDs = append(e.IDs, ids...)
		for range ids {
			e.TypeIDs = append(e.TypeIDs, p.typeID)
		}
	}
	return e
}

// robertaTemplates is <s> a </s> and <s> a </s></s> b </s>, all of type 0.
func robertaTemplates(cls, sep int32) (single, pair template) {
	open := templatePiece{specialPiece, 0, []int32{cls}}
	shut := templatePiece{specialPiece, 0, []int32{sep}}
	between := templatePiece{specialPiece, 0, []int32{sep, sep}}
	a, b := templatePiece{text: 0}, templatePiece{text: 1}
	return newTemplate(open, a, shut), newTemplate(open, a, between, b, shut)
}

// bertTemplates is [CLS] a [SEP] and [CLS] a [SEP] b [SEP], where b and the
// token that ends it have type 1.
func bertTemplates(cls, sep int32) (single, pair template) {
	open := templatePiece{specialPiece, 0, []int32{cls}}
	shut := templatePiece{specialPiece, 0, []int32{sep}}
	a, b := templatePiece{text: 0}, templatePiece{text: 1, typeID: 1}
	shutB := templatePiece{specialPiece, 1, []int32{sep}}
	return newTemplate(open, a, shut), newTemplate(open, a, shut, b, shutB)
}
