// Package infile opens the files that a user names or that lie in a directory
// that a user names. Such a file may be missing, of any size, a directory, a
// device or a pipe that nobody writes to; the functions of this package neither
// hang nor fill the memory.
//
// The errors of this package do not contain the path, because the callers put
// it in front: "model: open PATH: it is a directory; a regular file is
// expected". The error of a file that does not exist wraps [fs.ErrNotExist].
package infile

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/lor2c/lor2c/internal/place"
)

// These are the limits of [Read] and [ReadStream] for each kind of file, in
// bytes.
const (
	RunFile   = 1 << 20   // run files and sweep files
	Config    = 1 << 20   // config.json, adapter_config.json and other small JSON files
	Tokenizer = 64 << 20  // each file of a tokenizer; the largest in use are near 35 MB
	Index     = 64 << 20  // model.safetensors.index.json
	Log       = 1 << 30   // metrics.jsonl and other files that grow with a run
	Stream    = 512 << 20 // data that arrives through a pipe and is kept in memory
)

// Open opens a regular file for reading, whatever its size. It refuses
// everything else without waiting for it.
func Open(path string) (*os.File, error) {
	// Opening a device can already have an effect, so its kind is checked
	// first. The path may lead to another file by the time it is opened, so the
	// file is opened without blocking and its kind is checked again.
	info, err := os.Stat(path)
	if err != nil {
		return nil, place.WithoutPath(err)
	}
	if err := wantRegular(info.Mode()); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, place.WithoutPath(err)
	}
	info, err = f.Stat()
	if err == nil {
		err = wantRegular(info.Mode())
	}
	if err != nil {
		f.Close()
		return nil, place.WithoutPath(err)
	}
	return f, nil
}

// Read returns the content of a regular file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > limit {
		return nil, fmt.Errorf("it has %s; at most %s is allowed for such a file", size(info.Size()), size(limit))
	}
	return readAll(f, limit)
}

// IsStream reports whether path leads to a pipe or a character device, such as
// /dev/stdin or what a shell passes for <(command). The content of a stream can
// be read only once; see [ReadStream].
func IsStream(path string) bool {
	info, err := os.Stat(path)
	return err == nil && isStream(info.Mode())
}

// ReadStream returns the content of a regular file, a pipe or a character
// device of at most limit bytes. It opens the file once and waits for the
// writer of a pipe until ctx is done; then the error is that of ctx.
func ReadStream(ctx context.Context, path string, limit int64) ([]byte, error) {
	if !IsStream(path) {
		return Read(path, limit)
	}
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	// Opening a pipe waits for its writer and cannot be interrupted. If ctx is
	// done first, this goroutine keeps waiting until the process ends, which is
	// soon.
	go func() {
		f, err := os.Open(path)
		if err != nil {
			done <- result{nil, place.WithoutPath(err)}
			return
		}
		defer f.Close()
		data, err := readAll(f, limit)
		done <- result{data, err}
	}()
	select {
	case r := <-done:
		return r.data, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// OpenStream opens a pipe or a character device; see [IsStream]. It waits for the writer of a pipe.
func OpenStream(path string) (*os.File, error) {
	f, err := os.Open(path)
	return f, place.WithoutPath(err)
}

// readAll reads r to its end. The limit is checked while reading, because a
// file can grow and some file systems report the size 0.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, place.WithoutPath(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it has more than %s, which is all that is allowed for such a file", size(limit))
	}
	return data, nil
}

func isStream(m fs.FileMode) bool {
	return m&fs.ModeNamedPipe != 0 || m&fs.ModeCharDevice != 0
}

func wantRegular(m fs.FileMode) error {
	if m.IsRegular() {
		return nil
	}
	return fmt.Errorf("it is a %s; a regular file is expected", kind(m))
}

// kind returns a name for a file with mode m that is not a regular file.
func kind(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "directory"
	case m&fs.ModeNamedPipe != 0:
		return "pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// size returns n bytes as text in the largest unit that fits, with one decimal.
func size(n int64) string {
	for _, u := range []struct {
		bytes int64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.bytes {
			if n%u.bytes == 0 {
				return fmt.Sprintf("%d %s", n/u.bytes, u.name)
			}
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return place.Count(int(n), "byte", "bytes")
}
