package checkpoint

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// TestHalfEveryPattern compares all 65536 binary16 values with their
// definition, (-1)^s * 2^(e-15) * (1 + f/1024), evaluated in float64.
func TestHalfEveryPattern(t *testing.T) {
	for h := range 1 << 16 {
		sign := 1 - 2*float64(h>>15)
		e, f := h>>10&0x1f, float64(h&0x3ff)
		got := fromHalf(uint16(h))
		switch {
		case e == 31 && f != 0:
			// The payload becomes the highest bits of the longer fraction.
			if bits := math.Float32bits(got); bits>>13&0x3ff != uint32(f) || got == got || bits>>31 != uint32(h>>15) {
				t.Errorf("half 0x%04x = 0x%08x; want a NaN with the same payload", h, bits)
			}
			continue
		case e == 31:
			f = math.Inf(1)
		case e == 0:
			f = math.Ldexp(f/1024, -14)
		default:
			f = math.Ldexp(1+f/1024, e-15)
		}
		if want := math.Copysign(f, sign); float64(got) != want || math.Signbit(float64(got)) != (sign < 0) {
			t.Errorf("half 0x%04x = %v; want %v", h, got, want)
		}
	}
}

// TestBrainRoundsToNearestEven compares toBrain with the nearer of the two
// neighbouring bfloat16 values, found by float64 distance.
func TestBrainRoundsToNearestEven(t *testing.T) {
	widen := func(b uint16) float64 { return float64(math.Float32frombits(uint32(b) << 16)) }
	state := uint32(1)
	for i := range 200_000 {
		state = state*1664525 + 1013904223 // the generator of Numerical Recipes
		bits := state
		if i%4 == 0 {
			bits = bits&^0xffff | 0x8000 // an exact tie
		}
		f := math.Float32frombits(bits)
		if f != f || bits&0x7fff0000 == 0x7f7f0000 {
			continue // the lower neighbour is NaN, or the upper one is infinity
		}
		low, high := uint16(bits>>16), uint16(bits>>16)+1
		toLow, toHigh := math.Abs(float64(f)-widen(low)), math.Abs(float64(f)-widen(high))
		want := low
		if toHigh < toLow || toHigh == toLow && low&1 == 1 {
			want = high
		}
		if got := toBrain(f); got != want {
			t.Fatalf("toBrain(0x%08x) = 0x%04x; want 0x%04x", bits, got, want)
		}
	}
	for bits, want := range map[uint32]uint16{
		0x7f7fffff: 0x7f80, // the largest float rounds to infinity
		0x7f800001: 0x7fc0, // a NaN stays a NaN
		0xffffffff: 0x7fc0,
		0xff800000: 0xff80,
	} {
		if got := toBrain(math.Float32frombits(bits)); got != want {
			t.Errorf("toBrain(0x%08x) = 0x%04x; want 0x%04x", bits, got, want)
		}
	}
}

func TestUnreadableTypes(t *testing.T) {
	for _, d := range byAlignment {
		if isInt(d) && isFloat(d) {
			t.Errorf("%s is both", d)
		}
		if d.Size() == 0 {
			t.Errorf("%s has no size", d)
		}
	}
	f := testFile(t, `{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"I64","shape":[],"data_offsets":[1,9]},
"c":{"dtype":"U64","shape":[1],"data_offsets":[9,17]},"d":{"dtype":"F32","shape":[0,3],"data_offsets":[17,17]}}`,
		"\x00"+"\x01\x00\x00\x00\x00\x00\x00\x00"+string(binary.LittleEndian.AppendUint64(nil, 1<<63)))
	_, intsErr := f.ReadInts("a")
	_, largeErr := f.ReadInts("c")
	_, noneErr := f.ReadInts("x")
	wantError(t, f.ReadInto(make([]float32, 1), "a"),
		`checkpoint: read mem: tensor "a" is F8_E4M3; F32, F16, BF16 or F64 is expected`)
	wantError(t, f.ReadInto(make([]float32, 1), "b"),
		`checkpoint: read mem: tensor "b" is I64; F32, F16, BF16 or F64 is expected`)
	wantError(t, f.ReadInto(make([]float32, 1), "d"),
		`checkpoint: read mem: tensor "d" is [0 3] with 0 elements; 1 are expected`)
	wantError(t, intsErr, `checkpoint: read mem: tensor "a" is F8_E4M3; an integer type is expected`)
	wantError(t, largeErr,
		`checkpoint: read mem: tensor "c" cannot be read: element 0 is 9223372036854775808; at most 9223372036854775807 is readable`)
	wantError(t, noneErr, `checkpoint: read mem: tensor "x" is missing; the file has 4 others`)
	wantError(t, f.ReadInto(nil, "x"), `checkpoint: read mem: tensor "x" is missing; the file has 4 others`)
}

