package vector

import "math"

// Moments returns the mean of x and 1/sqrt(var + eps). The variance is computed in a second pass, because sums of
// squares cancel if the mean is large.
func Moments[T Float](x []T, eps float32) (mean, rstd T) {
	mean = Sum(x) / T(len(x))
	variance := float64(Deviations(x, mean)) / float64(len(x))
	return mean, T(1 / math.Sqrt(variance+float64(eps)))
}

// Normalise computes dst = (x - mean) rstd gamma + beta.
func Normalise[T Float](dst, x, gamma, beta []T, mean, rstd T) {
	x, gamma, beta = x[:len(dst)], gamma[:len(dst)], beta[:len(dst)]
	if vectorised[T](len(dst)) {
		normalise32(len(dst), first(dst), first(x), first(gamma), first(beta), float32(mean), float32(rstd))
		return
	}
	for i := range dst {
		dst[i] = T((x[i]-mean)*rstd*gamma[i]) + beta[i]
	}
}

// NormGrad computes the gradient of one row of LayerNorm: with g = dy gamma and h = (x - mean) rstd,
//
//	dst = rstd (g - mean(g) - h mean(g h))
func NormGrad[T Float](dst, x, gamma, dy []T, mean, rstd T) {
	normGrad(dst, x, gamma, dy, mean, rstd, true)
}

// RMSNormGrad computes the gradient of one row of RMSNorm: with g = dy gamma and h = x rstd,
//
//	dst = rstd (g - h mean(g h))
func RMSNormGrad[T Float](dst, x, gamma, dy []T, rstd T) { normGrad(dst, x, gamma, dy, 0, rstd, false) }

// normGrad does either. Without centred it leaves the mean of g out.
func normGrad[T Float](dst, x, gamma, dy []T, mean, rstd T, centred bool) {
	x, gamma, dy = x[:len(dst)], gamma[:len(dst)], dy[:len(dst)]
	sumG, sumH := normSums(x, gamma, dy, mean)
	n := T(len(dst))
	meanG, slope := sumG/n, sumH/n*rstd*rstd
	if !centred {
		meanG = 0
	}
	if vectorised[T](len(dst)) {
		normGrad32(len(dst), first(dst), first(x), first(gamma), first(dy), float32(mean), float32(rstd), float32(meanG),
			float32(slope))
		return
	}
	for i := range dst {
		dst[i] = (T(dy[i]*gamma[i]) - meanG - T((x[i]-mean)*slope)) * rstd
	}
}

// normSums returns the sums of g = dy gamma and of g (x - mean).
func normSums[T Float](x, gamma, dy []T, mean T) (sumG, sumH T) {
	if vectorised[T](len(x)) {
		g, h := normSums32(len(x), first(x), first(gamma), first(dy), float32(mean))
		return T(g), T(h)
	}
	var g, h [lanes]T
	for i, v := range x {
		p := T(dy[i] * gamma[i])
		g[i%lanes] += p
		h[i%lanes] += T(p * (v - mean))
	}
	return total(&g), total(&h)
}

// NormParamGrad adds the contributions of one row to the gradients of LayerNorm's parameters:
//
//	dgamma += dy (x - mean) rstd,  dbeta += dy
func NormParamGrad[T Float](dgamma, dbeta, x, dy []T, mean, rstd T) {
	dbeta, x, dy = dbeta[:len(dgamma)], x[:len(dgamma)], dy[:len(dgamma)]
	if vectorised[T](len(dgamma)) {
		normParamGrad32(len(dgamma), first(dgamma), first(dbeta), first(x), first(dy), float32(mean), float32(rstd))
		return
	}
	for i := range dgamma {
		dgamma[i] += T(dy[i] * ((x[i] - mean) * rstd))
		dbeta[i] += dy[i]
	}
}

// ScaleMul computes dst = alpha x y, one row of RMSNorm.
func ScaleMul[T Float](dst []T, alpha T, x, y []T) {
	x, y = x[:len(dst)], y[:len(dst)]
	if vectorised[T](len(dst)) {
		scaleMul32(len(dst), first(dst), float32(alpha), first(x), first(y))
		return
	}
	for i := range dst {
		dst[i] = x[i] * alpha * y[i]
	}
}

// AddScaleMul computes dst += alpha x y, the contribution of one row to the gradient of RMSNorm's gamma.
func AddScaleMul[T Float](dst []T, alpha T, x, y []T) {
	x, y = x[:len(dst)], y[:len(dst)]
	if vectorised[T](len(dst)) {
		addScaleMul32(len(dst), first(dst), float32(alpha), first(x), first(y))
		return
	}
	for i := range dst {
		dst[i] += T(y[i] * T(x[i]*alpha))
	}
}
