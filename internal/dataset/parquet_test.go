package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// TestCodecs: every supported codec reads files of pyarrow; every other codec
// is refused by name.
func TestCodecs(t *testing.T) {
	g, _ := glueByName("sst2")
	for name, allowed := range map[string]bool{"none": true, "snappy": true, "gzip": true, "zstd": true, "brotli": true,
		"lz4": false} {
		for _, pages := range []string{"v1", "v2"} {
			path := "testdata/codecs/" + name + "-" + pages + ".parquet"
			t.Run("codec="+name+"/pages="+pages, func(t *testing.T) {
				got, _, err := g.readShard(t.Context(), path, true)
				if !allowed {
					want := "dataset: read " + path +
						`: column "sentence": it is compressed with LZ4_RAW; want no compression, snappy, gzip, zstd or brotli; in Python, ` +
						`pyarrow.parquet.write_table(pyarrow.parquet.read_table("` + path +
						`"), NEW, compression="zstd") writes such a file`
					if err == nil || err.Error() != want {
						t.Errorf("error %v\nwant %s", err, want)
					}
					return
				}
				if err != nil || len(got) != 60 {
					t.Fatalf("%d examples, error %v", len(got), err)
				}
				for i, e := range got {
					want := fmt.Sprintf("Sentence %d of %d has its own words: %sand café.", i%11, i, strings.Repeat("tea ", i%5))
					if e.TextA != want || e.Label != float32(i%2) {
						t.Fatalf("example %d is %+v; want %q", i, e, want)
					}
				}
			})
		}
	}
	for codec, name := range map[format.CompressionCodec]string{format.Lz4: "LZ4", format.LZO: "LZO",
		format.Lz4Raw: "LZ4_RAW", -1: "codec -1", 99: "codec 99"} {
		if err := checkCodec(codec, "f"); err == nil || !strings.HasPrefix(err.Error(), "it is compressed with "+name+";") {
			t.Errorf("codec %d: %v", int32(codec), err)
		}
	}
}

// TestExpansion: a page that decodes to more than its header says is detected
// before memory of that size is allocated.
func TestExpansion(t *testing.T) {
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed)
	if err != nil {
		t.Fatal(err)
	}
	z.Write(make([]byte, 1<<20))
	z.Close()
	if err := checkExpansion(format.Zstd, packed.Bytes(), 1<<20); err != nil {
		t.Error(err)
	}
	if err := checkExpansion(format.Zstd, packed.Bytes(), 1<<20-1); !errors.Is(err, errBudget) {
		t.Errorf("error %v", err)
	}
	if err := checkExpansion(format.Zstd, packed.Bytes()[:packed.Len()-3], 1<<20); err == nil ||
		errors.Is(err, errBudget) {
		t.Errorf("a page that is cut: error %v", err)
	}
	// Snappy data starts with its decoded length.
	if err := checkExpansion(format.Snappy, []byte{0xff, 0xff, 0x03, 0}, 100); !errors.Is(err, errBudget) {
		t.Errorf("snappy: error %v", err)
	}
}

// TestLengthOfFooter: no memory is allocated for a footer that the file is too short for.
func TestLengthOfFooter(t *testing.T) {
	for _, raw := range []string{"PAR1\xff\xff\xff\xffPAR1", "PAR1\x00\x00\x00\x7fPARE", "PAR1\a\xbc\xffPAR1",
		"\xff\xff\xff\xffPAR1"} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := openShard("f", []byte(raw))
		runtime.ReadMemStats(&after)
		want := "dataset: read f: the footer says that it is longer than the file; want a parquet file"
		if err == nil || err.Error() != want || after.TotalAlloc-before.TotalAlloc > 1<<20 {
			t.Errorf("%q: %d bytes, error %v", raw, after.TotalAlloc-before.TotalAlloc, err)
		}
	}
}

// FuzzParquet: any file gives an error of one line or valid text, never a
// panic, and memory stays within the budget.
func FuzzParquet(f *testing.F) {
	for _, path := range []string{"hub/mnli/train-00000-of-00001", "codecs/none-v1", "codecs/snappy-v2", "codecs/gzip-v1",
		"codecs/zstd-v1", "codecs/brotli-v2", "codecs/lz4-v1"} {
		raw, err := os.ReadFile("testdata/" + path + ".parquet")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("PAR1\xff\xff\xff\xffPAR1"))
	f.Add([]byte("PAR1\a\xbc\xffPAR1"))
	sst2, _ := glueByName("sst2")
	mnli, _ := glueByName("mnli")
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, g := range []glueTask{sst2, mnli} {
			examples, err := g.decodeShard("f", raw, true)
			if err != nil &&
				(examples != nil || !strings.HasPrefix(err.Error(), "dataset: read f") || strings.Contains(err.Error(), "\n")) {
				t.Fatalf("%d examples with error %q", len(examples), err)
			}
			for _, e := range examples {
				if checkText(e.TextA) != nil || e.TextB != nil && checkText(*e.TextB) != nil || !e.HasLabel {
					t.Fatalf("example %+v", e)
				}
			}
		}
	})
}
