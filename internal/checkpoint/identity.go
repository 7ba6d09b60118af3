package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Files lists the paths of the weights files that are open, in the order they
// were opened. Other files of the folder play no part in the model.
func (m *Model) Files() []string {
	paths := make([]string, len(m.shards))
	for i, f := range m.shards {
		paths[i] = f.path
	}
	return paths
}

// Home returns the path of the file that holds a tensor, "" where none does.
func (m *Model) Home(name string) string {
	if f := m.home[name]; f != nil {
		return f.path
	}
	return ""
}

// SHA256 identifies the content of the model as 64 hexadecimal digits: the
// SHA-256 of name, type, shape and bytes of every tensor in the order of their
// names. How the tensors are spread over files, their order in a file and
// metadata do not change it.
func (m *Model) SHA256() (string, error) {
	h := sha256.New()
	for _, name := range m.Names() {
		f := m.home[name]
		e, raw, err := f.find(name)
		if err != nil {
			return "", err
		}
		// Quoted and with a line end, so that no two lists of tensors give one text.
		fmt.Fprintf(h, "%q %s %d\n", name, e.dtype, e.shape)
		if err := f.guard(name, func() error {
			h.Write(raw)
			return nil
		}); err != nil {
			return "", err
		}
		f.Drop(name)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
