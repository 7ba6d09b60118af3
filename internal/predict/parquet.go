package predict

import (
	"io"

	"github.com/parquet-go/parquet-go"
)

// groupRows is the number of rows of a row group. It does not depend on chunks, so the bytes of a file do not depend on
// them either.
const groupRows = 1 << 14

// ordered is a group of columns in the order of the output; a parquet.Group sorts them.
type ordered struct {
	parquet.Group
	fields []parquet.Field
}

// Fields implements parquet.Node.
func (o ordered) Fields() []parquet.Field { return o.fields }

// parquetWriter writes rows as a parquet file.
type parquetWriter struct {
	columns []column
	out     *parquet.GenericWriter[any]
}

func newParquetWriter(w io.Writer, columns []column) *parquetWriter {
	group := parquet.Group{}
	for _, c := range columns {
		group[c.name] = parquet.Leaf(map[kind]parquet.Type{
			number: parquet.Int64Type, text: parquet.String().Type(), list: parquet.String().Type(), real: parquet.FloatType,
		}[c.kind])
	}
	root := ordered{Group: group}
	for _, c := range columns {
		for _, f := range group.Fields() {
			if f.Name() == c.name {
				root.fields = append(root.fields, f)
			}
		}
	}
	return &parquetWriter{columns, parquet.NewGenericWriter[any](w, parquet.NewSchema("predictions", root),
		parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(groupRows), parquet.CreatedBy("lor2c", "", ""))}
}

func (p *parquetWriter) row(cells []cell) error {
	row := make(parquet.Row, len(cells))
	for i, c := range cells {
		var v parquet.Value
		switch p.columns[i].kind {
		case number:
			v = parquet.Int64Value(c.number)
		case real:
			v = parquet.FloatValue(c.real)
		default:
			v = parquet.ByteArrayValue([]byte(c.string(p.columns[i])))
		}
		row[i] = v.Level(0, 0, i)
	}
	_, err := p.out.WriteRows([]parquet.Row{row})
	return err
}

func (p *parquetWriter) close() error { return p.out.Close() }
