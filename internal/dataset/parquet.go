package dataset

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/place"
)

// hubLabel is the label column of every GLUE task on the hub; its values are
// the class index, the STS-B score, or -1 for a withheld label.
const hubLabel = "label"

// findShards returns the files of one split in dir, stem-00000-of-00002.parquet
// and so on, or stem.parquet. It returns nil if there are none, and an error if
// some are missing, because a run would otherwise silently use a part of the
// data.
func findShards(dir, stem string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil // openGLUE returns the error
	}
	var shards []string
	want := 0
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), stem)
		if !ok || e.IsDir() || !strings.HasSuffix(rest, ".parquet") || rest[0] != '-' && rest != ".parquet" {
			continue
		}
		shards = append(shards, filepath.Join(dir, e.Name()))
		var index int
		fmt.Sscanf(rest, "-%d-of-%d", &index, &want)
	}
	if want > 0 && want != len(shards) {
		return nil, fmt.Errorf("dataset: open %s: %d of %d files %s-*.parquet; want all of them", dir, len(shards), want,
			stem)
	}
	return shards, nil
}

func (g glueTask) readParquet(ctx context.Context, split string, paths []string) (*Split, error) {
	s := &Split{Path: paths[0]}
	for _, path := range paths {
		examples, file, err := g.readShard(ctx, path, !isTest(split))
		if err != nil {
			return nil, err
		}
		s.Files = append(s.Files, file)
		for _, e := range examples {
			e.ID = len(s.Examples)
			s.Examples = append(s.Examples, e)
		}
	}
	if len(s.Examples) == 0 {
		return nil, errNoRows(paths[0])
	}
	return s, checkEmpty(s)
}

// readShard reads one parquet file. Line of an example is its row in the file.
func (g glueTask) readShard(
	ctx context.Context, path string, needLabel bool,
) (examples []Example, file File, err error) {
	in, err := openInput(ctx, path)
	if err != nil {
		return nil, file, fmt.Errorf("dataset: open %s: %w", path, err)
	}
	defer in.Close()
	raw, err := io.ReadAll(io.LimitReader(in, maxShard+1))
	if err == nil && len(raw) > maxShard {
		err = fmt.Errorf("it has more than %d MiB; want shards of fewer rows", maxShard>>20)
	}
	if err != nil {
		return nil, file, fmt.Errorf("dataset: read %s: %w", path, err)
	}
	examples, err = g.decodeShard(path, raw, needLabel)
	return examples, in.file(), err
}

// maxShard is the largest size of a parquet file in bytes; the largest of GLUE
// has 52 MB.
const maxShard = 1 << 30

// shard is a parquet file with the budget of bytes that may still be decoded.
type shard struct {
	path string
	raw  []byte
	file *parquet.File
	left budget
}

// decodeShard does what readShard does, on the content of a file.
func (g glueTask) decodeShard(path string, raw []byte, needLabel bool) (examples []Example, err error) {
	// The library panics on some damaged files, which are an error to the user.
	defer func() {
		if p := recover(); p != nil {
			examples, err = nil, fmt.Errorf("dataset: read %s: damaged: %v; want a parquet file", path, p)
		}
	}()
	s, err := openShard(path, raw)
	if err != nil {
		return nil, err
	}
	task := g.task(true)
	if err := checkClassNames(path, s.file, task.Labels); err != nil {
		return nil, err
	}
	for i, name := range g.hubText {
		if examples, err = s.readTexts(name, i == 1, examples); err != nil {
			return nil, err
		}
	}
	if _, has := s.file.Schema().Lookup(hubLabel); !has && !needLabel {
		return examples, nil
	}
	err = s.eachValue(hubLabel, func(row int, v parquet.Value) error {
		label, withheld, err := task.hubValue(v, g.score())
		if err == nil && withheld && needLabel {
			err = fmt.Errorf("example without label; want a label on every example used to train or evaluate")
		}
		examples[row].Label, examples[row].HasLabel = label, !withheld
		return err
	})
	if err != nil {
		return nil, err
	}
	return examples, nil
}

// openShard opens the content of a parquet file.
func openShard(path string, raw []byte) (*shard, error) {
	// The library allocates as many bytes for the footer as the length after it
	// says.
	if n := len(raw); n >= 8 && int64(binary.LittleEndian.Uint32(raw[n-8:])) > int64(max(n-12, 0)) &&
		(bytes.HasSuffix(raw, []byte("PAR1")) || bytes.HasSuffix(raw, []byte("PARE"))) {
		return nil, fmt.Errorf("dataset: read %s: the footer says that it is longer than the file; want a parquet file", path)
	}
	f, err := parquet.OpenFile(bytes.NewReader(raw), int64(len(raw)), parquet.SkipPageIndex(true),
		parquet.SkipBloomFilters(true))
	if err != nil {
		what := infile.Describe(raw[:min(len(raw), 64)])
		if what != "" && !bytes.HasPrefix(raw, []byte("PAR1")) {
			return nil, fmt.Errorf("dataset: read %s: it is %s; want a parquet file", path, what)
		}
		return nil, fmt.Errorf("dataset: read %s: %w; want a parquet file", path, err)
	}
	s := &shard{path, raw, f, budget{decodeBudget(len(raw)), int64(len(raw))}}
	if rows := f.NumRows(); rows < 0 || rows > math.MaxInt32 || s.left.take(rows*exampleBytes) != nil {
		return nil, fmt.Errorf("dataset: read %s: %s in %d bytes; %w", path, place.Count(int(rows), "row", "rows"), len(raw),
			errBudget)
	}
	return s, nil
}

