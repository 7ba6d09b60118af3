// The low-rank residual for ranks up to 16: one pass over the rows, with the factor in shared memory. lowrank_wide.cu
// is for larger ranks. See compute.Matmul.
//
// W stands for either factor: A [R,K], or B [M,R], which is transposed.
#include "lowrank.cuh"

constexpr int kRows = 4;       // rows of a warp at a time
constexpr int kBlockRows = 64; // rows of u in shared memory

struct LowRankDownArgs {
    void* u;
    const void* x;
    const void* w;
    const int32_t* n;
    Dropout drop;
    int32_t cols, rank;
    float scale;
    uint32_t aligned, transposed, unused;
};

// lowrank_down: from rows to ranks, the first half of the residual and of its gradient.
//
//   u[n,r] = scale sum over c of dropout(x)[n,c] w[r,c]
//
//   u [N,R] f32   x [N,C] f32 or bf16   w [R,C], or [C,R], as x
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid ceil(N/32), block 256: 4 rows per warp, and 8 of each 256 columns per lane. w goes through 8 or 17 KB
//          of shared memory.
// Limits   R <= 8 or 16, by the kernel's name; any C. 16-byte accesses if 8 divides C and rows begin at multiples of 16
//          bytes.
// Numerics f32 sums: the 8 columns of a lane in order, segments of 256 columns in order, then the lanes.
// Work     N C reads, 2 N C R flops; memory bound.
// Source   Hu et al. 2021, arXiv:2106.09685, eq. 3; arXiv:2503.00572, eq. 2.
template <typename T, int ranks> DEVICE void lowrank_down(const LowRankDownArgs& a) {
    SHARED(Segment<ranks>, w);
    const int n = *a.n, lane = threadIdx.x % 32;
    const int row = (blockIdx.x * 8 + threadIdx.x / 32) * kRows;
    if (int(blockIdx.x) * 8 * kRows >= n) return;
    const T* x = static_cast<const T*>(a.x);
    float sum[kRows * ranks] = {};
    for (int c0 = 0; c0 < a.cols; c0 += kSegment) {
        const int c = c0 + lane * 8;
        float v[kRows][8];
        UNROLL
        for (int i = 0; i < kRows; i++) {
            const bool inside = row + i < n && c < a.cols;
            load_cols(v[i], x + int64_t(inside ? row + i : 0) * a.cols, inside ? c : a.cols, a.cols, a.aligned);
        }
        __syncthreads();
        stage(w, static_cast<const T*>(a.w), c0, a.cols, a.rank, a.transposed, a.aligned);
        __syncthreads();
        if (a.drop.threshold) {
            UNROLL
            for (int i = 0; i < kRows; i++) mask8(v[i], a.drop, row + i, c / 8);
        }
        UNROLL
        for (int r = 0; r < ranks; r++) {
            float f[8];
            lane_cols(f, w, r, lane);
            UNROLL
            for (int i = 0; i < kRows; i++) {
                UNROLL
                for (int j = 0; j < 8; j++) sum[i * ranks + r] = fmaf(v[i][j], f[j], sum[i * ranks + r]);
            }
        }
    }
    float* u = static_cast<float*>(a.u);
    UNROLL
    for (int part = 0; part < kRows * ranks / 32; part++) {
        float v[32];
        UNROLL
        for (int i = 0; i < 32; i++) v[i] = sum[part * 32 + i];
        fold(v, lane);
        const int to = row + (part * 32 + lane) / ranks, r = lane % ranks;
        if (to < n && r < a.rank) u[int64_t(to) * a.rank + r] = a.scale * v[0];
    }
}
KERNEL(lowrank_down_r8_f32, LowRankDownArgs, 256) { lowrank_down<float, 8>(a); }
KERNEL(lowrank_down_r8_bf16, LowRankDownArgs, 256) { lowrank_down<bf16, 8>(a); }
KERNEL(lowrank_down_r16_f32, LowRankDownArgs, 256) { lowrank_down<float, 16>(a); }
KERNEL(lowrank_down_r16_bf16, LowRankDownArgs, 256) { lowrank_down<bf16, 16>(a); }

