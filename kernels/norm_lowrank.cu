// LayerNorm with the second half of one low-rank path and the first half of the next, while the row is in registers.
// See compute.LowRankUp.
#include "layernorm.cuh"
#include "lowrank.cuh"

struct LayerNormLowRankArgs {
    LayerNormArgs norm;
    const void* up_u;
    const void* up_w;
    void* down_u;
    const void* down_w;
    Dropout down_drop;
    int32_t up_rank, down_rank;
    float up_scale;
    uint32_t aligned; // rows of down_w begin at multiples of 16 bytes
};

// Blocks are small because a thread needs more than 1/512 of the registers of a multiprocessor.
constexpr int kFusedThreads = 128, kFusedRows = 32;

// together is the number of rows that a warp works on at a time. With two rows it reads shared memory half as often. In
// f32 there are not enough registers for two.
template <typename T> constexpr int together = 4 / sizeof(T);

// stage_factor copies a whole factor to shared memory [ranks, stride]. Ranks that the factor does not have become
// zeros. Eight columns are written at a time, and a row has 16 bytes more than its columns, so that writes of several
// ranks go to different banks.
template <int ranks, typename T>
DEVICE void stage_factor(T* shared, int stride, const T* w, int cols, int rank, bool transposed, bool aligned) {
    for (int i = threadIdx.x; i < ranks * (cols / 8); i += kFusedThreads) {
        const int r = transposed ? i % ranks : i / (cols / 8), c = (transposed ? i / ranks : i % (cols / 8)) * 8;
        float x[8] = {};
        if (r < rank && transposed) {
            UNROLL
            for (int j = 0; j < 8; j++) x[j] = to_float(w[int64_t(c + j) * rank + r]);
        } else if (r < rank) {
            load_cols(x, w + int64_t(r) * cols, c, cols, aligned);
        }
        store8(shared + r * stride + c, x);
    }
}

// layernorm_row computes a row of the norm in v, not yet rounded, and stores sum and stats.
template <typename T> DEVICE void layernorm_row(float (&v)[kGroups][8], const LayerNormArgs& a, int row) {
    layernorm_sum<1, true, T>(v, a, row, 0);
    float total = 0.0f;
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        UNROLL
        for (int i = 0; i < 8; i++) total += v[g][i];
    }
    const float mean = warp_sum(total) / float(a.cols);
    const float rstd = 1.0f / sqrtf(warp_sum(square_sum<1>(v, mean, 0, a.cols)) / float(a.cols) + a.eps);
    if (threadIdx.x % 32 == 0) layernorm_stats(a, row, mean, rstd);
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        // Columns beyond the row are computed too: gamma and beta are 0 there, and so is the result.
        float gamma[8];
        const int c = row_col<1>(0, g);
        load_cols(gamma, static_cast<const T*>(a.gamma), c, a.cols, true);
        layernorm_scale<T>(v[g], gamma, a, mean, rstd, c, true);
    }
}

