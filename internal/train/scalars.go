package train

import (
	"path/filepath"

	"github.com/lor2c/lor2c/internal/adapter"
)

// Scalars returns how many numbers the adapter of a run's best epoch has, the
// head not counted; of full fine-tuning, the encoder.
func Scalars(run string) (int, error) {
	saved, err := adapter.Open(filepath.Join(run, bestLink))
	if err != nil {
		return 0, err
	}
	defer saved.Close()
	return saved.Scalars(), nil
}
