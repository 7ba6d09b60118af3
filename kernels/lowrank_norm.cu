// Norms of the rows of an adapted weight. See compute.Methods.
#include "common.cuh"

struct LowRankNormArgs {
    void* dst;
    const void* w;
    const void* a;
    const void* b;
    int32_t rows, cols, rank;
    float scale;
    uint32_t aligned, unused;
};

constexpr int kNormRows = 4; // rows of a warp

// lowrank_inv_norm: dst[m] = 1/||w[m] + scale sum over r of b[m,r] a[r]||, 0 for a row of zeros.
//
//   dst [M] f32   w [M,K], a [R,K], b [M,R] f32 or bf16
//
// Launched by internal/gpu/lowrank_norm.go.
// Launch   grid ceil(M/32), block 256: a warp has 4 rows, a lane 8 of 256 columns at a time; no shared memory.
// Limits   any M, K, R; 16-byte accesses if 8 divides K and rows begin at multiples of 16 bytes.
// Numerics f32. Ranks in order; a lane adds the squares of its columns in order, then the lanes.
// Work     M K reads of w, and a from cache once for 32 rows; 2 M K (R + 1) flops.
// Source   Liu et al. 2024, arXiv:2402.09353 (DoRA, whose norm has no gradient).
template <typename T> DEVICE void lowrank_inv_norm(const LowRankNormArgs& a) {
    const int lane = threadIdx.x % 32, row = (blockIdx.x * 8 + threadIdx.x / 32) * kNormRows;
    if (row >= a.rows) return;
    const T* w = static_cast<const T*>(a.w);
    const T* b = static_cast<const T*>(a.b);
    float square[kNormRows] = {};
    for (int c = lane * 8; c < a.cols; c += 256) {
        float v[kNormRows][8];
        UNROLL
        for (int i = 0; i < kNormRows; i++) {
            load_cols(v[i], w + int64_t(min(row + i, a.rows - 1)) * a.cols, c, a.cols, a.aligned);
        }
        for (int r = 0; r < a.rank; r++) {
            float f[8];
            load_cols(f, static_cast<const T*>(a.a) + int64_t(r) * a.cols, c, a.cols, a.aligned);
            UNROLL
            for (int i = 0; i < kNormRows; i++) {
                const float s = a.scale * to_float(b[int64_t(min(row + i, a.rows - 1)) * a.rank + r]);
                UNROLL
                for (int j = 0; j < 8; j++) v[i][j] = fmaf(s, f[j], v[i][j]);
            }
        }
        UNROLL
        for (int i = 0; i < kNormRows; i++) {
            UNROLL
            for (int j = 0; j < 8; j++) square[i] = fmaf(v[i][j], v[i][j], square[i]);
        }
    }
    UNROLL
    for (int i = 0; i < kNormRows; i++) {
        const float sum = warp_sum(square[i]);
        if (lane == 0 && row + i < a.rows) static_cast<float*>(a.dst)[row + i] = sum == 0.0f ? 0.0f : 1.0f / sqrtf(sum);
    }
}
KERNEL(lowrank_inv_norm_f32, LowRankNormArgs, 256) { lowrank_inv_norm<float>(a); }
KERNEL(lowrank_inv_norm_bf16, LowRankNormArgs, 256) { lowrank_inv_norm<bf16>(a); }
