package dataset

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// These are the formats of texts to predict.
const (
	CSV   = "csv"
	TSV   = "tsv"
	JSONL = "jsonl"
	Lines = "lines" // one text per line; the two texts of a pair are separated by a tab
	CoNLL = "conll" // sentences of words, a line for each word; only of Texts.Words
)

// Formats lists the formats of texts to predict.
var Formats = []string{CSV, TSV, JSONL, Lines, CoNLL}

// Texts names a file with texts to predict, which needs no labels.
type Texts struct {
	Path   string // - is Stdin
	Stdin  io.Reader
	Format string   // empty means that of the extension, and Lines for a stream
	Text   []string // columns of the text, or of the two texts of a pair; in Lines their number counts
	Keep   []string // further columns that rows have
	// Words says that texts are sentences whose words are tagged. JSONL may then have a list of words, and a .tsv file is
	// in the format of CoNLL. Text may be nil; in CoNLL it is the number of the column of the words.
	Words bool
}

// LineColumns are the names of the columns of Lines.
var LineColumns = []string{"text", "text_pair"}

// Row is a row of a file of texts.
type Row struct {
	Example
	Kept []Value // of the columns of Texts.Keep
}

// Value is the content of a column.
type Value struct {
	Text string
	JSON bool // Text is a JSON value that is no string
}

// Rows reads a file of texts row by row, in constant memory.
type Rows struct {
	Path   string // for people: that of the file, or "standard input"
	Format string
	Size   int64 // of the file in bytes; 0 for a stream
	rows   rows
	close  io.Closer
	read   *counter
	quotes *quoting // of a stream of TSV, whose quotes are kept
	bare   bool     // quotes around fields are removed
}

// OpenRows opens a file of texts and reads its header line. The quotes of a TSV file are those that Open would find: a
// regular file is read twice for that. In a stream, only a header in quotes tells.
func OpenRows(ctx context.Context, t Texts) (*Rows, error) {
	r := &Rows{Path: t.Path}
	stream := t.Path == "-" || infile.IsStream(t.Path)
	if err := r.choose(t, stream); err != nil {
		return nil, err
	}
	s := sentenceLayout{text: strings.Join(t.Text, ""), keep: t.Keep, noTags: true}
	if t.Words && t.Text == nil {
		t.Text = textKeys[:1]
	}
	l := layout{text: t.Text, keep: t.Keep, quotes: true}
	if r.Format == Lines {
		if err := checkLineColumns(t); err != nil {
			return nil, err
		}
	}
	if !stream && r.Format == TSV {
		var err error
		if r.bare, err = scanQuotes(ctx, t.Path, l); err != nil {
			return nil, place.Given(err)
		}
	}
	in, err := r.open(ctx, t, stream)
	if err != nil {
		return nil, err
	}
	switch r.Format {
	case CoNLL:
		r.rows = openSentences(r.Path, in, false, s)
	case CSV:
		r.rows, err = openCSV(r.Path, in, l)
	case TSV:
		var tsv *tsvRows
		if tsv, err = openTSV(r.Path, in, l); err == nil {
			r.rows, r.bare = tsv, r.bare || tsv.q.quotedHeader
			if stream {
				r.quotes = &tsv.q
			}
		}
	case JSONL:
		if r.rows = openJSONL(r.Path, in, l); t.Words {
			r.rows = openSentences(r.Path, in, true, s)
		}
	default:
		r.rows = &lineRows{lines: linesOf(r.Path, in), pair: len(t.Text) == 2,
			keep: t.Keep}
	}
	if err != nil {
		r.Close()
		return nil, place.Given(err)
	}
	return r, nil
}

// choose sets the format.
func (r *Rows) choose(t Texts, stream bool) error {
	ext := strings.ToLower(filepath.Ext(t.Path))
	switch {
	case t.Format != "":
		r.Format = t.Format
	case t.Words && ext != jsonlExtension && ext != ".txt" && slices.Contains(tokenExtensions, ext):
		r.Format = CoNLL
	case slices.Contains(extensions, ext):
		r.Format = strings.TrimPrefix(ext, ".")
	case stream || ext == ".txt":
		r.Format = Lines
	default:
		return place.Mistake(fmt.Errorf("dataset: open %s: the extension is %s; want .csv, .tsv, .jsonl or .txt, or the "+
			"format by name, one of %s", t.Path, place.Quote(ext), strings.Join(Formats, ", ")))
	}
	if r.Format == CoNLL && !t.Words {
		return place.Mistake(fmt.Errorf("dataset: open %s: the format is conll, in which words have lines, and the adapter "+
			"does not tag words; want one of %s", t.Path, strings.Join(Formats[:len(Formats)-1], ", ")))
	}
	if r.Format == CoNLL && (len(t.Keep) > 0 || !isColumn(t.Text)) {
		return place.Mistake(fmt.Errorf("dataset: open %s: the format is conll, whose columns have no names; want the "+
			"number of the column of the words with --text, and neither --id nor --keep", t.Path))
	}
	if !slices.Contains(Formats, r.Format) {
		return place.Mistake(fmt.Errorf("dataset: open %s: the format is %s; want one of %s", t.Path, place.Quote(r.Format),
			strings.Join(Formats, ", ")))
	}
	return nil
}

