// LayerNorm and its gradient. See compute.Norm.
#include "columns.cuh"
#include "layernorm.cuh"

// layernorm_forward: add what a sublayer computed to its input and normalise
// each row of the sum.
//
//   sum[n,c] = residual[n,c] + dropout(x)[n,c]
//   dst[n,c] = (sum[n,c] - mean[n]) rstd[n] gamma[c] + beta[c]
//
//   x, residual, sum, dst [N,C], gamma, beta [C]   f32 or bf16
//   stats [N,2] f32, out: mean, 1/sqrt(var + eps)
//   sum may be x; without residual sum is absent and x is normalised
//
// Launched by internal/gpu/norm.go.
// Launch   layernorm_forward and _odd: grid ceil(N/8), a warp a row; _wide: grid
//          N, a block a row, 32 bytes of shared memory; block 256.
// Limits   N, C >= 1. 8 divides C and rows begin at 16 bytes, but in _odd, which
//          reads single elements. A row stays in registers up to C = 1024, the
//          most that layernorm_forward takes, in _wide up to 8192; beyond, _odd
//          and _wide read it three times.
// Numerics f32. sum is rounded to its type before anything is taken from it, so
//          that the gradient, which reads it from memory, is that of what was
//          computed. Two passes, since E[x^2] - E[x]^2 cancels.
// Work     2 N C reads, 2 N C writes, a Philox call for 8 elements; half of that
//          without residual; memory bound.
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
    if (threadIdx.x % (warps * 32) == 0) {
        float* stats = static_cast<float*>(a.stats) + 2 * int64_t(row);
        stats[0] = mean;
        stats[1] = rstd;
    }
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        if (end > row_span<warps>) row_read<warps, aligned>(v, sum, begin, a.cols);
        UNROLL
        for (int g = 0; g < kGroups; g++) {
            const int c = row_col<warps>(begin, g);
            if (c >= a.cols) continue;
            float gamma[8], beta[8];
            load_cols(gamma, static_cast<const T*>(a.gamma), c, a.cols, aligned);
            load_cols(beta, static_cast<const T*>(a.beta), c, a.cols, aligned);
            UNROLL
            for (int i = 0; i < 8; i++) v[g][i] = fmaf((v[g][i] - mean) * rstd, gamma[i], beta[i]);
            store_cols(static_cast<T*>(a.dst) + at, v[g], c, a.cols, aligned);
        }
    }
}
KERNEL(layernorm_forward_f32, LayerNormArgs, 256) { layernorm_forward<float, 1, true>(a); }
KERNEL(layernorm_forward_bf16, LayerNormArgs, 256) { layernorm_forward<bf16, 1, true>(a); }
KERNEL(layernorm_forward_wide_f32, LayerNormArgs, 256) { layernorm_forward<float, 8, true>(a); }
KERNEL(layernorm_forward_wide_bf16, LayerNormArgs, 256) { layernorm_forward<bf16, 8, true>(a); }
KERNEL(layernorm_forward_odd_f32, LayerNormArgs, 256) { layernorm_forward<float, 1, false>(a); }
KERNEL(layernorm_forward_odd_bf16, LayerNormArgs, 256) { layernorm_forward<bf16, 1, false>(a); }

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
//   either of dx and dresidual may be absent
//
// Launched by internal/gpu/norm.go.
// Launch   as layernorm_forward.
// Limits   as layernorm_forward; a longer row is read twice.
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
        UNROLL
        for (int k = 0; k < kGroups; k++) {
            const int c = row_col<warps>(begin, k);
            if (c >= a.cols) continue;
            float gamma[8];
            load_cols(gamma, static_cast<const T*>(a.gamma), c, a.cols, aligned);
            UNROLL
            for (int i = 0; i < 8; i++) {
                const float scaled = g.at(k, i) * gamma[i];
                total += scaled;
                product = fmaf(scaled, x.at(k, i) - mean, product);
            }
        }
    }
    const float mean_g = row_sum<warps>(total) / float(a.cols);
    const float slope = row_sum<warps>(product) / float(a.cols) * rstd * rstd;
    for (int begin = 0; begin < end; begin += row_span<warps>) {
        if (end > row_span<warps>) {
            row_load<warps, aligned>(g, dy, begin, a.cols);
            row_load<warps, aligned>(x, sum, begin, a.cols);
        }
        UNROLL
        for (int k = 0; k < kGroups; k++) {
            const int c = row_col<warps>(begin, k);
            if (c >= a.cols) continue;
            float gamma[8], v[8];
            load_cols(gamma, static_cast<const T*>(a.gamma), c, a.cols, aligned);
            UNROLL
            for (int i = 0; i < 8; i++) v[i] = rstd * (g.at(k, i) * gamma[i] - mean_g - (x.at(k, i) - mean) * slope);
            if (a.dresidual) store_cols(static_cast<T*>(a.dresidual) + at, v, c, a.cols, aligned);
            if (!a.dx) continue;
            if (a.drop.threshold) mask8(v, a.drop, row, c / 8);
            store_cols(static_cast<T*>(a.dx) + at, v, c, a.cols, aligned);
        }
    }
}
KERNEL(layernorm_backward_f32, LayerNormGradArgs, 256) { layernorm_backward<float, 1, true>(a); }
KERNEL(layernorm_backward_bf16, LayerNormGradArgs, 256) { layernorm_backward<bf16, 1, true>(a); }
KERNEL(layernorm_backward_wide_f32, LayerNormGradArgs, 256) { layernorm_backward<float, 8, true>(a); }
KERNEL(layernorm_backward_wide_bf16, LayerNormGradArgs, 256) { layernorm_backward<bf16, 8, true>(a); }
KERNEL(layernorm_backward_odd_f32, LayerNormGradArgs, 256) { layernorm_backward<float, 1, false>(a); }
KERNEL(layernorm_backward_odd_bf16, LayerNormGradArgs, 256) { layernorm_backward<bf16, 1, false>(a); }

