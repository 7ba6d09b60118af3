package tokenizer

import (
	"slices"
	"strings"
)

// textDecoder turns tokens into text one at a time. All text of push and of a
// final flush together is the text of the tokens.
type textDecoder interface {
	// push appends the text that is certain after token.
	push(dst []byte, token string) []byte
	// flush appends the text that push held back, such as a character with missing
	// bytes.
	flush(dst []byte) []byte
	// peek appends what flush would, and changes nothing.
	peek(dst []byte) []byte
}

// decodeAll returns the text of tokens.
func decodeAll(d textDecoder, tokens []string) string {
	var out []byte
	for _, token := range tokens {
		out = d.push(out, token)
	}
	return string(d.flush(out))
}

// Stream turns generated tokens into text as they arrive. Special tokens have
// no text. The pieces of text are those of [Tokenizer.Text], up to the first
// stop string.
type Stream struct {
	tokenizer *Tokenizer
	decoder   textDecoder
	stops     []string
	held      []byte // text that may be the start of a stop string
	stopped   bool
}

// Streams reports whether NewStream works, which needs BPE.
func (t *Tokenizer) Streams() bool {
	_, ok := t.model.(interface{ decoder() textDecoder })
	return ok
}

// NewStream returns a stream that ends before the first of stops, which must
// not be empty, even if a stop string begins inside a token. The generated
// tokens continue context, whose text is not returned. With a context a
// SentencePiece tokenizer keeps the space at the start of the generated text.
// NewStream panics for a WordPiece tokenizer, because its text depends on later
// tokens.
func (t *Tokenizer) NewStream(context []int32, stops []string) *Stream {
	m, ok := t.model.(interface{ decoder() textDecoder })
	if !ok {
		panic("tokenizer: a stream of a tokenizer that is not BPE")
	}
	s := &Stream{tokenizer: t, decoder: m.decoder(), stops: slices.Clone(stops)}
	for _, id := range context {
		if token := t.plainToken(id); token != "" {
			s.decoder.push(nil, token)
		}
	}
	s.decoder.flush(nil)
	return s
}

// Push returns the text that is certain after token id. It holds back text that
// may be the start of a stop string, and bytes that may become a character.
// stopped is true if the text of the generated tokens contains a stop string;
// no more text follows then.
func (s *Stream) Push(id int32) (text string, stopped bool) {
	token := s.tokenizer.plainToken(id)
	if s.stopped || token == "" {
		return "", s.stopped
	}
	s.held = s.decoder.push(s.held, token)
	return s.release(), s.stopped
}

// Flush returns the text that is still held back. stopped is true if it ended
// with a stop string, which is not part of it.
func (s *Stream) Flush() (text string, stopped bool) {
	if s.stopped {
		return "", true
	}
	s.held = s.decoder.flush(s.held)
	text = s.release()
	text += string(s.held)
	s.held = nil
	return text, s.stopped
}

// Ends reports whether the text of the tokens so far, as [Tokenizer.Text] returns it, contains a stop string. Unlike
// the result of Push it takes into account the bytes that Push holds back.
func (s *Stream) Ends() bool {
	if s.stopped {
		return true
	}
	text := string(s.decoder.peek(slices.Clone(s.held)))
	return slices.ContainsFunc(s.stops, func(stop string) bool { return strings.Contains(text, stop) })
}

// release returns the held text that is certain.
func (s *Stream) release() string {
	text := string(s.held)
	cut := len(text)
	for _, stop := range s.stops {
		if at := strings.Index(text, stop); at >= 0 {
			s.stopped = true
			cut = min(cut, at)
		}
	}
	if s.stopped {
		s.held = nil
		return text[:cut]
	}
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(text)); n > 0; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				cut = min(cut, len(text)-n)
				break
			}
		}
	}
	s.held = slices.Delete(s.held, 0, cut)
	return text[:cut]
}