// RankRows has u of kBlockRows rows. Ranks that the factor does not have are zero.
template <int ranks> struct RankRows {
    float u[kBlockRows][ranks];
};

// stage_rows fills s with scale u from row first on. Rows from end on are zero.
template <int ranks>
DEVICE void stage_rows(RankRows<ranks>& s, const float* u, int first, int end, int rank, float scale) {
    for (int i = threadIdx.x; i < kBlockRows * ranks; i += 256) {
        const int row = i / ranks, r = i % ranks;
        s.u[row][r] = first + row < end && r < rank ? scale * u[int64_t(first + row) * rank + r] : 0.0f;
    }
}

// add_ranks adds u W to a lane's columns of the rows from k on.
template <int rows, int ranks>
DEVICE void add_ranks(float (&v)[rows][8], const RankRows<ranks>& u, int k, const Segment<ranks>& w, int lane) {
    UNROLL
    for (int r = 0; r < ranks; r++) {
        float f[8];
        lane_cols(f, w, r, lane);
        UNROLL
        for (int i = 0; i < rows; i++) {
            UNROLL
            for (int j = 0; j < 8; j++) v[i][j] = fmaf(u.u[k + i][r], f[j], v[i][j]);
        }
    }
}

struct LowRankUpArgs {
    void* dst;
    const void* u;
    const void* w;
    const int32_t* n;
    int32_t cols, rank;
    float scale;
    uint32_t aligned, transposed, unused;
};

// lowrank_up: from ranks to rows, the second half of the residual.
//
//   dst[n,c] += scale sum over r of u[n,r] w[r,c]
//
//   dst [N,C] f32 or bf16   u [N,R] f32   w [R,C], or [C,R], as dst
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid (ceil(N/64), ceil(C/256)), block 256: 8 columns per lane, 8 rows per warp; 10 or 21 KB of shared
//          memory.
// Limits   R <= 8 or 16, by the kernel's name; any C. 16-byte accesses if 8 divides C and rows begin at multiples of 16
//          bytes.
// Numerics f32, ranks in order; rounded once.
// Work     N C reads and writes, 2 N C R flops; memory bound.
// Source   as lowrank_down.
template <typename T, int ranks> DEVICE void lowrank_up(const LowRankUpArgs& a) {
    SHARED(Segment<ranks>, w);
    SHARED(RankRows<ranks>, u);
    const int n = *a.n, lane = threadIdx.x % 32;
    const int first = blockIdx.x * kBlockRows, c0 = blockIdx.y * kSegment, c = c0 + lane * 8;
    if (first >= n) return;
    stage(w, static_cast<const T*>(a.w), c0, a.cols, a.rank, a.transposed, a.aligned);
    stage_rows(u, static_cast<const float*>(a.u), first, n, a.rank, a.scale);
    __syncthreads();
    T* dst = static_cast<T*>(a.dst);
    for (int k = threadIdx.x / 32 * kRows; k < kBlockRows && first + k < n; k += 8 * kRows) {
        float v[kRows][8];
        UNROLL
        for (int i = 0; i < kRows; i++) {
            const bool inside = first + k + i < n && c < a.cols;
            load_cols(v[i], dst + int64_t(inside ? first + k + i : 0) * a.cols, inside ? c : a.cols, a.cols, a.aligned);
        }
        add_ranks(v, u, k, w, lane);
        UNROLL
        for (int i = 0; i < kRows; i++) {
            if (first + k + i < n) store_cols(dst + int64_t(first + k + i) * a.cols, v[i], c, a.cols, a.aligned);
        }
    }
}
KERNEL(lowrank_up_r8_f32, LowRankUpArgs, 256) { lowrank_up<float, 8>(a); }
KERNEL(lowrank_up_r8_bf16, LowRankUpArgs, 256) { lowrank_up<bf16, 8>(a); }
KERNEL(lowrank_up_r16_f32, LowRankUpArgs, 256) { lowrank_up<float, 16>(a); }
KERNEL(lowrank_up_r16_bf16, LowRankUpArgs, 256) { lowrank_up<bf16, 16>(a); }