struct LayerNormParamsArgs {
    void* partial;
    const void* sum;
    const void* stats;
    const void* dy;
    const int32_t* n;
    int32_t cols, chunk;
    uint32_t aligned, unused;
};

// layernorm_backward_params: sums over the rows of each chunk, the first half of
// the gradients of gamma and beta; sum_rows_finish is the second.
//
//   dgamma[c] += sum over n of dy[n,c] (sum[n,c] - mean[n]) rstd[n]
//   dbeta[c]  += sum over n of dy[n,c]
//
//   partial [2, ceil(N/chunk), C] f32, out: of dgamma, of dbeta
//   sum, dy [N,C] f32 or bf16   stats [N,2] f32
//
// Launched by internal/gpu/norm.go.
// Launch   grid (ceil(C/256), ceil(N/chunk)), block 256, 8 KB of shared memory.
// Limits   any N, C >= 1; 16-byte accesses where rows are aligned.
// Numerics as sum_rows.
// Work     2 N C reads; memory bound. A pass of its own, since only runs that
//          train the norms have one and its sums would cost layernorm_backward
//          a third of its resident warps.
template <typename T, bool aligned> DEVICE void layernorm_backward_params_as(ColumnSums& sums, const LayerNormParamsArgs& a) {
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
template <typename T> DEVICE void layernorm_backward_params(const LayerNormParamsArgs& a) {
    SHARED(ColumnSums, sums);
    a.aligned ? layernorm_backward_params_as<T, true>(sums, a) : layernorm_backward_params_as<T, false>(sums, a);
}
KERNEL(layernorm_backward_params_f32, LayerNormParamsArgs, 256) { layernorm_backward_params<float>(a); }
KERNEL(layernorm_backward_params_bf16, LayerNormParamsArgs, 256) { layernorm_backward_params<bf16>(a); }
