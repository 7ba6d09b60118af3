package computetest

import (
	"fmt"
	"math"

	"github.com/lor2c/lor2c/internal/compute"
)

// philox is a second implementation of Philox4x32-10, from the figure in the paper. The suite must not compute masks
// with the code that devices call.
func philox(counter [4]uint32, key [2]uint32) [4]uint32 {
	for round := range 10 {
		a := uint64(0xD2511F53) * uint64(counter[0])
		b := uint64(0xCD9E8D57) * uint64(counter[2])
		left := key[0] + uint32(round)*0x9E3779B9
		right := key[1] + uint32(round)*0xBB67AE85
		counter = [4]uint32{
			uint32(b>>32) ^ counter[1] ^ left, uint32(b),
			uint32(a>>32) ^ counter[3] ^ right, uint32(a),
		}
	}
	return counter
}

// multipliers returns what a row of a tensor with the given number of columns is multiplied with.
func multipliers(d compute.Dropout, row, cols int) []float64 {
	m := make([]float64, cols)
	threshold := uint32(math.Round(float64(d.P) * 65536))
	var bits [4]uint32 // of eight columns
	for col := range m {
		if col%8 == 0 {
			bits = philox([4]uint32{uint32(col / 8), d.Row + uint32(row), d.Site, d.Step},
				[2]uint32{uint32(d.Key), uint32(d.Key >> 32)})
		}
		if lot := bits[col%8/2] >> (16 * (col % 2)) & 0xffff; lot >= threshold {
			m[col] = 1 / (1 - float64(threshold)/65536)
		}
	}
	return m
}

// mask returns the multipliers for all elements of a tensor.
func mask(d compute.Dropout, rows, cols int) []float64 {
	m := make([]float64, 0, rows*cols)
	for row := range rows {
		m = append(m, multipliers(d, row, cols)...)
	}
	return m
}

// someDropout returns a dropout in which no field is zero, so that a device that ignores one is noticed.
func someDropout(p float32) compute.Dropout {
	return compute.Dropout{P: p, Key: 0xfedcba9876543210, Step: 7, Site: 5, Row: 1000}
}

func randomCases() []testCase {
	all := []testCase{
		{name: "op=Philox", run: checkPhilox},
		{name: "op=Dropout/statistics=rate", run: checkDropoutRate},
	}
	for _, p := range []float32{0, 0.1, 0.5} {
		for _, cols := range []int{1, 3, 8, 17, 257, 1025} {
			all = append(all, testCase{
				name: fmt.Sprintf("op=Dropout/p=%v/n=33/c=%d", p, cols),
				run:  func(s *suite) { checkDropout(s, someDropout(p), 33, cols) },
			})
		}
	}
	return all
}

// checkPhilox compares with the known answers that Random123 publishes (kat_vectors).
func checkPhilox(s *suite) {
	const ones = 0xffffffff
	for _, k := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{want: [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			counter: [4]uint32{ones, ones, ones, ones}, key: [2]uint32{ones, ones},
			want: [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			counter: [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, key: [2]uint32{0xa4093822, 0x299f31d0},
			want: [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		c := k.counter
		r0, r1, r2, r3 := compute.Philox(uint64(k.key[1])<<32|uint64(k.key[0]), c[0], c[1], c[2], c[3])
		if got := [4]uint32{r0, r1, r2, r3}; got != k.want {
			s.Errorf("Philox(%x, %x) = %x, want %x", k.key, c, got, k.want)
		}
		if got := philox(c, k.key); got != k.want {
			s.Errorf("the suite's own philox(%x, %x) = %x, want %x", c, k.key, got, k.want)
		}
	}
}

// checkDropout compares masks exactly and the kept values within rounding.
func checkDropout(s *suite, drop compute.Dropout, rows, cols int) {
	x, data := s.working.random("x", rows, cols)
	m := mask(drop, rows, cols)
	want, plain := make([]float64, len(m)), make([]float64, len(m))
	for i := range m {
		want[i] = data[i] * m[i]
		plain[i] = float64(float32(data[i]) * float32(m[i]))
	}
	dst := s.working.output("dst", rows, cols)
	s.dev.Dropout(dst.Tensor, x, drop)
	s.near(dst, want, plain, 0)
	for i, v := range dst.read(s) {
		if (v == 0) != (m[i] == 0) {
			s.Errorf("element %d is %v, its multiplier %v", i, v, m[i])
			break
		}
	}
	inPlace := s.working.inout("dst=x", data, rows, cols)
	s.dev.Dropout(inPlace.Tensor, inPlace.Tensor, drop)
	s.near(inPlace, want, plain, 0)
}

// checkDropoutRate checks that the share of dropped elements is P within five standard deviations, and that another
// step, site, row or key gives another mask.
func checkDropoutRate(s *suite) {
	const rows, cols = 256, 1024
	ones := s.dev.Temp(compute.Shape{rows, cols}, compute.Working)
	dst := s.dev.Temp(compute.Shape{rows, cols}, compute.Working)
	s.dev.Fill(ones, 1)
	base := someDropout(0.1)
	draws := []compute.Dropout{base, base, base, base, base}
	draws[1].Step++
	draws[2].Site++
	draws[3].Row += rows
	draws[4].Key ^= 1 << 63
	var first []float64
	for i, drop := range draws {
		s.dev.Dropout(dst, ones, drop)
		got := read(s, dst)
		dropped, both := 0, 0
		for j, v := range got {
			if v != 0 {
				continue
			}
			dropped++
			if i > 0 && first[j] == 0 {
				both++
			}
		}
		const n, p = rows * cols, 0.1
		if z := (float64(dropped) - n*p) / math.Sqrt(n*p*(1-p)); math.Abs(z) > 5 {
			s.Errorf("draw %d dropped %d of %d elements, %.1f deviations from P", i, dropped, n, z)
		}
		// Two independent masks share p^2 of the elements.
		if z := (float64(both) - n*p*p) / math.Sqrt(n*p*p*(1-p*p)); i > 0 && math.Abs(z) > 5 {
			s.Errorf("draw %d shares %d dropped elements with draw 0, %.1f deviations from chance", i, both, z)
		}
		if i == 0 {
			first = got
		}
	}
}
