package benchmark

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lor2c/lor2c/internal/place"
)

// releaseText has a line for each released file: its name, the SHA-256 of its rows, and one byte of the SHA-256 of each
// row, in hexadecimal. TestRelease writes it from the files.
//
//go:embed release.txt
var releaseText string

// released is what is known of a released file.
type released struct{ sum, rows string }

var releases = func() map[string]released {
	all := map[string]released{}
	for line := range strings.Lines(releaseText) {
		fields := strings.Fields(line)
		all[fields[0]] = released{fields[1], fields[2]}
	}
	return all
}()

// digest returns the record of a file with the given rows.
func digest[T any](rows []T) (released, error) {
	all := sha256.New()
	var each strings.Builder
	for _, row := range rows {
		raw, err := json.Marshal(row)
		if err != nil {
			return released{}, err
		}
		sum := sha256.Sum256(raw)
		all.Write(sum[:])
		each.WriteString(hex.EncodeToString(sum[:1]))
	}
	return released{hex.EncodeToString(all.Sum(nil)), each.String()}, nil
}

// checkRelease returns an error if the rows of the file at path are not those of the released file with the given name,
// and names the first row that differs.
func checkRelease[T any](name, path string, rows []T) error {
	want, ok := releases[name]
	if !ok {
		return fmt.Errorf("benchmark: read %s: the release has no such file; add --own-data to use files of your own",
			path)
	}
	got, err := digest(rows)
	if err != nil || got.sum == want.sum {
		return err
	}
	n := len(want.rows) / 2
	for i := range min(n, len(rows)) {
		if got.rows[2*i:2*i+2] != want.rows[2*i:2*i+2] {
			return fmt.Errorf("benchmark: read %s: row %d is not that of the released file; fetch the file again, or add "+
				"--own-data to ask it as data of your own", path, i+1)
		}
	}
	if len(rows) < n {
		return fmt.Errorf("benchmark: read %s: it ends after row %d of %d; fetch the file again, or add --own-data to ask "+
			"it as data of your own", path, len(rows), n)
	}
	return fmt.Errorf("benchmark: read %s: it has %s and differs from the released file, which has %d; fetch the "+
		"file again, or add --own-data to ask it as data of your own", path, place.Count(len(rows), "row", "rows"), n)
}
