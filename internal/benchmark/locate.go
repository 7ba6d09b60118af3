package benchmark

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// locateMMLU returns the folder that contains the folders dev and test.
func locateMMLU(path string) (string, error) {
	return locate(path, "the folder of the released data with dev and test", func(dir string) bool {
		found, _ := fs.Glob(os.DirFS(dir), "test/*_test.csv")
		return found != nil
	}, "mmlu", "data", "mmlu/data", "data/MMLU", "mmlu/data/MMLU")
}

// locateBBH returns the folder with a file for each task.
func locateBBH(path string) (string, error) {
	return locate(path, "the folder with the files *.json of its tasks", func(dir string) bool {
		found, _ := fs.Glob(os.DirFS(dir), "*.json")
		return found != nil
	}, "bbh", "bbh/bbh")
}

// locateDROP returns the file of the dev split. Files whose order of rows is the original one are preferred.
func locateDROP(path string) (string, error) {
	return locateFile(path, "drop_dataset_dev.json or drop_v0_dev.jsonl.gz", "drop",
		"drop_dataset_dev.json", "drop_v0_dev.jsonl", "drop_v0_dev.jsonl.gz")
}

// locateHumanEval returns the file of the problems.
func locateHumanEval(path string) (string, error) {
	return locateFile(path, "HumanEval.jsonl or HumanEval.jsonl.gz", "humaneval", "HumanEval.jsonl", "HumanEval.jsonl.gz")
}

// locate returns path, or the first of the folders below it, that has what is looked for.
func locate(path, want string, has func(dir string) bool, below ...string) (string, error) {
	for _, sub := range append([]string{""}, below...) {
		if dir := filepath.Join(path, filepath.FromSlash(sub)); has(dir) {
			return dir, nil
		}
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("benchmark: open %s: there is no such file or folder; want %s", path, want)
	}
	return "", fmt.Errorf("benchmark: open %s: it has no %s files; want %s", path, below[0], want)
}

// locateFile returns path if it is a file, or the first of the named files in it or in a folder below it.
func locateFile(path, want, below string, names ...string) (string, error) {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return path, nil
	}
	var file string
	_, err := locate(path, want, func(dir string) bool {
		for _, name := range names {
			file = filepath.Join(dir, name)
			if _, err := os.Stat(file); err == nil {
				return true
			}
		}
		return false
	}, below)
	return file, err
}

// stem returns the name of a file without the given ending.
func stem(path, ending string) string { return strings.TrimSuffix(filepath.Base(path), ending) }
