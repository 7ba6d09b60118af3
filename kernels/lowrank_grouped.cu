// A low-rank path in groups, each of which has its own columns and its own ranks. See compute.Matmul.
#include "common.cuh"

struct GroupedArgs {
    void* out;
    const void* u;
    const void* x;
    const void* w;
    const int32_t* n;
    Dropout drop;
    int32_t groups, cols, ranks; // cols and ranks of one group
    int32_t col_step, rank_step; // between neighbours in the factor
    int32_t part_rows, stride;
    float scale;
    uint32_t accumulate, unused;
};

// factor_at returns the index in the factor of a rank and a column of a group.
DEVICE int64_t factor_at(const GroupedArgs& a, int group, int rank, int col) {
    return int64_t(group) * a.ranks * a.cols + int64_t(rank) * a.rank_step + int64_t(col) * a.col_step;
}

// keep returns the multiplier of the mask of an element.
DEVICE float keep(const GroupedArgs& a, int row, int col) {
    return a.drop.threshold ? mask1(a.drop, row, col) : 1.0f;
}

constexpr int kGroupRows = 4, kGroupRanks = 8; // of a warp at a time

// grouped_down: u[n,gR+r] = scale sum over the C columns c of group g of dropout(x)[n,gC+c] w[g,r,c].
//
//   out = u [N,G R] f32   x [N,G C] f32 or bf16   w [G,R,C] or [G,C,R] f32 or bf16
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid (ceil(N/32), G, ceil(R/8)), block 256: a warp has 4 rows, a lane every 32nd column; no shared memory.
// Limits   any N, C, R; accesses of single elements.
// Numerics f32; a lane adds its columns in order, then the lanes.
// Work     N G C reads for 8 ranks, w from cache once for 4 rows; 2 N G C R flops; a Philox call per element of x.
// Source   Ren et al. 2024, arXiv:2402.17263 (MELoRA).
template <typename T> DEVICE void grouped_down(const GroupedArgs& a) {
    const int n = *a.n, lane = threadIdx.x % 32, g = blockIdx.y, r0 = blockIdx.z * kGroupRanks;
    const int row = (blockIdx.x * 8 + threadIdx.x / 32) * kGroupRows;
    if (row >= n) return;
    const T* x = static_cast<const T*>(a.x) + g * a.cols;
    const T* w = static_cast<const T*>(a.w);
    float sum[kGroupRows][kGroupRanks] = {};
    for (int c = lane; c < a.cols; c += 32) {
        float v[kGroupRows];
        UNROLL
        for (int i = 0; i < kGroupRows; i++) {
            const int at = min(row + i, n - 1);
            v[i] = to_float(x[int64_t(at) * a.groups * a.cols + c]) * keep(a, at, g * a.cols + c);
        }
        UNROLL
        for (int k = 0; k < kGroupRanks; k++) {
            const float f = r0 + k < a.ranks ? to_float(w[factor_at(a, g, r0 + k, c)]) : 0.0f;
            UNROLL
            for (int i = 0; i < kGroupRows; i++) sum[i][k] = fmaf(v[i], f, sum[i][k]);
        }
    }
    UNROLL
    for (int i = 0; i < kGroupRows; i++) {
        UNROLL
        for (int k = 0; k < kGroupRanks; k++) {
            const float total = warp_sum(sum[i][k]);
            if (lane != 0 || row + i >= n || r0 + k >= a.ranks) continue;
            static_cast<float*>(a.out)[(int64_t(row + i) * a.groups + g) * a.ranks + r0 + k] = a.scale * total;
        }
    }
}
KERNEL(grouped_down_f32, GroupedArgs, 256) { grouped_down<float>(a); }
KERNEL(grouped_down_bf16, GroupedArgs, 256) { grouped_down<bf16>(a); }

// grouped_up: y[n,gC+c] = dropout(scale sum over r of u[n,gR+r] w[g,r,c]), or adds that to y.
//
//   out = y [N,G C] f32 or bf16   u [N,G R] f32   w [G,R,C] or [G,C,R] f32 or bf16
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid ceil(N G C/256), block 256: a thread has an element; no shared memory.
// Limits   N G C < 2^31; accesses of single elements.
// Numerics f32, ranks in order; rounded once.
// Work     N G C reads and writes, u and w from cache; 2 N G C R flops; a Philox call per element with a mask.
// Source   as grouped_down.
template <typename T> DEVICE void grouped_up(const GroupedArgs& a) {
    const int all = a.groups * a.cols, i = blockIdx.x * 256 + threadIdx.x, row = i / all, col = i % all;
    if (row >= *a.n) return;
    const int g = col / a.cols;
    const float* u = static_cast<const float*>(a.u) + (int64_t(row) * a.groups + g) * a.ranks;
    const T* w = static_cast<const T*>(a.w);
    T* out = static_cast<T*>(a.out) + i;
    float sum = 0.0f;
    for (int r = 0; r < a.ranks; r++) sum = fmaf(u[r], to_float(w[factor_at(a, g, r, col % a.cols)]), sum);
    sum *= a.scale * keep(a, row, col);
    *out = from_float<T>(a.accumulate ? to_float(*out) + sum : sum);
}
KERNEL(grouped_up_f32, GroupedArgs, 256) { grouped_up<float>(a); }
KERNEL(grouped_up_bf16, GroupedArgs, 256) { grouped_up<bf16>(a); }

// grouped_gradient: the gradient of a factor in parts of the rows.
//
//   out[p][g,r,c] = scale sum over the rows n of part p of u[n,gR+r] dropout(x)[n,gC+c]
//
//   out [parts,stride] f32, laid out as w   u [N,G R] f32   x [N,G C] f32 or bf16
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid (ceil(G C/256), parts, ceil(R/8)), block 256: a thread has 8 ranks of a column; no shared memory.
// Limits   any N, C, R; accesses of single elements.
// Numerics f32; the rows of a part in order, then the parts (lowrank_add). Parts depend on the class of N and on the
//          factor alone.
// Work     N G C reads for 8 ranks, u from cache; 2 N G C R flops; a Philox call per element of x.
// Source   as grouped_down, differentiated.
template <typename T> DEVICE void grouped_gradient(const GroupedArgs& a) {
    const int all = a.groups * a.cols, col = blockIdx.x * 256 + threadIdx.x, r0 = blockIdx.z * kGroupRanks;
    if (col >= all) return;
    const int g = col / a.cols, begin = blockIdx.y * a.part_rows, end = min(*a.n, begin + a.part_rows);
    const T* x = static_cast<const T*>(a.x) + col;
    const float* u = static_cast<const float*>(a.u) + g * a.ranks + r0;
    float sum[kGroupRanks] = {};
    for (int row = begin; row < end; row++) {
        const float v = to_float(x[int64_t(row) * all]) * keep(a, row, col);
        UNROLL
        for (int k = 0; k < kGroupRanks; k++) {
            if (r0 + k < a.ranks) sum[k] = fmaf(u[int64_t(row) * a.groups * a.ranks + k], v, sum[k]);
        }
    }
    float* out = static_cast<float*>(a.out) + int64_t(blockIdx.y) * a.stride;
    UNROLL
    for (int k = 0; k < kGroupRanks; k++) {
        if (r0 + k < a.ranks) out[factor_at(a, g, r0 + k, col % a.cols)] = a.scale * sum[k];
    }
}
KERNEL(grouped_gradient_f32, GroupedArgs, 256) { grouped_gradient<float>(a); }
KERNEL(grouped_gradient_bf16, GroupedArgs, 256) { grouped_gradient<bf16>(a); }
