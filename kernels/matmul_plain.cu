// Matrix products without tiles, for factors of any layout. See compute.Matmul. The self-check of internal/gpu compares
// the other kernels with them, and a device uses them instead of a kernel that fails it.
#include "matmul.cuh"

// matmul_plain: dst = act(alpha op(a) op(b) + bias), or added to dst, or times act'(pre).
//
//   op(a) [M,K], op(b) [K,N], bias [N], pre [M,N] f32 or bf16; dst [M,N] the same or f32
//
// Launched by internal/gpu/selfcheck.go.
// Launch   grid ceil(M N/256), block 256: one element per thread; no shared memory.
// Limits   M N < 2^31.
// Numerics f32 FMA in the order of k; rounded once.
// Work     2 M N K flops, 2 M N K reads, most of them from cache; tens of times slower than tiles.
// Source   the definition.
template <typename T> DEVICE void matmul_plain(const MatmulArgs& a) {
    const int m = a.dims[0], n = a.dims[1], k = a.dims[2];
    const int64_t id = int64_t(blockIdx.x) * 256 + threadIdx.x;
    const int row = int(id / n), col = int(id % n);
    if (row >= m) return;
    const T* x = static_cast<const T*>(a.a) + (a.ta ? int64_t(row) : int64_t(row) * k);
    const T* y = static_cast<const T*>(a.b) + (a.tb ? int64_t(col) * k : int64_t(col));
    const int64_t x_step = a.ta ? m : 1, y_step = a.tb ? 1 : n;
    float sum[1] = {};
    for (int t = 0; t < k; t++) sum[0] = fmaf(to_float(x[t * x_step]), to_float(y[t * y_step]), sum[0]);
    const Epilogue<T> e(a.out, n);
    e.put(row, col, sum);
}
KERNEL(matmul_plain_f32, MatmulArgs, 256) { matmul_plain<float>(a); }
KERNEL(matmul_plain_bf16, MatmulArgs, 256) { matmul_plain<bf16>(a); }
