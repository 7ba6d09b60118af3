package checkpoint

import (
	"encoding/binary"
	"os"
	"runtime"
	"testing"
)

// FuzzOpen gives arbitrary files to the parser. The inputs are a header, data,
// and the error of the length prefix, so that most mutations keep the prefix
// correct. The parser must not panic, its memory must stay proportional to the
// input, and a file that it accepts must be readable and cover the data
// exactly.
//
// Pass -fuzzminimizetime=50x. By default the fuzzer spends a minute on each
// input that reaches new code in the Go runtime.
func FuzzOpen(f *testing.F) {
	for _, path := range []string{"testdata/golden.safetensors", "testdata/written.safetensors"} {
		seed, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		n := 8 + binary.LittleEndian.Uint64(seed)
		f.Add(string(seed[8:n]), string(seed[n:]), int64(0))
	}
	f.Add(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"__metadata__":{"k":"v"}}`, "xy", int64(0))
	f.Add(`{"a":{"dtype":"F32","shape":[1099511627776,0],"data_offsets":[0,0]}}`, "", int64(0))
	f.Add(`{}`, "", int64(1))
	f.Fuzz(func(t *testing.T, header, data string, off int64) {
		file := []byte(fileOf(header, data))
		binary.LittleEndian.PutUint64(file, uint64(int64(len(header))+off))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		defer func() {
			runtime.ReadMemStats(&after)
			// The worst case is a header of empty objects, which needs hundreds of bytes
			// of maps and decoders for every few bytes of text.
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20+1024*uint64(len(file)) {
				t.Errorf("%d bytes allocated for a file of %d", used, len(file))
			}
		}()
		m, err := newFile("fuzz", file)
		if err != nil {
			return
		}
		total := 0
		for _, name := range m.Names() {
			dtype, shape, _ := m.Info(name)
			size, ok := product(shape, dtype.Size())
			if !ok {
				t.Fatalf("tensor %q of %s%v was accepted", name, dtype, shape)
			}
			total += size
			switch {
			case isFloat(dtype):
				if err := m.ReadInto(make([]float32, size/dtype.Size()), name); err != nil {
					t.Error(err)
				}
			case isInt(dtype):
				if n, err := m.ReadInts(name); err == nil && len(n) != size/dtype.Size() {
					t.Errorf("tensor %q has %d elements in %v", name, len(n), shape)
				}
			}
		}
		if total != len(m.data) {
			t.Errorf("the tensors have %d bytes, the data %d", total, len(m.data))
		}
	})
}
