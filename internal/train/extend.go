package train

import (
	"path/filepath"

	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/identity"
)

// extends reports whether train.extend_epochs of c is the given value with zero or more
// additions appended.
func extends(was string, c *config.Config) bool {
	shorter := *c
	all := c.Train.ExtendEpochs
	for n := range len(all) + 1 {
		shorter.Train.ExtendEpochs = all[:n]
		if shorter.Settings()[extendKey] == was {
			return true
		}
	}
	return false
}

// lengthened reports whether the run in a directory has train.extend_epochs, of its
// settings, to which c adds epochs.
func lengthened(was map[string]string, c *config.Config) bool {
	value, known := was[extendKey]
	return known && value != c.Settings()[extendKey] && extends(value, c)
}

// Shorter reports whether a directory has the results of a run to which c adds epochs,
// so that they are not the results of c.
func Shorter(dir string, c *config.Config) bool {
	was, err := identity.Read(filepath.Join(dir, finalDir))
	return err == nil && was != nil && lengthened(was.Settings, c)
}

// extendKey is the configuration key of added epochs.
const extendKey = "train.extend_epochs"