// TestHalfRoundsToNearestEven compares toHalf with the nearer of two neighbouring halves, for every finite half, its
// upper neighbour and the values at, just below and just above the middle between them.
func TestHalfRoundsToNearestEven(t *testing.T) {
	for h := range uint16(0x7c00) {
		low, high := float64(fromHalf(h)), float64(fromHalf(h+1))
		if h == 0x7bff {
			high = 65536 // which binary16 has not, so that the middle is where infinities begin
		}
		middle := float32((low + high) / 2)
		even := h
		if h&1 == 1 {
			even = h + 1
		}
		for _, c := range []struct {
			f    float32
			want uint16
		}{
			{float32(low), h}, {middle, even},
			{math.Nextafter32(middle, 0), h}, {math.Nextafter32(middle, math.MaxFloat32), h + 1},
		} {
			if got := toHalf(c.f); got != c.want {
				t.Fatalf("toHalf(%g) = 0x%04x; want 0x%04x", c.f, got, c.want)
			}
			if got := toHalf(-c.f); got != c.want|0x8000 {
				t.Fatalf("toHalf(%g) = 0x%04x; want 0x%04x", -c.f, got, c.want|0x8000)
			}
		}
	}
	for f, want := range map[float32]uint16{float32(math.Inf(1)): 0x7c00, 1e30: 0x7c00, float32(math.Inf(-1)): 0xfc00,
		1e-30: 0} {
		if got := toHalf(f); got != want {
			t.Errorf("toHalf(%g) = 0x%04x; want 0x%04x", f, got, want)
		}
	}
	if got := fromHalf(toHalf(float32(math.NaN()))); got == got {
		t.Errorf("NaN became %g", got)
	}
}

// TestRound: a rounded value is the one that is read back after it was written with the type.
// TestRound: Round gives the values that are read from a file of the type, and finds the first that is not finite.
func TestRound(t *testing.T) {
	values := []float32{1.0001, -3.14159, 1e-6, 65504, 0.1, -1e-8}
	for _, d := range []DType{F32, BF16, F16} {
		var file bytes.Buffer
		if err := Write(&file, nil, []Tensor{{Name: "x", Shape: []int{len(values)}, Data: values, DType: d}}); err != nil {
			t.Fatal(err)
		}
		f, err := newFile("x", file.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		read, rounded := make([]float32, len(values)), slices.Clone(values)
		if err := f.ReadInto(read, "x"); err != nil {
			t.Fatal(err)
		}
		if i := Round(rounded, d); !slices.Equal(rounded, read) || i != -1 {
			t.Errorf("%s: rounded to %v, read as %v; value %d is not finite", d, rounded, read, i)
		}
	}
	for _, c := range []struct {
		d    DType
		last float32
		want int
	}{{F32, 3e38, -1}, {BF16, 3e38, -1}, {F16, 65519, -1}, {F16, 65520, 2}, {BF16, math.MaxFloat32, 2},
		{F32, float32(math.Inf(-1)), 2}, {F32, float32(math.NaN()), 2}} {
		if got := Round([]float32{1, -2, c.last}, c.d); got != c.want {
			t.Errorf("%g as %s: value %d is not finite; want %d", c.last, c.d, got, c.want)
		}
	}
}