// layernorm_lowrank: a norm, then the second half of a low-rank path if up_w is present, then the first half of a
// low-rank path if down_w is present.
//
//   dst  = LayerNorm(residual + dropout(x))           sum, stats as layernorm_forward
//   dst += up_scale up_u up_w^T
//   down_u = dropout(dst) down_w^T
//
//   x, residual, sum, dst [N,C], gamma, beta [C]   f32 or bf16
//   up_u, down_u [N,R] f32   up_w [C,R], down_w [R,C] as dst
//   Without residual, sum is absent and x is normalised.
//
// Launched by internal/gpu/fuse.go.
// Launch   grid ceil(N/32), block 128. A warp works on one row (f32) or two rows (bf16) at a time. Dynamic shared
//          memory for R (C + 4) f32 or R (C + 8) bf16 of each factor that is present, where R is 8 or 16.
// Limits   R <= 8 or 16, by the kernel's name. C is a multiple of 8 up to 1,024, and rows begin at multiples of 16
//          bytes.
// Numerics f32. sum and dst are rounded once, and down_u is computed from the rounded dst.
// Work     2 N C reads, 2 N C writes, two Philox calls per 8 elements, 4 N C R flops. At R = 8, memory and instruction
//          issue limit it about equally.
// Source   arXiv:1607.06450, eq. 4; arXiv:2503.00572, eq. 2.
template <typename T, int ranks> DEVICE void layernorm_lowrank(const LayerNormLowRankArgs& a) {
    DYNAMIC_SHARED(shared);
    const int n = *a.norm.n, cols = a.norm.cols, lane = threadIdx.x % 32, stride = cols + Vec<T>::n;
    const int first = blockIdx.x * kFusedRows;
    if (first >= n) return;
    T* up = reinterpret_cast<T*>(shared);
    T* down = up + (a.up_w ? ranks * stride : 0);
    if (a.up_w) stage_factor<ranks>(up, stride, static_cast<const T*>(a.up_w), cols, a.up_rank, true, false);
    if (a.down_w) {
        stage_factor<ranks>(down, stride, static_cast<const T*>(a.down_w), cols, a.down_rank, false, a.aligned);
    }
    __syncthreads();
    constexpr int rows = together<T>;
    for (int k = threadIdx.x / 32 * rows; k < kFusedRows && first + k < n; k += kFusedThreads / 32 * rows) {
        float v[rows][kGroups][8] = {}, u[rows] = {};
        UNROLL
        for (int i = 0; i < rows; i++) {
            const int row = first + k + i;
            if (row >= n) continue;
            if (a.up_w && lane < a.up_rank) {
                u[i] = a.up_scale * static_cast<const float*>(a.up_u)[int64_t(row) * a.up_rank + lane];
            }
            layernorm_row<T>(v[i], a.norm, row);
        }
        for (int r = 0; a.up_w && r < a.up_rank; r++) {
            float by[rows];
            UNROLL
            for (int i = 0; i < rows; i++) by[i] = __shfl_sync(kAllLanes, u[i], r);
            UNROLL
            for (int g = 0; g < kGroups; g++) {
                float f[8];
                load_cols(f, up + r * stride, row_col<1>(0, g), cols, true);
                UNROLL
                for (int i = 0; i < rows; i++) {
                    UNROLL
                    for (int j = 0; j < 8; j++) v[i][g][j] = fmaf(by[i], f[j], v[i][g][j]);
                }
            }
        }
        UNROLL
        for (int i = 0; i < rows; i++) {
            const int row = first + k + i;
            if (row >= n) continue;
            UNROLL
            for (int g = 0; g < kGroups; g++) {
                const int c = row_col<1>(0, g);
                round8<T>(v[i][g]);
                store_cols(static_cast<T*>(a.norm.dst) + int64_t(row) * cols, v[i][g], c, cols, true);
                if (a.down_w && a.down_drop.threshold && c < cols) mask8(v[i][g], a.down_drop, row, c / 8);
            }
        }
        if (!a.down_w) continue;
        float sum[rows * ranks] = {};
        UNROLL
        for (int r = 0; r < ranks; r++) {
            UNROLL
            for (int g = 0; g < kGroups; g++) {
                float f[8];
                load_cols(f, down + r * stride, row_col<1>(0, g), cols, true);
                UNROLL
                for (int i = 0; i < rows; i++) {
                    UNROLL
                    for (int j = 0; j < 8; j++) sum[i * ranks + r] = fmaf(v[i][g][j], f[j], sum[i * ranks + r]);
                }
            }
        }
        fold(sum, lane);
        const int row = first + k + lane / ranks, r = lane % ranks;
        if (lane < rows * ranks && row < n && r < a.down_rank) {
            static_cast<float*>(a.down_u)[int64_t(row) * a.down_rank + r] = sum[0];
        }
    }
}
KERNEL(layernorm_lowrank_r8_f32, LayerNormLowRankArgs, kFusedThreads) { layernorm_lowrank<float, 8>(a); }
KERNEL(layernorm_lowrank_r8_bf16, LayerNormLowRankArgs, kFusedThreads) { layernorm_lowrank<bf16, 8>(a); }
KERNEL(layernorm_lowrank_r16_f32, LayerNormLowRankArgs, kFusedThreads) { layernorm_lowrank<float, 16>(a); }
KERNEL(layernorm_lowrank_r16_bf16, LayerNormLowRankArgs, kFusedThreads) { layernorm_lowrank<bf16, 16>(a); }
