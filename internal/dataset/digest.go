package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
)

// Digest returns the SHA-256 of the texts and labels of all examples of a split
// in their order, in hexadecimal. It uses the names of the labels, so it does
// not depend on the order of the classes. It does not depend on name, format
// and line ends of the file either.
func (t Task) Digest(s *Split) string {
	h := sha256.New()
	number(h, len(s.Examples))
	for _, x := range s.Examples {
		x.texts(h)
		switch {
		case !x.HasLabel:
			number(h, -1)
		case t.Kind == MultiLabel:
			number(h, len(x.Set))
			for _, name := range t.List(x.Set) {
				text(h, name)
			}
		case t.Kind == Tokens:
			for _, name := range t.List(x.Tags) {
				text(h, name)
			}
		case t.Labels != nil:
			text(h, t.Labels[int(x.Label)])
		default:
			number(h, int(math.Float32bits(x.Label)))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
