package train

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
)

// Scalars returns how many numbers the adapter of a run's best epoch has, the
// head not counted; of full fine-tuning, the encoder.
func Scalars(run string) (n int, err error) {
	path := filepath.Join(run, bestLink, "adapter_model.safetensors")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(run, bestLink, "model.safetensors")
	}
	f, err := checkpoint.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for _, name := range f.Names() {
		if strings.Contains(name, "classifier.") || strings.Contains(name, ".pooler.") {
			continue
		}
		_, shape, _ := f.Info(name)
		n += compute.Shape(shape).Len()
	}
	return n, nil
}
