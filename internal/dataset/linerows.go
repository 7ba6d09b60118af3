package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/lor2c/lor2c/internal/place"
)

// lineRows reads a text, or a pair of texts with a tab between, from each line. An empty line is an empty text, so that
// the lines of the output are those of the input.
type lineRows struct {
	lines
	pair bool
	keep []string
	id   int // of the next row
}

// next implements rows.
func (l *lineRows) next() (row, error) {
	text, err := l.any()
	if err == io.EOF {
		return row{}, err
	}
	one := row{id: l.id, line: l.n, a: text}
	l.id++
	if err != nil {
		return one, err
	}
	if l.pair {
		a, b, found := strings.Cut(text, "\t")
		if !found {
			return one, badRow("dataset: read %s:%d: there is no tab; want the two texts of a pair with a tab between", l.path,
				l.n)
		}
		one.a, one.b = a, &b
	}
	for _, name := range l.keep {
		if name == LineColumns[0] {
			one.kept = append(one.kept, Value{Text: one.a})
		} else {
			one.kept = append(one.kept, Value{Text: *one.b})
		}
	}
	return one, nil
}

// checkLineColumns returns an error if a column to keep is none of Lines.
func checkLineColumns(t Texts) error {
	have := LineColumns[:max(1, len(t.Text))]
	for _, name := range t.Keep {
		if !slices.Contains(have, name) {
			return place.Mistake(fmt.Errorf("dataset: open %s: no column %s; lines have %s", t.Path, place.Quote(name),
				oneOf(name, have)))
		}
	}
	return nil
}

// isBad reports whether err concerns one row only, so that the rows after it can be read.
func isBad(err error) bool {
	var bad *BadRow
	return errors.As(err, &bad)
}

// counter counts the bytes that are read, until ctx ends.
type counter struct {
	ctx context.Context
	r   io.Reader
	n   atomic.Int64
}

// Read implements io.Reader.
func (c *counter) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}
