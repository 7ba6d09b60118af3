package benchmark

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// maxData is the most bytes of a benchmark file once it is decompressed.
const maxData = 256 << 20

// readLines decodes a file of JSON lines, compressed if its name ends in .gz,
// and calls add for each.
func readLines[T any](path string, add func(line int, v T) error) error {
	data, err := infile.Read(path, infile.Stream)
	if err == nil && strings.HasSuffix(path, ".gz") {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			data, err = io.ReadAll(io.LimitReader(z, maxData+1))
		}
		if err == nil && len(data) > maxData {
			err = fmt.Errorf("it has more than %d bytes once it is decompressed", maxData)
		}
	}
	if err != nil {
		return place.Mistake(fmt.Errorf("benchmark: read %s: %w", path, err))
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var v T
		err := strictjson.Unmarshal(line, &v)
		var at *strictjson.Error
		if errors.As(err, &at) {
			return place.Mistake(fmt.Errorf("benchmark: read %s:%d:%d: %s", path, n, at.Position.Column, at.What))
		}
		if err == nil {
			err = add(n, v)
		}
		if err != nil {
			return place.Mistake(fmt.Errorf("benchmark: read %s:%d: %w", path, n, err))
		}
	}
	return nil
}
