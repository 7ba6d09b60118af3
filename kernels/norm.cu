// LayerNorm and its gradient. See compute.Norm.
#include "columns.cuh"
#include "layernorm.cuh"

// layernorm_forward: add the output of a sublayer to its input and normalise each row of the sum.
//
//   sum[n,c] = residual[n,c] + dropout(x)[n,c]
//   dst[n,c] = (sum[n,c] - mean[n]) rstd[n] gamma[c] + beta[c]
//
//   x, residual, sum, dst [N,C], gamma, beta [C]   f32 or bf16
//   stats [N,2] f32, out: mean, 1/sqrt(var + eps)
//   sum may be x. Without residual, sum is absent and x is normalised.
//
// Launched by internal/gpu/norm.go.
// Launch   layernorm_forward and _odd: grid ceil(N/8), one warp per row. _wide: grid N, one block per row, 32 bytes of
//          shared memory. Block 256.
// Limits   N, C >= 1. 8 must divide C and rows must begin at multiples of 16 bytes, except in _odd, which reads single
//          elements. layernorm_forward takes up to 1,024 columns. A row stays in registers up to 1,024 columns, in
//          _wide up to 8,192. _odd and _wide read longer rows three times.
// Numerics f32. sum is rounded to its type before it is used, because the gradient reads the rounded sum from memory.
//          The sum of squares about the mean is a second pass, because E[x^2] - E[x]^2 cancels.
// Work     2 N C reads, 2 N C writes, one Philox call per 8 elements; half of that without residual; memory bound.
// Source   Ba et al. 2016, arXiv:1607.06450, eq. 4.
template <typename T, int warps, bool aligned> DEVICE void layernorm_forward(const LayerNormArgs& a) {
    const int row = row_of<warps>(), end = row_end<warps, aligned>(a.cols);
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    float v[kGroups][8], total = 0.0f, squares = 0.0f;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        layernorm_sum<warps, aligned, T>(v, a, row, begin);
        UNROLL
        for (int g = 0; g < kGroups; g++) {
            UNROLL
            for (int i = 0; i < 8; i++) total += v[g][i];
        }
    }
    const float mean = row_sum<warps>(total) / float(a.cols);
    const T* sum = static_cast<const T*>(a.residual ? a.sum : a.x) + at;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        if (end > row_span<warps>) row_read<warps, aligned>(v, sum, begin, a.cols);
        squares += square_sum<warps>(v, mean, begin, a.cols);
    }
    const float rstd = 1.0f / sqrtf(row_sum<warps>(squares) / float(a.cols) + a.eps);
    if (threadIdx.x % (warps * 32) == 0) layernorm_stats(a, row, mean, rstd);
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        if (end > row_span<warps>) row_read<warps, aligned>(v, sum, begin, a.cols);
        each_group<T, warps, aligned>(a.gamma, begin, a.cols, [&](int g, int c, const float (&gamma)[8]) {
            layernorm_scale<T>(v[g], gamma, a, mean, rstd, c, aligned);
            store_cols(static_cast<T*>(a.dst) + at, v[g], c, a.cols, aligned);
        });
    }
}
ROW_KERNELS(layernorm_forward, LayerNormArgs)

struct LayerNormGradArgs {
    void* dx;
    void* dresidual;
    const void* sum;
    const void* gamma;
    const void* stats;
    const void* dy;
    const int32_t* n;
    Dropout drop;
    int32_t cols;
    uint32_t unused;
};