// open opens the file. Reading it ends with ctx.
func (r *Rows) open(ctx context.Context, t Texts, stream bool) (io.Reader, error) {
	var from io.Reader
	switch {
	case t.Path == "-":
		r.Path, from = "standard input", t.Stdin
	case stream:
		f, err := infile.OpenStream(t.Path)
		if err != nil {
			return nil, place.Given(fmt.Errorf("dataset: open %s: %w", t.Path, err))
		}
		from, r.close = f, f
	default:
		f, err := infile.Open(t.Path)
		if err != nil {
			return nil, place.Given(fmt.Errorf("dataset: open %s: %w", t.Path, err))
		}
		from, r.close = f, f
		if info, err := f.Stat(); err == nil {
			r.Size = info.Size()
		}
	}
	r.read = &counter{ctx: ctx, r: from}
	if stream {
		// Waiting for the start of a stream would hold its first row back.
		return r.read, nil
	}
	head, err := openText(t.Path, r.read)
	if err != nil {
		r.Close()
		return nil, err
	}
	return head, nil
}

// scanQuotes reports whether the fields of a TSV file have quotes around them, as [quoting] finds it out.
func scanQuotes(ctx context.Context, path string, l layout) (bool, error) {
	in, err := openInput(ctx, path)
	if err != nil {
		return false, fmt.Errorf("dataset: open %s: %w", path, err)
	}
	defer in.Close()
	head, err := openText(path, in)
	if err != nil {
		return false, err
	}
	t, err := openTSV(path, head, l)
	if err != nil {
		return false, err
	}
	for {
		_, err := t.next()
		switch {
		case err == io.EOF:
			return t.q.certain(), t.q.contradiction(path)
		case err != nil && !isBad(err):
			return false, err
		}
	}
}

// Next returns the next row, io.EOF after the last, or an error with the place. After a [*BadRow] the next call returns
// the row after it.
func (r *Rows) Next() (Row, error) {
	one, err := r.rows.next()
	if err != nil {
		if err == io.EOF || isBad(err) {
			return Row{Example: Example{ID: one.id}}, err
		}
		return Row{}, place.Given(err)
	}
	if r.quotes != nil {
		if err := r.quotes.contradiction(r.Path); err != nil {
			return Row{}, place.Given(err)
		}
	}
	if r.bare {
		one.unquote(false)
	}
	for _, s := range []*string{&one.a, one.b} {
		if s != nil && len(*s) > maxText {
			return Row{Example: Example{ID: one.id}}, badRow("dataset: read %s:%d: a text of %d bytes; want at most %d", r.Path,
				one.line, len(*s), maxText)
		}
	}
	return Row{Example{ID: one.id, Line: one.line, TextA: one.a, TextB: one.b, Words: one.words}, one.kept}, nil
}

// Findings returns what was noticed in the rows so far.
func (r *Rows) Findings() []Finding {
	if c, ok := r.rows.(*csvRows); ok {
		return c.spans.findings(r.Path)
	}
	if q := r.quotes; q != nil && !r.bare && q.certain() {
		return []Finding{{Kind: "quotes", Path: r.Path, Line: q.first, Count: q.whole,
			Text: fmt.Sprintf("quotes around a whole field, %s, were kept, because only a header in quotes tells that a stream "+
				"of TSV has them; give the file by name, or as CSV", place.Count(q.whole, "time", "times"))}}
	}
	return nil
}

// Done returns the number of bytes that were read of a file.
func (r *Rows) Done() int64 { return r.read.n.Load() }

// Close closes the file.
func (r *Rows) Close() error {
	if r.close == nil {
		return nil
	}
	return r.close.Close()
}
