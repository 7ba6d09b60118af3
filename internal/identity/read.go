package identity

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
)

// most is the largest size of the file in bytes. It contains all labels, of
// which there may be a thousand long ones.
const most = 16 << 20

// Read returns the manifest in dir, or nil if there is none, because an older
// lor2c or another program wrote the directory.
func Read(dir string) (*Manifest, error) {
	path := filepath.Join(dir, File)
	text, err := infile.Read(path, most)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("identity: read %s: %w; want the file that lor2c train wrote", path, err)
	}
	return parse(path, text)
}

// parse returns the manifest in text. Errors name path.
func parse(path string, text []byte) (*Manifest, error) {
	m := &Manifest{}
	if err := strictjson.UnmarshalKnown(text, m); err != nil {
		return nil, fmt.Errorf("identity: read %s:%w; want the file that lor2c train wrote", path, err)
	}
	if m.Format != format {
		return nil, fmt.Errorf("identity: read %s: its format is %d; this lor2c reads %d", path, m.Format, format)
	}
	refuse := func(what string, a ...any) (*Manifest, error) {
		return nil, fmt.Errorf("identity: read %s: "+what+"; want the file that lor2c train wrote",
			append([]any{path}, a...)...)
	}
	if parts := m.Unchecked(); parts != nil {
		return refuse("it does not contain %s", place.List(parts))
	}
	if !isDigest(m.Base.Weights) {
		return refuse("base.weights_sha256 is %s, which is not a SHA-256", place.Quote(m.Base.Weights))
	}
	if !isDigest(m.Base.Tokenizer) {
		return refuse("base.tokenizer_sha256 is %s, which is not a SHA-256", place.Quote(m.Base.Tokenizer))
	}
	for name, s := range m.Data {
		if !isDigest(s.SHA256) || s.Examples < 1 {
			return refuse("data.%s has %s and the SHA-256 %s", name,
				place.Count(s.Examples, "example", "examples"), place.Quote(s.SHA256))
		}
	}
	return m, nil
}

func isDigest(s string) bool {
	raw, err := hex.DecodeString(s)
	return err == nil && len(raw) == 32
}
