// Package nf4 stores matrices in four bits per element, as QLoRA does (Dettmers et al. 2023, arXiv:2305.14314), with
// the bits of bitsandbytes.
//
// The elements of a matrix are divided into blocks of 64 in row-major order. A block stores the largest magnitude of
// its elements, its scale, and a code per element: the element over the scale, rounded to the nearest of 16 levels. The
// levels are quantiles of a normal distribution. With double quantisation scales are stored in 8 bits.
package nf4

import (
	"math"
	"sort"
)

const (
	// Block is the number of elements that share a scale.
	Block = 64
	// ScaleBlock is the number of scales that share a scale if scales are quantised themselves.
	ScaleBlock = 256
)

// Levels are the values of the 16 codes.
var Levels = [16]float32{
	-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
	-0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
	0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
}

// bounds lie in the middle between neighbouring levels. A value above bounds[i] has a code above i.
var bounds = func() (b [15]float32) {
	for i := range b {
		b[i] = float32(Levels[i]+Levels[i+1]) / 2
	}
	return b
}()

// Matrix is a quantised matrix.
type Matrix struct {
	Shape []int
	// Codes has two elements per byte, the first of them in the high bits.
	Codes []byte
	// Scales has the scale of each block. It is nil if Double is set.
	Scales []float32
	Double *Double
}

// Double has quantised scales: scale i is Map[Codes[i]] Scales[i/ScaleBlock] + Offset.
type Double struct {
	Codes  []byte
	Scales []float32
	// Map has 256 values. It is DynamicMap, but files that other versions of PyTorch wrote can differ in last bits.
	Map    []float32
	Offset float32
}

// Quantize returns values in four bits. If double is set the scales are quantised too.
func Quantize(values []float32, shape []int, double bool) Matrix {
	m := Matrix{Shape: shape, Codes: make([]byte, (len(values)+1)/2)}
	m.Scales = make([]float32, (len(values)+Block-1)/Block)
	for b := range m.Scales {
		block := values[b*Block : min(len(values), (b+1)*Block)]
		m.Scales[b] = largest(block)
		by := 1 / max(m.Scales[b], 1e-38)
		for i, v := range block {
			x := float32(v * by)
			if len(block) < Block {
				x = v / max(m.Scales[b], 1e-38) // as bitsandbytes does in a block that is not full
			}
			at := b*Block + i
			m.Codes[at/2] |= code(x) << (4 * (1 - at%2))
		}
	}
	if len(values)%2 == 1 {
		m.Codes[len(m.Codes)-1] |= code(0)
	}
	if double {
		d := quantizeScales(m.Scales)
		m.Double, m.Scales = &d, nil
	}
	return m
}

// largest returns the largest magnitude of x.
func largest(x []float32) (top float32) {
	for _, v := range x {
		top = max(top, float32(math.Abs(float64(v))))
	}
	return top
}

// code returns the code of a value between -1 and 1.
func code(x float32) (c byte) {
	for _, b := range bounds {
		if x > b {
			c++
		}
	}
	return c
}

// quantizeScales subtracts the mean of the scales and rounds what is left to 8 bits. PyTorch adds the scales in an
// order that depends on its device, so its mean can differ in the last bit.
func quantizeScales(scales []float32) Double {
	sum := 0.0
	for _, v := range scales {
		sum += float64(v)
	}
	d := Double{Codes: make([]byte, len(scales)), Map: DynamicMap[:], Offset: float32(sum / float64(len(scales)))}
	rest := make([]float32, len(scales))
	for i, v := range scales {
		rest[i] = v - d.Offset
	}
	for lo := 0; lo < len(rest); lo += ScaleBlock {
		block := rest[lo:min(len(rest), lo+ScaleBlock)]
		top := largest(block)
		d.Scales = append(d.Scales, top)
		for i, v := range block {
			if top > 0 { // otherwise 0/0 has the lowest code in bitsandbytes
				d.Codes[lo+i] = nearest(v / top)
			}
		}
	}
	return d
}

// nearest returns the code of the entry of DynamicMap that is nearest to x, which is between -1 and 1. As in
// bitsandbytes on a CPU, x is first rounded to one of 65,536 equally spaced values. The kernels of bitsandbytes do not
// do that, so on a GPU it can choose the other of two codes that are almost equally near.
func nearest(x float32) byte {
	const steps = 65535.0 / 2
	rounded := math.Round((float64(x)+1)*steps)/steps - 1
	return byte(sort.Search(len(DynamicMap)-1, func(i int) bool {
		return rounded <= (float64(DynamicMap[i])+float64(DynamicMap[i+1]))/2
	}))
}

// DynamicMap has the 256 values of an 8-bit scale, in ascending order (Dettmers 2015, arXiv:1511.04561).
var DynamicMap = func() (m [256]float32) {
	at := 0
	put := func(v float64) { m[at] = float32(v); at++ }
	for e := range 7 {
		n := 1 << e
		for i := range n {
			middle := float32(point(i, n)+point(i+1, n)) / 2
			v := float64(float32(math.Pow10(e-6)) * middle)
			put(v)
			put(-v)
		}
	}
	put(0)
	put(1)
	sort.Slice(m[:], func(i, j int) bool { return m[i] < m[j] })
	return m
}()

// point returns point i of n+1 equally spaced points between 0.1 and 1. torch.linspace computes it with one rounding.
func point(i, n int) float32 {
	const first = float32(0.1)
	step := float64((1 - first) / float32(n))
	if i < (n+1)/2 {
		return float32(float64(first) + step*float64(i))
	}
	return float32(1 - step*float64(n-i))
}

// Expanded returns the scale of each block in float32.
func (m Matrix) Expanded() []float32 {
	if m.Double == nil {
		return m.Scales
	}
	scales := make([]float32, len(m.Double.Codes))
	for i, c := range m.Double.Codes {
		scales[i] = float32(m.Double.Map[c]*m.Double.Scales[i/ScaleBlock]) + m.Double.Offset
	}
	return scales
}

// Dequantize writes the elements from index `from` on to dst, from the codes and the expanded scales of a matrix.
func Dequantize[T float32 | float64](dst []T, codes []byte, scales []float32, from int) {
	for len(dst) > 0 {
		n := min(len(dst), Block-from%Block)
		var levels [16]T
		for c, v := range Levels {
			levels[c] = T(v * scales[from/Block])
		}
		part := dst[:n]
		if from%2 == 1 {
			part[0], part = levels[codes[from/2]&15], part[1:]
		}
		// Now each byte has two elements of the part, except for the last if their number is odd.
		pairs := codes[(from+1)/2:][:(len(part)+1)/2]
		for i := range len(part) / 2 {
			c := pairs[i]
			part[2*i], part[2*i+1] = levels[c>>4], levels[c&15]
		}
		if len(part)%2 == 1 {
			part[len(part)-1] = levels[pairs[len(pairs)-1]>>4]
		}
		dst, from = dst[n:], from+n
	}
}