struct LowRankGradientArgs {
    void* dw;
    void* partial;
    void* dx;
    const void* u;
    const void* x;
    const void* w;
    const int32_t* n;
    Dropout drop;
    int32_t cols, rank, part_rows, stride;
    float scale;
    uint32_t aligned, transposed, accumulate;
};

// Sums has the sums of the warps of a block for one rank.
struct Sums {
    float v[8][kSegment];
};

// add_sums adds the sums of the block's warps to dw, or stores them as the sums of this part, which are [R,C] also if
// dw is [C,R], because neighbouring threads have neighbouring columns. sum[r][j] belongs to rank r and the lane's
// column j.
template <int ranks> DEVICE void add_sums(const LowRankGradientArgs& a, Sums& s, const float (&sum)[ranks][8], int c0) {
    const int lane = threadIdx.x % 32, c = c0 + threadIdx.x;
    float* to = static_cast<float*>(a.partial ? a.partial : a.dw) + (a.partial ? int64_t(blockIdx.x) * a.stride : 0);
    UNROLL
    for (int r = 0; r < ranks; r++) {
        __syncthreads();
        store8_lanes(&s.v[threadIdx.x / 32][lane * 8], sum[r]);
        __syncthreads();
        if (r >= a.rank || c >= a.cols) continue;
        float total = 0.0f;
        UNROLL
        for (int w = 0; w < 8; w++) total += s.v[w][threadIdx.x];
        float* at = to + (a.transposed && !a.partial ? int64_t(c) * a.rank + r : int64_t(r) * a.cols + c);
        *at = a.partial ? total : *at + total;
    }
}

// lowrank_gradient: the gradient of a factor, and of the x of lowrank_down.
//
//   dw[r,c] += scale sum over n of u[n,r] dropout(x)[n,c]
//   dx[n,c]  = dropout(scale sum over r of u[n,r] w[r,c]), or is increased by that
//
//   dw [R,C], or [C,R], f32   u [N,R] f32   x, dx [N,C], w [R,C] f32 or bf16
//   dx and w may be absent, or dw and x.
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid (parts, ceil(C/256)), block 256: 8 columns of dw per lane, every eighth row per warp; 19 or 29 KB of
//          shared memory. If R <= 8, two blocks fit on a multiprocessor.
// Limits   R <= 8 or 16, by the kernel's name; any C. 16-byte accesses if 8 divides C and rows begin at multiples of 16
//          bytes.
// Numerics f32: the rows of a warp in order, then the 8 warps, then the parts (lowrank_add). Parts depend on C, R and
//          the class of N alone.
// Work     N C reads (x) and writes (dx), N C more reads if it accumulates, 4 N C R flops; memory bound.
// Source   the transposes of lowrank_down's formula.
template <typename T, int ranks> DEVICE void lowrank_gradient(const LowRankGradientArgs& a) {
    SHARED(Segment<ranks>, w);
    SHARED(RankRows<ranks>, u);
    SHARED(Sums, sums);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int c0 = blockIdx.y * kSegment, c = c0 + lane * 8;
    const int begin = blockIdx.x * a.part_rows, end = min(*a.n, begin + a.part_rows);
    const T* x = static_cast<const T*>(a.x);
    T* dx = static_cast<T*>(a.dx);
    if (dx) stage(w, static_cast<const T*>(a.w), c0, a.cols, a.rank, false, a.aligned);
    float sum[ranks][8] = {};
    for (int first = begin; first < end; first += kBlockRows) {
        __syncthreads();
        stage_rows(u, static_cast<const float*>(a.u), first, end, a.rank, a.scale);
        __syncthreads();
        for (int k = warp; k < kBlockRows && first + k < end && c < a.cols; k += 8) {
            const int row = first + k;
            float v[1][8] = {}, keep[8];
            if (x) load_cols(v[0], x + int64_t(row) * a.cols, c, a.cols, a.aligned);
            UNROLL
            for (int j = 0; j < 8; j++) keep[j] = 1.0f;
            if (a.drop.threshold) mask8(keep, a.drop, row, c / 8);
            UNROLL
            for (int j = 0; j < 8; j++) v[0][j] *= keep[j];
            UNROLL
            for (int r = 0; r < ranks; r++) {
                UNROLL
                for (int j = 0; j < 8; j++) sum[r][j] = fmaf(u.u[k][r], v[0][j], sum[r][j]);
            }
            if (!dx) continue;
            UNROLL
            for (int j = 0; j < 8; j++) v[0][j] = 0.0f;
            add_ranks(v, u, k, w, lane);
            T* to = dx + int64_t(row) * a.cols;
            float before[8] = {};
            if (a.accumulate) load_cols(before, to, c, a.cols, a.aligned);
            UNROLL
            for (int j = 0; j < 8; j++) before[j] = fmaf(v[0][j], keep[j], before[j]);
            store_cols(to, before, c, a.cols, a.aligned);
        }
    }
    if (a.dw) add_sums(a, sums, sum, c0);
}
KERNEL_RESIDENT(lowrank_gradient_r8_f32, LowRankGradientArgs, 256, 2) { lowrank_gradient<float, 8>(a); }
KERNEL_RESIDENT(lowrank_gradient_r8_bf16, LowRankGradientArgs, 256, 2) { lowrank_gradient<bf16, 8>(a); }
KERNEL(lowrank_gradient_r16_f32, LowRankGradientArgs, 256) { lowrank_gradient<float, 16>(a); }
KERNEL(lowrank_gradient_r16_bf16, LowRankGradientArgs, 256) { lowrank_gradient<bf16, 16>(a); }

