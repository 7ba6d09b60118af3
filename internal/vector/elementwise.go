package vector

// Add computes dst = a + b. dst may be either.
func Add[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	if vectorised[T](len(dst)) {
		add32(len(dst), first(dst), first(a), first(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// AddMul computes dst = a + b c. dst may be any of them.
func AddMul[T Float](dst, a, b, c []T) {
	a, b, c = a[:len(dst)], b[:len(dst)], c[:len(dst)]
	if vectorised[T](len(dst)) {
		addMul32(len(dst), first(dst), first(a), first(b), first(c))
		return
	}
	for i := range dst {
		dst[i] = a[i] + T(b[i]*c[i])
	}
}

// Mul computes dst = a b. dst may be either.
func Mul[T Float](dst, a, b []T) {
	a, b = a[:len(dst)], b[:len(dst)]
	if vectorised[T](len(dst)) {
		mul32(len(dst), first(dst), first(a), first(b))
		return
	}
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// Axpy computes dst += alpha x.
func Axpy[T Float](dst []T, alpha T, x []T) {
	x = x[:len(dst)]
	if vectorised[T](len(dst)) {
		axpy32(len(dst), first(dst), float32(alpha), first(x))
		return
	}
	for i := range dst {
		dst[i] += T(alpha * x[i])
	}
}

// Scale computes dst = alpha x. dst may be x.
func Scale[T Float](dst []T, alpha T, x []T) {
	x = x[:len(dst)]
	if vectorised[T](len(dst)) {
		scale32(len(dst), first(dst), float32(alpha), first(x))
		return
	}
	for i := range dst {
		dst[i] = alpha * x[i]
	}
}
