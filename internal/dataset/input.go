package dataset

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
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

// openText returns what r holds, the file at path from its start. It is an error if the start is that of a file of
// another kind, such as gzip data, UTF-16 or an HTML page, which the readers of text would take for a wrong header or
// row.
func openText(path string, r io.Reader) (*bufio.Reader, error) {
	head := bufio.NewReaderSize(r, 1<<16)
	start, _ := head.Peek(64) // reading head returns its error again
	if what := infile.DescribeBinary(start); what != "" {
		return nil, place.Mistake(fmt.Errorf("dataset: read %s: it is %s; want a text file in UTF-8", path, what))
	}
	return head, nil
}

// Close closes the file.
func (in *input) Close() error { return in.f.Close() }

// file returns the path and the hash of the bytes that were read so far.
func (in *input) file() File { return File{in.path, hex.EncodeToString(in.sum.Sum(nil))} }
