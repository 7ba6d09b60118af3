package cpu

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/vector"
)

// CrossEntropy adds the scaled negative log-likelihood, weighted by o, to loss.
func (d *Device[T]) CrossEntropy(
	loss, dlogits, logits, labels compute.Tensor, scale float32, o compute.CrossEntropyOpts,
) {
	if d.err != nil {
		return
	}
	in, grad, label := Data[T](logits), Data[T](dlogits), ints[T](labels)
	cols := logits.Shape.Cols()
	weights := weightsOf[T](o, cols)
	chunk := rowsOf(cols)
	sums := sized(&d.sums, ceil(len(label), chunk))
	d.each(len(label), chunk, func(w, lo, hi int) {
		p := sized(&d.scratch[w].a, cols)
		total := 0.0
		for n := lo; n < hi; n++ {
			x := in[n*cols : (n+1)*cols]
			right := int(label[n])
			if right < 0 {
				if grad != nil {
					clear(grad[n*cols : (n+1)*cols])
				}
				continue
			}
			copy(p, x)
			top := vector.Max(p)
			sum := vector.ExpSum(p, top)
			log := math.Log(float64(sum))
			own, each := weights.of(n, right)
			// In this order of operations the difference of two large logits is exact.
			total += float64(own) * (float64(top-x[right]) + log)
			if each != 0 {
				total += float64(each) * (weights.below(x, top) + weights.total*log)
			}
			if grad == nil {
				continue
			}
			g := grad[n*cols : (n+1)*cols]
			inv := T(scale) * (own + each*T(weights.total)) / sum
			vector.Scale(g, inv, p)
			if each != 0 {
				for c := range g {
					g[c] -= T(scale) * each * weights.class(c)
				}
			}
			g[right] -= T(scale) * own
		}
		sums[lo/chunk] = total
	})
	addScaled(Data[T](loss), sums, scale)
}

// lossWeights has the weights of a compute.CrossEntropyOpts as slices.
type lossWeights[T Float] struct {
	rows, classes []T
	smoothing, c  T
	total         float64 // sum of the weights of the classes
}

func weightsOf[T Float](o compute.CrossEntropyOpts, cols int) lossWeights[T] {
	w := lossWeights[T]{rows: Data[T](o.Rows), classes: Data[T](o.Classes), smoothing: T(o.Smoothing), c: T(cols)}
	w.total = float64(cols)
	if w.classes != nil {
		w.total = 0
		for _, v := range w.classes {
			w.total += float64(v)
		}
	}
	return w
}

func (w *lossWeights[T]) class(c int) T {
	if w.classes == nil {
		return 1
	}
	return w.classes[c]
}

// of returns the factor for the loss of row n's label, and the factor for the loss of every class before it is
// multiplied by the weight of the class.
func (w *lossWeights[T]) of(n, label int) (own, each T) {
	row := T(1)
	if w.rows != nil {
		row = w.rows[n]
	}
	return row * (1 - w.smoothing) * w.class(label), row * w.smoothing / w.c
}

// below returns the weighted sum of the differences between the largest logit and each logit.
func (w *lossWeights[T]) below(x []T, top T) float64 {
	sum, part := 0.0, 0.0
	for c, v := range x {
		part += float64(w.class(c)) * float64(top-v)
		// The sum is added in parts, which keeps a sum over a vocabulary exact.
		if c%256 == 255 || c == len(x)-1 {
			sum, part = sum+part, 0
		}
	}
	return sum
}

// addScaled adds the sums in order and adds their scaled total to a scalar loss.
func addScaled[T Float](loss []T, sums []float64, scale float32) {
	total := 0.0
	for _, v := range sums {
		total += v
	}
	loss[0] += T(float64(scale) * total)
}

// BinaryCrossEntropy adds the scaled loss of every logit against its target to loss.
func (d *Device[T]) BinaryCrossEntropy(loss, dlogits, logits, targets compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	in, want, grad := Data[T](logits), Data[T](targets), Data[T](dlogits)
	sums := sized(&d.sums, (len(in)+chunkElems-1)/chunkElems)
	d.each(len(in), chunkElems, func(_, lo, hi int) {
		total, part := 0.0, 0.0
		for i := lo; i < hi; i++ {
			x, y := float64(in[i]), float64(want[i])
			// The exponential of -|x| is at most 1, so that it cannot overflow.
			small := math.Exp(-math.Abs(x))
			part += max(x, 0) - x*y + math.Log1p(small)
			// A sum of many elements is more exact in parts.
			if i%256 == 255 || i == hi-1 {
				total, part = total+part, 0
			}
			if grad == nil {
				continue
			}
			p := 1 / (1 + small)
			if x < 0 {
				p = small / (1 + small)
			}
			grad[i] = T(scale) * T(p-y)
		}
		sums[lo/chunkElems] = total
	})
	addScaled(Data[T](loss), sums, scale)
}

// MSE adds the scaled sum of squared differences to loss. One number per sequence is too little work to divide among
// workers.
func (d *Device[T]) MSE(loss, dx, x, y compute.Tensor, scale float32) {
	if d.err != nil {
		return
	}
	in, want, grad := Data[T](x), Data[T](y), Data[T](dx)
	sums := sized(&d.sums, 1)
	sums[0] = 0
	for n := range in {
		e := in[n] - want[n]
		sums[0] += float64(e) * float64(e)
		if grad != nil {
			grad[n] = 2 * T(scale) * e
		}
	}
	addScaled(Data[T](loss), sums, scale)
}