// readTexts reads a column of texts. The first one makes the examples, and the second one adds to them.
func (s *shard) readTexts(name string, second bool, examples []Example) ([]Example, error) {
	seen := map[string]*string{} // equal texts share memory
	err := s.eachValue(name, func(row int, v parquet.Value) error {
		if v.IsNull() || v.Kind() != parquet.ByteArray {
			return fmt.Errorf("column %q holds %s; want a string", name, place.Quote(v.String()))
		}
		text, ok := seen[string(v.ByteArray())]
		if !ok {
			text = new(string(v.ByteArray()))
			if err := checkText(*text); err != nil {
				return fmt.Errorf("column %q %w", name, err)
			}
			seen[*text] = text
		}
		if err := s.left.take(int64(len(*text))); err != nil {
			return err
		}
		if second {
			examples[row].TextB = text
			return nil
		}
		// The slice grows row by row, so that a damaged row count cannot take all memory.
		examples = append(examples, Example{Line: row + 1, TextA: *text})
		return nil
	})
	return examples, err
}

// hubValue interprets one value of the label column.
func (t Task) hubValue(v parquet.Value, s score) (label float32, withheld bool, err error) {
	var x float64
	switch {
	case v.IsNull():
		return 0, true, nil
	case v.Kind() == parquet.Int64:
		x = float64(v.Int64())
	case v.Kind() == parquet.Int32:
		x = float64(v.Int32())
	case v.Kind() == parquet.Float:
		x = float64(v.Float())
	case v.Kind() == parquet.Double:
		x = v.Double()
	default:
		return 0, false, fmt.Errorf("label is %v of type %v; want a number", v, v.Kind())
	}
	if x == -1 {
		return 0, true, nil
	}
	if t.Labels == nil {
		if !s.holds(float32(x)) {
			return 0, false, fmt.Errorf("score %g is out of range; want %s", x, s)
		}
		return float32(x), false, nil
	}
	if !(x >= 0 && x < float64(len(t.Labels))) || x != float64(int(x)) {
		return 0, false, fmt.Errorf("label %g is not in the task's set; want an index into %q", x, t.Labels)
	}
	return float32(x), false, nil
}

// eachValue calls take for every value of a column, with rows counted from 0
// over all row groups.
func (s *shard) eachValue(name string, take func(row int, v parquet.Value) error) error {
	path, f := s.path, s.file
	leaf, ok := f.Schema().Lookup(name)
	if !ok || leaf.MaxRepetitionLevel > 0 {
		var have []string
		for _, column := range f.Schema().Columns() {
			have = append(have, strings.Join(column, "."))
		}
		return place.Mistake(fmt.Errorf("dataset: read %s: no column %q; the file has %s", path, name, oneOf(name, have)))
	}
	for i := range f.Metadata().RowGroups {
		chunk := &f.Metadata().RowGroups[i].Columns[leaf.ColumnIndex].MetaData
		err := checkCodec(chunk.Codec, path)
		if err == nil {
			err = checkPages(s.raw, chunk, f.NumRows(), &s.left)
		}
		if err != nil {
			return fmt.Errorf("dataset: read %s: column %q: %w", path, name, err)
		}
	}
	row := 0
	buffer := make([]parquet.Value, 512)
	for _, group := range f.RowGroups() {
		values := parquet.NewColumnChunkValueReader(group.ColumnChunks()[leaf.ColumnIndex])
		for {
			n, err := values.ReadValues(buffer)
			for _, v := range buffer[:n] {
				if err := take(row, v); err != nil {
					values.Close()
					return fmt.Errorf("dataset: read %s: row %d: %w", path, row+1, err)
				}
				row++
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				values.Close()
				return fmt.Errorf("dataset: read %s: column %q: %w; want a parquet file", path, name, err)
			}
		}
		if err := values.Close(); err != nil {
			return fmt.Errorf("dataset: read %s: column %q: %w; want a parquet file", path, name, err)
		}
	}
	if int64(row) != f.NumRows() {
		return fmt.Errorf("dataset: read %s: column %q has %d values; want %d, one per row", path, name, row, f.NumRows())
	}
	return nil
}

// checkClassNames compares the ClassLabel names that the hub's library stores in
// its files with the order assumed here. Tasks labelled 0 and 1 have words there
// that mean the same numbers.
func checkClassNames(path string, f *parquet.File, labels []string) error {
	raw, ok := f.Lookup("huggingface")
	if !ok || labels == nil || slices.Equal(labels, zeroOne) {
		return nil
	}
	var meta struct {
		Info struct {
			Features map[string]struct{ Names []string }
		}
	}
	// A feature of another form has no names to compare.
	if json.Unmarshal([]byte(raw), &meta) != nil {
		return nil
	}
	if names := meta.Info.Features[hubLabel].Names; names != nil && !slices.Equal(names, labels) {
		return fmt.Errorf("dataset: read %s: classes are %q in the file; want %q in this order", path, names, labels)
	}
	return nil
}
