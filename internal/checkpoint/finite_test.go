package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// TestReadFinite puts one value that is not finite into an array of six.
func TestReadFinite(t *testing.T) {
	le := binary.LittleEndian
	inf := math.Inf(1)
	for _, c := range []struct {
		name, dtype string
		size        int
		bits        uint64
		want        string // "" if the value is finite
	}{
		{"nan", "F32", 4, uint64(math.Float32bits(float32(math.NaN()))), "NaN"},
		{"inf", "F32", 4, uint64(math.Float32bits(float32(inf))), "+Inf"},
		{"minus-inf", "F32", 4, uint64(math.Float32bits(float32(-inf))), "-Inf"},
		{"largest", "F32", 4, uint64(math.Float32bits(-math.MaxFloat32)), ""},
		{"smallest", "F32", 4, 1, ""},
		{"half-inf", "F16", 2, 0x7c00, "+Inf"},
		{"half-nan", "F16", 2, 0xfe00, "NaN"},
		{"half-largest", "F16", 2, 0x7bff, ""},
		{"brain-nan", "BF16", 2, 0x7fc0, "NaN"},
		{"double-nan", "F64", 8, math.Float64bits(math.NaN()), "NaN"},
		{"double-too-large", "F64", 8, math.Float64bits(1e39), "+Inf"},
		{"double-large", "F64", 8, math.Float64bits(1e38), ""},
	} {
		t.Run("value="+c.name, func(t *testing.T) {
			data := make([]byte, 6*c.size)
			var one [8]byte
			le.PutUint64(one[:], c.bits)
			copy(data[4*c.size:], one[:c.size])
			header := fmt.Sprintf(`{"w":{"dtype":"%s","shape":[2,3],"data_offsets":[0,%d]}}`, c.dtype, len(data))
			dir := t.TempDir()
			path := filepath.Join(dir, singleFile)
			if err := os.WriteFile(path, []byte(fileOf(header, string(data))), 0o644); err != nil {
				t.Fatal(err)
			}
			err := openModel(t, dir).ReadFinite(make([]float32, 6), "w")
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantError(t, err, "checkpoint: read "+path+`: tensor "w" is `+c.want+
				" at [1 1], and every weight must be finite; use another copy of the file")
			if !errors.Is(err, ErrNotFinite) {
				t.Error("the error does not wrap ErrNotFinite")
			}
		})
	}
}