struct LowRankAddArgs {
    void* dst;
    const void* partial;
    int32_t n, parts, stride;
    int32_t turn; // number of ranks if dst is transposed, otherwise 0
};

// PartSums has the sums of eight groups of parts.
struct PartSums {
    float v[8][128];
};

// lowrank_add: the second stage of a factor's gradient.
//
//   dst[i] += sum over p of partial[p,i]
//
//   dst [n] f32   partial [parts, stride] f32; stride is a multiple of 4, and the first n columns are used. If turn is
//   set, dst is [n/turn, turn] and a part is its transpose.
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid ceil(n/128), block 256: one eighth of the parts per warp, 4 elements per lane; 4 KB of shared memory.
// Limits   n < 2^31.
// Numerics f32: the parts of an eighth in order, then the eighths.
// Work     parts n reads; bound by L2 or memory.
DEVICE void lowrank_add(const LowRankAddArgs& a) {
    SHARED(PartSums, s);
    const int warp = threadIdx.x / 32, i = blockIdx.x * 128 + threadIdx.x % 32 * 4;
    const int share = (a.parts + 7) / 8, end = min(a.parts, (warp + 1) * share);
    Vec<float> sum = {};
    if (i < a.n) {
        for (int p = warp * share; p < end; p++) {
            const float* from = static_cast<const float*>(a.partial) + int64_t(p) * a.stride + i;
            Vec<float> v = {};
            if (i + 4 <= a.n) {
                v = load_vec(from);
            } else {
                UNROLL
                for (int j = 0; j < 3; j++) v.v[j] = i + j < a.n ? from[j] : 0.0f;
            }
            UNROLL
            for (int j = 0; j < 4; j++) sum.v[j] += v.v[j];
        }
    }
    store_vec(&s.v[warp][threadIdx.x % 32 * 4], sum);
    __syncthreads();
    const int at = blockIdx.x * 128 + threadIdx.x;
    if (threadIdx.x >= 128 || at >= a.n) return;
    float total = 0.0f;
    UNROLL
    for (int w = 0; w < 8; w++) total += s.v[w][threadIdx.x];
    const int cols = a.n / max(a.turn, 1);
    static_cast<float*>(a.dst)[a.turn ? at % cols * a.turn + at / cols : at] += total;
}
KERNEL(lowrank_add_f32, LowRankAddArgs, 256) { lowrank_add(a); }
