// Matrix products with few rows or few columns, for which tiles are too large, and the second stage of products whose
// terms are divided among blocks. See compute.Matmul.
#include "matmul.cuh"

constexpr int kMany = 2; // lines of the long factor per warp

// load_terms reads 8 terms of a line. Terms from `some` on are zeros.
template <typename T> DEVICE void load_terms(float (&x)[8], const T* p, int some, bool wide) {
    if (wide && some > 0) {
        load8(x, p);
        return;
    }
    UNROLL
    for (int i = 0; i < 8; i++) x[i] = i < some ? to_float(p[i]) : 0.0f;
}

// matmul_skinny, matmul_skinny1, matmul_skinny2, matmul_skinny4: dst = act(alpha a bT + bias), or added to dst, or
// times act'(pre), for a product with few rows, or few columns: the layers of a decoder for the next tokens of few
// texts, a classification head and its hidden layer. kFew is 8, 1, 2 or 4.
//
//   a [M,K], b [N,K], bias [N], pre [M,N] f32 or bf16; dst [M,N] the same or f32
//
// Launched by internal/gpu/matmul.go.
// Launch   grid (ceil(L/16), ceil(S/kFew)), where L is the larger of M and N and S the smaller; block 256. A warp has
//          kFew x 2 elements of dst, and its lanes divide the terms, 8 at a time. No shared memory.
// Limits   as matmul. a is not transposed, and b is. 16-byte loads need K % 8 == 0 and factors aligned to 16 bytes.
// Numerics f32: the terms of a lane in the order of k, then a tree over the lanes. So an element has the same bits with
//          every kFew and every number of rows.
// Work     2 M N K flops, (M + N) K reads if S <= kFew; memory bound. Rows beyond the last would cost as much
//          arithmetic as others, which with kFew = 8 takes longer than to read the weights for one row.
// Source   the definition.
template <typename T, int kFew> DEVICE void matmul_skinny(const MatmulArgs& a) {
    const int m = a.dims[0], n = a.dims[1], k = a.dims[2], lane = threadIdx.x % 32;
    const bool rows_few = m <= n;
    const T* few = static_cast<const T*>(rows_few ? a.a : a.b);
    const T* many = static_cast<const T*>(rows_few ? a.b : a.a);
    const int fews = rows_few ? m : n, manys = rows_few ? n : m;
    const int f0 = blockIdx.y * kFew, m0 = (blockIdx.x * 8 + threadIdx.x / 32) * kMany;
    if (f0 >= fews || m0 >= manys) return;
    const bool wide = k % 8 == 0 && aligned16(a.a) && aligned16(a.b);
    float sum[kFew * kMany] = {};
    for (int k0 = lane * 8; k0 < k; k0 += 256) {
        float x[kMany][8];
        UNROLL
        for (int j = 0; j < kMany; j++) load_terms(x[j], many + int64_t(min(m0 + j, manys - 1)) * k + k0, k - k0, wide);
        UNROLL
        for (int i = 0; i < kFew; i++) {
            float y[8];
            load_terms(y, few + int64_t(min(f0 + i, fews - 1)) * k + k0, k - k0, wide);
            UNROLL
            for (int j = 0; j < kMany; j++) {
                UNROLL
                for (int l = 0; l < 8; l++) sum[i * kMany + j] = fmaf(x[j][l], y[l], sum[i * kMany + j]);
            }
        }
    }
    float mine[1] = {};
    UNROLL
    for (int i = 0; i < kFew * kMany; i++) {
        const float total = warp_sum(sum[i]);
        if (lane == i) mine[0] = total;
    }
    const int f = f0 + lane / kMany, l = m0 + lane % kMany;
    if (lane >= kFew * kMany || f >= fews || l >= manys) return;
    const Epilogue<T> e(a.out, n);
    e.put(rows_few ? f : l, rows_few ? l : f, mine);
}
KERNEL(matmul_skinny_f32, MatmulArgs, 256) { matmul_skinny<float, 8>(a); }
KERNEL(matmul_skinny_bf16, MatmulArgs, 256) { matmul_skinny<bf16, 8>(a); }
KERNEL(matmul_skinny4_f32, MatmulArgs, 256) { matmul_skinny<float, 4>(a); }
KERNEL(matmul_skinny4_bf16, MatmulArgs, 256) { matmul_skinny<bf16, 4>(a); }
KERNEL(matmul_skinny2_f32, MatmulArgs, 256) { matmul_skinny<float, 2>(a); }
KERNEL(matmul_skinny2_bf16, MatmulArgs, 256) { matmul_skinny<bf16, 2>(a); }
KERNEL(matmul_skinny1_f32, MatmulArgs, 256) { matmul_skinny<float, 1>(a); }
KERNEL(matmul_skinny1_bf16, MatmulArgs, 256) { matmul_skinny<bf16, 1>(a); }

// matmul_reduce: the second stage of a product whose terms are divided among blocks.
//
//   dst = act(alpha sum over p of partial[p] + bias), or added to dst, or times
//   act'(pre)
//
//   partial [parts,M,N] f32; bias [N], pre [M,N] f32 or bf16; dst [M,N] the same
//   or f32
//
// Launched by internal/gpu/matmul.go.
// Launch   grid ceil(M ceil(N/8) / 256), block 256. A thread has 8 columns of a row, in f32 4 at a time. No shared
//          memory.
// Limits   M N < 2^31; 16-byte accesses if N is a multiple of 8 (bf16) or 4.
// Numerics f32, parts in order; rounded once.
// Work     parts M N f32 reads, M N writes; memory bound, mostly from L2.
// Source   the definition.
template <typename T> DEVICE void matmul_reduce(const MatmulArgs& a) {
    constexpr int width = Vec<T>::n;
    const int m = a.dims[0], n = a.dims[1];
    const int groups = (n + 7) / 8, id = blockIdx.x * 256 + threadIdx.x, row = id / groups;
    if (row >= m) return;
    const Epilogue<T> e(a.out, n);
    ROLL
    for (int half = 0; half < 8; half += width) {
        const int col = id % groups * 8 + half;
        if (col >= n) return;
        float sum[width] = {};
        for (int p = 0; p < a.parts; p++) {
            add_to(sum, a.partial + (int64_t(p) * m + row) * n + col, min(width, n - col), n % width == 0);
        }
        e.put(row, col, sum);
    }
}
KERNEL(matmul_reduce_f32, MatmulArgs, 256) { matmul_reduce<float>(a); }
KERNEL(matmul_reduce_bf16, MatmulArgs, 256) { matmul_reduce<bf16>(a); }
