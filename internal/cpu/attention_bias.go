package cpu

import "github.com/lor2c/lor2c/internal/vector"

// biasOf returns the bias of a block's head by distance: element rows-1-i+j belongs to row i of the block and to its
// key j, so that the bias of a row is adjacent. It is nil if the attention has no bias.
func (d *Device[T]) biasOf(w int, a *heads[T], b block) []T {
	if a.bias == nil {
		return nil
	}
	buckets := a.bucketsOf(b)
	bias := sized(&d.scratch[w].bias, min(queryBlock, a.MaxQ)+a.MaxK)[:len(buckets)]
	for x, bucket := range buckets {
		bias[x] = a.bias[int(bucket)*a.Heads+b.head]
	}
	return bias
}

// bucketsOf returns the buckets of the distances between a block's rows and its keys, in the order of biasOf.
func (a *heads[T]) bucketsOf(b block) []int32 {
	from := len(a.buckets)/2 - b.first - b.rows + 1
	return a.buckets[from:][:b.rows+b.keys-1]
}

// addBias adds the elements of bias from the given one on, if there is a bias, to the scores of a row.
func addBias[T Float](scores, bias []T, from int) {
	if bias != nil {
		vector.Add(scores, scores, bias[from:][:len(scores)])
	}
}

// biasGrad adds the gradients ds [rows,keys] of a block's scores to the sums of its sequence. It first adds those of
// equal distance, in the order of the rows, with sums as scratch memory.
func (a *heads[T]) biasGrad(sums, ds []T, b block) {
	clear(sums)
	for i := range b.rows {
		to := sums[b.rows-1-i:][:b.keys]
		vector.Add(to, to, ds[i*b.keys:(i+1)*b.keys])
	}
	buckets := len(a.bias) / a.Heads
	total := a.dbias[(b.sequence*a.Heads+b.head)*buckets:][:buckets]
	for x, bucket := range a.bucketsOf(b) {
		total[bucket] += sums[x]
	}
}

// sumBias adds the sums of the sequences to dst [K,H], in their order.
func (a *heads[T]) sumBias(dst []T) {
	buckets := len(a.bias) / a.Heads
	for s := range len(a.cuQ) - 1 {
		for h := range a.Heads {
			for k := range buckets {
				dst[k*a.Heads+h] += a.dbias[(s*a.Heads+h)*buckets+k]
			}
		}
	}
}
