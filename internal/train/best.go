package train

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math"
	"os"
)

// newBest records an evaluation; a score that is no number has none in JSON.
func newBest(step, epoch int, score float64) best {
	b := best{Step: step, Epoch: epoch}
	if !math.IsNaN(score) {
		b.Score = &score
	}
	return b
}

func (b best) value() float64 {
	if b.Score == nil {
		return math.NaN()
	}
	return *b.Score
}

// hashFiles returns the SHA-256 of each file, so that a run says which data it
// saw.
func hashFiles(paths ...string) (map[string]string, error) {
	sums := map[string]string{}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return nil, err
		}
		sums[path] = hex.EncodeToString(h.Sum(nil))
	}
	return sums, nil
}
