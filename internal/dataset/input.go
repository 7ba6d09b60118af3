package dataset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"

	"github.com/lor2c/lor2c/internal/infile"
)

// input is a data file that is read from its beginning to its end. Reading
// returns the error of the context once that is done, and hashes all bytes that
// are read.
type input struct {
	ctx  context.Context
	path string
	f    io.ReadCloser
	sum  hash.Hash
}

// openInput opens a regular file, or reads a pipe to its end.
func openInput(ctx context.Context, path string) (*input, error) {
	in := &input{ctx: ctx, path: path, sum: sha256.New()}
	if infile.IsStream(path) {
		data, err := infile.ReadStream(ctx, path, infile.Stream)
		in.f = io.NopCloser(bytes.NewReader(data))
		return in, err
	}
	f, err := infile.Open(path)
	in.f = f
	return in, err
}

// isFile reports whether openInput can read the file at path.
func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && (info.Mode().IsRegular() || infile.IsStream(path))
}

// Read implements io.Reader.
func (in *input) Read(b []byte) (int, error) {
	if err := in.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := in.f.Read(b)
	in.sum.Write(b[:n])
	return n, err
}

// Close closes the file.
func (in *input) Close() error { return in.f.Close() }

// file returns the path and the hash of the bytes that were read so far.
func (in *input) file() File { return File{in.path, hex.EncodeToString(in.sum.Sum(nil))} }
