package train

import (
	"path/filepath"

	"github.com/lor2c/lor2c/internal/adapter"
)

// Scalars returns the number of scalars in the adapter of a run's best epoch, without
// the head. For full fine-tuning it is the number of scalars in the encoder.
func Scalars(run string) (int, error) {
	saved, err := adapter.Open(filepath.Join(run, bestLink))
	if err != nil {
		return 0, err
	}
	defer saved.Close()
	return saved.Scalars(), nil
}
