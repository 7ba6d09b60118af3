package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
)

// A cache file contains, with all numbers little-endian:
//
//	[8]byte  magic, the format version in its last byte
//	[32]byte key
//	int64    examples n, tokens N, truncated
//	int64    Cu [n+1]
//	int32    IDs [N], TypeIDs [N]
//	[32]byte SHA-256 of everything before
const (
	cacheMagic  = "lor2ctk\x01"
	cacheHeader = len(cacheMagic) + sha256.Size + 3*8
)

// cacheKey returns a hash of everything that the token ids depend on. It
// includes the lengths of the texts, so that different lists of texts have
// different keys.
func cacheKey(tokenizer [32]byte, examples []Example, maxLength int) [32]byte {
	h := sha256.New()
	h.Write([]byte(cacheMagic))
	h.Write(tokenizer[:])
	number(h, maxLength)
	number(h, len(examples))
	for _, x := range examples {
		x.texts(h)
	}
	return [32]byte(h.Sum(nil))
}

// texts writes the texts of x to h with their lengths, so that different
// examples have different hashes.
func (x Example) texts(h hash.Hash) {
	text(h, x.TextA)
	if x.TextB == nil {
		number(h, -1)
	} else {
		text(h, *x.TextB)
	}
	if x.Words == nil {
		return
	}
	number(h, len(x.Words))
	for _, word := range x.Words {
		text(h, word)
	}
}

func number(h hash.Hash, n int) {
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(int64(n))))
}

func text(h hash.Hash, s string) {
	number(h, len(s))
	h.Write([]byte(s))
}

func cachePath(dir string, key [32]byte) string {
	return filepath.Join(dir, "tokens-"+hex.EncodeToString(key[:16])+".bin")
}

// readCache returns the content of the cache file of key, or false if there is
// no such file or if it is not exactly what writeCache wrote for n examples.
func readCache(dir string, key [32]byte, n int) (*Encoded, bool) {
	raw, err := os.ReadFile(cachePath(dir, key))
	if err != nil || len(raw) < cacheHeader+sha256.Size {
		return nil, false
	}
	body, sum := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, false
	}
	if !bytes.HasPrefix(body, append([]byte(cacheMagic), key[:]...)) {
		return nil, false
	}
	var sizes [3]int64
	decode(body[cacheHeader-3*8:], sizes[:])
	// The lengths come from the file, so they are checked against its size
	// before they are used.
	tokens := sizes[1]
	if sizes[0] != int64(n) || tokens < 0 || tokens > int64(len(body)) ||
		int64(len(body)-cacheHeader) != 8*int64(n+1)+8*tokens {
		return nil, false
	}
	e := &Encoded{Cu: make([]int64, n+1), IDs: make([]int32, tokens), TypeIDs: make([]int32, tokens),
		Truncated: int(sizes[2])}
	rest := body[cacheHeader:]
	decode(rest, e.Cu)
	if e.Cu[0] != 0 || e.Cu[n] != tokens || !slices.IsSorted(e.Cu) || sizes[2] < 0 || sizes[2] > int64(n) {
		return nil, false
	}
	decode(rest[8*(n+1):], e.IDs)
	decode(rest[8*int64(n+1)+4*tokens:], e.TypeIDs)
	return e, true
}

// decode fills to from the start of b. readCache has checked that b is long
// enough.
func decode(b []byte, to any) {
	if _, err := binary.Decode(b, binary.LittleEndian, to); err != nil {
		panic(err)
	}
}

// writeCache writes to a temporary file and renames it, so that a reader never
// sees a part of a file, also if two runs write the same file.
func writeCache(dir string, key [32]byte, e *Encoded) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("dataset: write token cache: %w; make the folder of caches writable, or train without a cache", err)
		}
	}()
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	body := append([]byte(cacheMagic), key[:]...)
	for _, part := range []any{[]int64{int64(e.Len()), int64(len(e.IDs)), int64(e.Truncated)}, e.Cu, e.IDs, e.TypeIDs} {
		if body, err = binary.Append(body, binary.LittleEndian, part); err != nil {
			return err
		}
	}
	sum := sha256.Sum256(body)
	path := cachePath(dir, key)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // has no effect after the rename
	_, err = f.Write(append(body, sum[:]...))
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
