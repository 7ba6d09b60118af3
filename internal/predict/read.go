package predict

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"

	"github.com/lor2c/lor2c/internal/dataset"
	"github.com/lor2c/lor2c/internal/place"
)

// input is a row of the input, or the error of a row that is left out.
type input struct {
	dataset.Row
	bad error
}

// chunk is a part of the input. err is the error or the end of the input after its rows, or nil.
type chunk struct {
	rows []input
	err  error
}

// These are the most rows and bytes of text of a chunk. A chunk has to be long enough for batches of texts of similar
// length, and two of them must fit in memory whatever the texts are.
const (
	chunkRows  = 4096
	chunkBytes = 8 << 20
)

// read returns a channel of the chunks of the input. The rows that have arrived are a chunk as soon as the receiver
// waits, so that a slow input is answered row by row; while the receiver works, the next chunk grows.
func (j *Job) read(ctx context.Context) <-chan chunk {
	rows, chunks := make(chan item), make(chan chunk)
	go j.parse(ctx, rows)
	most := j.Chunk
	if most == 0 {
		most = chunkRows
	}
	go func() {
		var c chunk
		bytes := 0
		for {
			from, to := rows, chunks
			if c.rows == nil && c.err == nil {
				to = nil
			}
			// A test that names a size gets chunks of this size.
			if j.Chunk > 0 && len(c.rows) < most && c.err == nil {
				to = nil
			}
			if len(c.rows) >= most || bytes >= chunkBytes || c.err != nil {
				from = nil
			}
			select {
			case i := <-from:
				if c.err = i.err; i.err == nil {
					c.rows = append(c.rows, i.input)
					bytes += i.size()
				}
			case to <- c:
				if c.err != nil {
					return
				}
				c, bytes = chunk{}, 0
			case <-ctx.Done():
				return
			}
		}
	}()
	return chunks
}

// item is a row, or the error that ends the input.
type item struct {
	input
	err error
}

// parse sends the rows of the input, and then the error that ended it.
func (j *Job) parse(ctx context.Context, rows chan<- item) {
	for {
		var i item
		i.Row, i.err = j.Rows.Next()
		var bad *dataset.BadRow
		if errors.As(i.err, &bad) {
			if i.err = place.Given(i.err); j.SkipBad {
				i.bad, i.err = i.err, nil
			}
		}
		select {
		case rows <- i:
		case <-ctx.Done():
			return
		}
		if i.err != nil {
			return
		}
	}
}

// size returns the bytes of the texts of a row.
func (i input) size() int {
	n := len(i.TextA)
	if i.TextB != nil {
		n += len(*i.TextB)
	}
	for _, v := range i.Kept {
		n += len(v.Text)
	}
	return n
}

// content is a hash of the rows of an input.
type content struct{ hash.Hash }

func newContent() content { return content{sha256.New()} }

func (c content) add(i input) {
	c.text(i.TextA)
	if i.TextB != nil {
		c.text(*i.TextB)
	}
	for _, word := range i.Words {
		c.text(word)
	}
	for _, v := range i.Kept {
		c.text(v.Text)
	}
}

func (c content) text(s string) {
	c.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(s))))
	c.Write([]byte(s))
}

// sum returns the hash of the rows so far.
func (c content) sum() string { return hex.EncodeToString(c.Sum(nil)) }
