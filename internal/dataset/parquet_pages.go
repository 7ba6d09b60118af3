package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// decodeBudget returns the number of bytes that a parquet file of size bytes
// may decode to. The library decodes everything in a file, and a file of a
// kilobyte can decode to gigabytes. Sentences are compressed to about a third;
// the factor 64 leaves room for a file that repeats each of them many times.
func decodeBudget(size int) int64 { return 64*int64(size) + 64<<20 }

// exampleBytes is the memory of an example without its texts, in bytes.
const exampleBytes = 64

// errBudget is wrapped by the error of a file that would decode to more than
// its budget.
var errBudget = errors.New("want a file that decodes to less")

// budget is the number of bytes that may still be decoded.
type budget struct{ left, size int64 }

func (b *budget) take(n int64) error {
	if b.left -= n; n < 0 || b.left < 0 {
		return fmt.Errorf("the %d bytes of the file decode to more than %d bytes: %w", b.size, decodeBudget(int(b.size)),
			errBudget)
	}
	return nil
}

// codecs are the supported compressions, which tests read from files of other
// writers. LZ4 is not supported: for some files the library returns wrong texts
// and for others it uses all memory, both without an error (parquet-go issue
// 608).
var codecs = map[format.CompressionCodec]bool{
	format.Uncompressed: true, format.Snappy: true, format.Gzip: true, format.Zstd: true, format.Brotli: true,
}

func checkCodec(codec format.CompressionCodec, path string) error {
	if codecs[codec] {
		return nil
	}
	name := fmt.Sprintf("codec %d", int32(codec))
	if codec >= 0 && codec <= format.Lz4Raw {
		name = codec.String()
	}
	return fmt.Errorf("it is compressed with %s; want no compression, snappy, gzip, zstd or brotli; in Python, "+
		"pyarrow.parquet.write_table(pyarrow.parquet.read_table(%q), NEW, compression=\"zstd\") writes such a file", name,
		path)
}

// checkPages checks the pages of a column chunk before the library decodes
// them; raw is the whole file. Every page must lie in the chunk, decode to the
// size in its header, and have no more values than the file has rows.
func checkPages(raw []byte, chunk *format.ColumnMetaData, rows int64, b *budget) error {
	start := chunk.DataPageOffset
	if chunk.DictionaryPageOffset != 0 {
		start = chunk.DictionaryPageOffset
	}
	if start < 0 || chunk.TotalCompressedSize < 0 || start > int64(len(raw)) ||
		chunk.TotalCompressedSize > int64(len(raw))-start {
		return errors.New("its pages lie outside of the file")
	}
	in := bufio.NewReader(bytes.NewReader(raw[start : start+chunk.TotalCompressedSize]))
	decoder := thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(in))
	var values int64
	for {
		if _, err := in.Peek(1); err == io.EOF {
			return nil
		}
		var h format.PageHeader
		if err := decoder.Decode(&h); err != nil {
			return fmt.Errorf("the header of a page: %w", err)
		}
		if h.CompressedPageSize < 0 || int64(h.CompressedPageSize) > chunk.TotalCompressedSize {
			return fmt.Errorf("a page has %d bytes", h.CompressedPageSize)
		}
		if err := b.take(int64(h.UncompressedPageSize)); err != nil {
			return err
		}
		page := make([]byte, h.CompressedPageSize)
		if _, err := io.ReadFull(in, page); err != nil {
			return fmt.Errorf("a page: %w", err)
		}
		levels := 0
		switch h.Type {
		case format.DataPage:
			values += int64(h.DataPageHeader.V.NumValues)
		case format.DataPageV2:
			v2 := h.DataPageHeaderV2.V
			values += int64(v2.NumValues)
			levels = int(v2.RepetitionLevelsByteLength) + int(v2.DefinitionLevelsByteLength)
			if v2.IsCompressed.Valid && !v2.IsCompressed.V {
				continue
			}
		}
		if values > rows {
			return fmt.Errorf("it has %d values or more; want %d, one per row", values, rows)
		}
		if levels < 0 || levels > len(page) || levels > int(h.UncompressedPageSize) {
			return fmt.Errorf("%d bytes of levels in a page of %d", levels, len(page))
		}
		if err := checkExpansion(chunk.Codec, page[levels:], int64(h.UncompressedPageSize)-int64(levels)); err != nil {
			return err
		}
	}
}

// checkExpansion returns an error if compressed data decodes to more than limit
// bytes. It does not keep the decoded bytes.
func checkExpansion(codec format.CompressionCodec, data []byte, limit int64) error {
	var r io.Reader
	switch codec {
	case format.Snappy:
		// The data starts with its decoded length, which the library allocates.
		if n, _ := binary.Uvarint(data); n > uint64(limit) {
			return fmt.Errorf("a page of %d bytes decodes to %d: %w", limit, n, errBudget)
		}
		return nil
	case format.Gzip:
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("a page: %w", err)
		}
		r = z
	case format.Zstd:
		z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("a page: %w", err)
		}
		defer z.Close()
		r = z
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(data))
	default:
		return nil
	}
	n, err := io.CopyN(io.Discard, r, limit+1)
	if n > limit {
		return fmt.Errorf("a page of %d bytes decodes to more: %w", limit, errBudget)
	}
	if err != io.EOF {
		return fmt.Errorf("a page: %w", err)
	}
	return nil
}