// layernorm_backward: the gradient of each row of the sum.
//
//   g = dy gamma,  h = (sum - mean) rstd
//   dresidual[n,c] = rstd[n] (g[c] - mean(g) - h[c] mean(g h))
//   dx[n,c] = dresidual[n,c] times the mask's element, 0 or 1/(1-p)
//
//   dx, dresidual, sum, dy [N,C], gamma [C]   f32 or bf16; stats [N,2] f32
//   dx or dresidual may be absent
//
// Launched by internal/gpu/norm.go.
// Launch   as layernorm_forward.
// Limits   as layernorm_forward, but longer rows are read twice.
// Numerics f32, each result rounded once.
// Work     2 N C reads, up to 2 N C writes; memory bound.
// Source   Ba et al. 2016, arXiv:1607.06450, eq. 4, differentiated.
template <typename T, int warps, bool aligned> DEVICE void layernorm_backward(const LayerNormGradArgs& a) {
    const int row = row_of<warps>(), end = row_end<warps, aligned>(a.cols);
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    const T* sum = static_cast<const T*>(a.sum) + at;
    const T* dy = static_cast<const T*>(a.dy) + at;
    const float* stats = static_cast<const float*>(a.stats) + 2 * int64_t(row);
    const float mean = stats[0], rstd = stats[1];
    RowPart<T> x, g;
    float total = 0.0f, product = 0.0f;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        row_load<warps, aligned>(g, dy, begin, a.cols);
        row_load<warps, aligned>(x, sum, begin, a.cols);
        each_group<T, warps, aligned>(a.gamma, begin, a.cols, [&](int k, int, const float (&gamma)[8]) {
            UNROLL
            for (int i = 0; i < 8; i++) {
                const float scaled = g.at(k, i) * gamma[i];
                total += scaled;
                product = fmaf(scaled, x.at(k, i) - mean, product);
            }
        });
    }
    const float mean_g = row_sum<warps>(total) / float(a.cols);
    const float slope = row_sum<warps>(product) / float(a.cols) * rstd * rstd;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        if (end > row_span<warps>) {
            row_load<warps, aligned>(g, dy, begin, a.cols);
            row_load<warps, aligned>(x, sum, begin, a.cols);
        }
        each_group<T, warps, aligned>(a.gamma, begin, a.cols, [&](int k, int c, const float (&gamma)[8]) {
            float v[8];
            UNROLL
            for (int i = 0; i < 8; i++) v[i] = rstd * (g.at(k, i) * gamma[i] - mean_g - (x.at(k, i) - mean) * slope);
            if (a.dresidual) store_cols(static_cast<T*>(a.dresidual) + at, v, c, a.cols, aligned);
            if (!a.dx) return;
            if (a.drop.threshold) mask8(v, a.drop, row, c / 8);
            store_cols(static_cast<T*>(a.dx) + at, v, c, a.cols, aligned);
        });
    }
}
ROW_KERNELS(layernorm_backward, LayerNormGradArgs)

struct LayerNormParamsArgs {
    void* partial;
    const void* sum;
    const void* stats;
    const void* dy;
    const int32_t* n;
    int32_t cols, chunk;
    uint32_t aligned, unused;
};

// layernorm_backward_params: sums over the rows of each chunk, the first stage of the gradients of gamma and beta.
// sum_rows_finish is the second stage.
//
//   dgamma[c] += sum over n of dy[n,c] (sum[n,c] - mean[n]) rstd[n]
//   dbeta[c]  += sum over n of dy[n,c]
//
//   partial [2, ceil(N/chunk), C] f32, out: of dgamma, of dbeta
//   sum, dy [N,C] f32 or bf16   stats [N,2] f32
//
// Launched by internal/gpu/norm.go.
// Launch   grid (ceil(C/256), ceil(N/chunk)), block 256, 8 KB of shared memory.
// Limits   any N, C >= 1; 16-byte accesses if rows are aligned.
// Numerics as sum_rows.
// Work     2 N C reads; memory bound. It is a separate kernel because only runs that train the norms need it, and its
//          sums would reduce the resident warps of layernorm_backward by a third.
template <typename T, bool aligned>
DEVICE void layernorm_backward_params(ColumnSums& sums, const LayerNormParamsArgs& a) {
    const T* sum = static_cast<const T*>(a.sum);
    const T* dy = static_cast<const T*>(a.dy);
    const float* stats = static_cast<const float*>(a.stats);
    column_sums<2>(sums, a.partial, *a.n, a.cols, a.chunk, [&](float (&total)[2][8], int row, int c) {
        const int64_t at = int64_t(row) * a.cols;
        const float mean = stats[2 * int64_t(row)], rstd = stats[2 * int64_t(row) + 1];
        float x[8], g[8];
        load_cols(x, sum + at, c, a.cols, aligned);
        load_cols(g, dy + at, c, a.cols, aligned);
        UNROLL
        for (int i = 0; i < 8; i++) {
            total[0][i] = fmaf(g[i], (x[i] - mean) * rstd, total[0][i]);
            total[1][i] += g[i];
        }
    });
}
COLUMN_KERNELS(layernorm_backward_params, LayerNormParamsArgs)
