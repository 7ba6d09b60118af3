package train

import (
	"os"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/config"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/runlog"
)

// OwnFile reports whether path is a file that a run wrote and still needs, in
// its directory or in one of its checkpoints. It returns false for other files
// there, such as predictions that a user wrote.
func OwnFile(path string) bool {
	if full, err := filepath.EvalSymlinks(path); err == nil {
		path = full
	}
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return false
	}
	dir, name := filepath.Split(path)
	if checkpoint.IsDir(dir) {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, ConfigFile))
	return err == nil && (name == ConfigFile || name == lockFile || runlog.OwnFile(name))
}

// Inputs returns the data files and the model folder that a run of c reads, whether or
// not they exist.
func Inputs(c *config.Config) []string {
	paths := append(c.Data.Files(), c.Model)
	if dir, err := model.Find(c.Model); err == nil {
		paths = append(paths, dir)
	}
	return paths
}
