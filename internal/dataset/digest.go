package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
)

// Digest returns the SHA-256 of what was read of a split, in hexadecimal: the
// texts and labels of all examples in their order. A label goes in by its name,
// so that the order of the classes is another matter. The file's name, format
// and line ends do not count.
func (t Task) Digest(s *Split) string {
	h := sha256.New()
	number(h, len(s.Examples))
	for _, x := range s.Examples {
		x.texts(h)
		switch {
		case !x.HasLabel:
			number(h, -1)
		case t.Labels != nil:
			text(h, t.Labels[int(x.Label)])
		default:
			number(h, int(math.Float32bits(x.Label)))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
