package model

import (
	"math"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/tape"
)

// These are the constants of MPNet's buckets. They do not depend on config.json, because transformers does not read
// them from it.
const (
	relativeBuckets  = 32
	relativeFarthest = 128 // distances from here on share a bucket
)

// relative is the bias of the attention scores of MPNet, which all layers share (Song et al. 2020, arXiv:2004.09297,
// section 2.4). It is zero for other encoders.
type relative struct {
	bias    *tape.Param    // [relativeBuckets,H]
	buckets compute.Tensor // [2P-1] Int: the row of bias of each distance, for P = MaxTokens
}

// newRelative reads the bias of an encoder.
func newRelative(b *builder, c Config) relative {
	r := relative{bias: b.param("encoder.relative_attention_bias.weight", relativeBuckets, c.Heads)}
	if b.err != nil {
		return r
	}
	buckets := c.DistanceBuckets()
	r.buckets = b.dev.Alloc(compute.Shape{len(buckets)}, compute.Int)
	b.dev.UploadInts(r.buckets, buckets)
	return r
}

// DistanceBuckets returns the row of the bias for each distance of a key from its query that MPNet allows, from
// 1-MaxTokens to MaxTokens-1.
func (c Config) DistanceBuckets() []int32 {
	most := c.MaxTokens()
	buckets := make([]int32, 2*most-1)
	for i := range buckets {
		buckets[i] = relativeBucket(i - (most - 1))
	}
	return buckets
}

// relativeBucket returns the row of the bias for a key that is distance tokens after its query (Raffel et al. 2020,
// arXiv:1910.10683, section 2.1). Half of the buckets is for keys after the query. Half of each half has one distance
// each; the others grow by a constant factor. As in transformers the logarithm is rounded to float32.
func relativeBucket(distance int) int32 {
	const half, exact = relativeBuckets / 2, relativeBuckets / 4
	first, n := int32(0), -distance
	if distance > 0 {
		first, n = half, distance
	}
	if n < exact {
		return first + int32(n)
	}
	log := float32(math.Log(float64(n) / exact))
	grown := log / float32(math.Log(float64(relativeFarthest)/exact)) * (half - exact)
	return first + min(exact+int32(grown), half-1)
}
