// RMSNorm and its gradient. See compute.Norm.
#include "columns.cuh"
#include "norm_row.cuh"

struct RMSNormArgs {
    void* dst;
    void* rstd;
    const void* x;
    const void* gamma;
    const int32_t* n;
    int32_t cols;
    float eps;
};

// rmsnorm_forward: divide each row by its root mean square.
//
//   rstd[n] = 1/sqrt(mean over c of x[n,c]^2 + eps)
//   dst[n,c] = x[n,c] rstd[n] gamma[c]
//
//   x, dst [N,C], gamma [C]   f32 or bf16; rstd [N] f32
//
// Launched by internal/gpu/rmsnorm.go.
// Launch   rmsnorm_forward and _odd: grid ceil(N/8), one warp per row. _wide: grid N, one block per row, 32 bytes of
//          shared memory. Block 256.
// Limits   N, C >= 1. 8 must divide C and rows must begin at multiples of 16 bytes, except in _odd, which reads single
//          elements. rmsnorm_forward takes up to 1,024 columns. A row stays in registers up to 1,024 columns, in _wide
//          up to 8,192. _odd and _wide read longer rows twice.
// Numerics f32, rounded once.
// Work     N C reads, N C writes; memory bound.
// Source   Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4.
template <typename T, int warps, bool aligned> DEVICE void rmsnorm_forward(const RMSNormArgs& a) {
    const int row = row_of<warps>(), end = row_end<warps, aligned>(a.cols);
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    const T* in = static_cast<const T*>(a.x) + at;
    RowPart<T> x;
    float squares = 0.0f;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        row_load<warps, aligned>(x, in, begin, a.cols);
        UNROLL
        for (int g = 0; g < kGroups; g++) {
            UNROLL
            for (int i = 0; i < 8; i++) squares = fmaf(x.at(g, i), x.at(g, i), squares);
        }
    }
    const float rstd = 1.0f / sqrtf(row_sum<warps>(squares) / float(a.cols) + a.eps);
    if (threadIdx.x % (warps * 32) == 0) static_cast<float*>(a.rstd)[row] = rstd;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        if (end > row_span<warps>) row_load<warps, aligned>(x, in, begin, a.cols);
        each_group<T, warps, aligned>(a.gamma, begin, a.cols, [&](int g, int c, const float (&gamma)[8]) {
            float v[8];
            UNROLL
            for (int i = 0; i < 8; i++) v[i] = gamma[i] * (x.at(g, i) * rstd);
            store_cols(static_cast<T*>(a.dst) + at, v, c, a.cols, aligned);
        });
    }
}
ROW_KERNELS(rmsnorm_forward, RMSNormArgs)

struct RMSNormGradArgs {
    void* dx;
    const void* x;
    const void* gamma;
    const void* rstd;
    const void* dy;
    const int32_t* n;
    int32_t cols;
    uint32_t accumulate;
};

// rmsnorm_backward: the gradient of each row.
//
//   g = dy gamma,  h = x rstd
//   dx[n,c] = rstd[n] (g[c] - h[c] mean(g h)), or dx += that
//
//   dx, x, dy [N,C], gamma [C]   f32 or bf16; rstd [N] f32
//
// Launched by internal/gpu/rmsnorm.go.
// Launch   as rmsnorm_forward.
// Limits   as rmsnorm_forward.
// Numerics f32, rounded once.
// Work     2 N C reads, 3 N C if it accumulates, N C writes; memory bound.
// Source   as rmsnorm_forward, differentiated.
template <typename T, int warps, bool aligned> DEVICE void rmsnorm_backward(const RMSNormGradArgs& a) {
    const int row = row_of<warps>(), end = row_end<warps, aligned>(a.cols);
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    const T* in = static_cast<const T*>(a.x) + at;
    const T* dy = static_cast<const T*>(a.dy) + at;
    T* dx = static_cast<T*>(a.dx) + at;
    const float rstd = static_cast<const float*>(a.rstd)[row];
    const int old = a.accumulate ? a.cols : 0;
    RowPart<T> x, g, before;
    float product = 0.0f;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        row_load<warps, aligned>(g, dy, begin, a.cols);
        row_load<warps, aligned>(x, in, begin, a.cols);
        row_load<warps, aligned>(before, dx, begin, old);
        each_group<T, warps, aligned>(a.gamma, begin, a.cols, [&](int k, int, const float (&gamma)[8]) {
            UNROLL
            for (int i = 0; i < 8; i++) product = fmaf(g.at(k, i) * gamma[i], x.at(k, i), product);
        });
    }
    const float slope = row_sum<warps>(product) / float(a.cols) * rstd * rstd;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        if (end > row_span<warps>) {
            row_load<warps, aligned>(g, dy, begin, a.cols);
            row_load<warps, aligned>(x, in, begin, a.cols);
            row_load<warps, aligned>(before, dx, begin, old);
        }
        each_group<T, warps, aligned>(a.gamma, begin, a.cols, [&](int k, int c, const float (&gamma)[8]) {
            float v[8];
            UNROLL
            for (int i = 0; i < 8; i++) {
                v[i] = fmaf(rstd, g.at(k, i) * gamma[i] - x.at(k, i) * slope, before.at(k, i));
            }
            store_cols(dx, v, c, a.cols, aligned);
        });
    }
}
ROW_KERNELS(rmsnorm_backward, RMSNormGradArgs)

struct RMSNormGainArgs {
    void* partial;
    const void* x;
    const void* rstd;
    const void* dy;
    const int32_t* n;
    int32_t cols, chunk;
    uint32_t aligned, unused;
};

// rmsnorm_backward_gain: sums over the rows of each chunk, the first stage of the gradient of gamma. sum_rows_finish is
// the second stage.
//
//   dgamma[c] += sum over n of dy[n,c] x[n,c] rstd[n]
//
//   partial [ceil(N/chunk), C] f32, out   x, dy [N,C] f32 or bf16   rstd [N] f32
//
// Launched by internal/gpu/rmsnorm.go.
// Launch   grid (ceil(C/256), ceil(N/chunk)), block 256, 8 KB of shared memory.
// Limits   any N, C >= 1; 16-byte accesses if rows are aligned.
// Numerics as sum_rows.
// Work     2 N C reads; memory bound.
template <typename T, bool aligned> DEVICE void rmsnorm_backward_gain(ColumnSums& sums, const RMSNormGainArgs& a) {
    const T* x = static_cast<const T*>(a.x);
    const T* dy = static_cast<const T*>(a.dy);
    const float* rstd = static_cast<const float*>(a.rstd);
    column_sums<1>(sums, a.partial, *a.n, a.cols, a.chunk, [&](float (&total)[1][8], int row, int c) {
        const int64_t at = int64_t(row) * a.cols;
        const float scale = rstd[row];
        float v[8], g[8];
        load_cols(v, x + at, c, a.cols, aligned);
        load_cols(g, dy + at, c, a.cols, aligned);
        UNROLL
        for (int i = 0; i < 8; i++) total[0][i] = fmaf(g[i], v[i] * scale, total[0][i]);
    });
}
COLUMN_KERNELS(rmsnorm_backward_gain, RMSNormGainArgs)
