// The low-rank residual for any rank: tiles of 64 x 64 with masks drawn as the
// rows are loaded. Ranks up to 16 have kernels of their own in lowrank.cu,
// where the formulas and shapes are. See compute.Matmul.
#include "common.cuh"

constexpr int kTile = 64;  // rows and columns of an output tile
constexpr int kDepth = 32; // terms of its sums that are loaded at a time

// Tile holds one operand, the term of the sum first. A row is padded to whole
// 16 bytes that do not begin at the same bank.
struct Tile {
    float v[kDepth][kTile + 4];
};

// Operands is both operands and, when the sums are done, the output tile.
union Operands {
    struct {
        Tile p, q;
    } in;
    float out[kTile][kTile + 4];
};

// put_terms stores 8 consecutive terms of line i; put_lines one term of 8 lines.
DEVICE void put_terms(Tile& t, const float (&x)[8], int term, int i) {
    UNROLL
    for (int j = 0; j < 8; j++) t.v[term + j][i] = x[j];
}
DEVICE void put_lines(Tile& t, const float (&x)[8], int term, int i) {
    store_vec(&t.v[term][i], Vec<float>{{x[0], x[1], x[2], x[3]}});
    store_vec(&t.v[term][i + 4], Vec<float>{{x[4], x[5], x[6], x[7]}});
}

// Sum is the 4 x 4 outputs of a thread, rows 4 (thread / 16) and columns
// 4 (thread % 16) of the tile on.
struct Sum {
    float v[4][4];
};

// add_terms adds the products of one depth.
DEVICE void add_terms(Sum& s, const Operands& o) {
    const int i = threadIdx.x / 16 * 4, j = threadIdx.x % 16 * 4;
    UNROLL
    for (int k = 0; k < kDepth; k++) {
        const Vec<float> p = load_vec(&o.in.p.v[k][i]), q = load_vec(&o.in.q.v[k][j]);
        UNROLL
        for (int m = 0; m < 4; m++) {
            UNROLL
            for (int l = 0; l < 4; l++) s.v[m][l] = fmaf(p.v[m], q.v[l], s.v[m][l]);
        }
    }
}

// gather_sums brings the output tile to shared memory, times scale.
DEVICE void gather_sums(Operands& o, const Sum& s, float scale) {
    __syncthreads();
    UNROLL
    for (int m = 0; m < 4; m++) {
        store_vec(&o.out[threadIdx.x / 16 * 4 + m][threadIdx.x % 16 * 4],
                  Vec<float>{{scale * s.v[m][0], scale * s.v[m][1], scale * s.v[m][2], scale * s.v[m][3]}});
    }
    __syncthreads();
}

// row_or_zeros reads 8 columns of a row of a matrix, zeros outside it.
template <typename T>
DEVICE void row_or_zeros(float (&x)[8], const T* m, int row, int rows, int c, int cols, bool aligned) {
    const bool inside = row < rows && c < cols;
    load_cols(x, m + int64_t(inside ? row : 0) * cols, inside ? c : cols, cols, aligned);
}

struct LowRankWideArgs {
    void* out;
    const void* u;
    const void* x;
    const void* w;
    const int32_t* n;
    Dropout drop;
    int32_t cols, rank, part_rows, stride;
    float scale;
    // Which of x and dst, of w, and of u have rows of whole 16 bytes.
    uint32_t aligned, aligned_w, aligned_u;
    uint32_t transposed, accumulate;
};

// lowrank_wide_down: out = u [N,R] of lowrank_down.
//
// Launch   grid (ceil(N/64), ceil(R/64)), block 256, 17 KB of shared memory.
// Limits   any N, C, R >= 1; 16-byte accesses where 8 divides the row.
// Numerics f32 sums, columns in order.
// Work     N C reads for each 64 ranks, 2 N C R flops on the f32 units.
template <typename T> DEVICE void lowrank_wide_down(const LowRankWideArgs& a) {
    SHARED(Operands, o);
    const int n = *a.n, row0 = blockIdx.x * kTile, r0 = blockIdx.y * kTile;
    if (row0 >= n) return;
    const int line = threadIdx.x / 4, term = threadIdx.x % 4 * 8;
    const T* w = static_cast<const T*>(a.w);
    Sum s = {};
    for (int c0 = 0; c0 < a.cols; c0 += kDepth) {
        float x[8], f[8];
        const int row = row0 + line, c = c0 + term, deep = c0 + threadIdx.x / 8, r = r0 + threadIdx.x % 8 * 8;
        row_or_zeros(x, static_cast<const T*>(a.x), row, n, c, a.cols, a.aligned);
        if (a.transposed) {
            row_or_zeros(f, w, deep, a.cols, r, a.rank, a.aligned_w);
        } else {
            row_or_zeros(f, w, r0 + line, a.rank, c, a.cols, a.aligned_w);
        }
        if (a.drop.threshold) mask8(x, a.drop, row, c / 8);
        __syncthreads();
        put_terms(o.in.p, x, term, line);
        if (a.transposed) {
            put_lines(o.in.q, f, threadIdx.x / 8, threadIdx.x % 8 * 8);
        } else {
            put_terms(o.in.q, f, term, line);
        }
        __syncthreads();
        add_terms(s, o);
    }
    float* out = static_cast<float*>(a.out);
    UNROLL
    for (int m = 0; m < 4; m++) {
        const int row = row0 + threadIdx.x / 16 * 4 + m, r = r0 + threadIdx.x % 16 * 4;
        UNROLL
        for (int l = 0; l < 4; l++) {
            if (row < n && r + l < a.rank) out[int64_t(row) * a.rank + r + l] = a.scale * s.v[m][l];
        }
    }
}
KERNEL(lowrank_wide_down_f32, LowRankWideArgs, 256) { lowrank_wide_down<float>(a); }
KERNEL(lowrank_wide_down_bf16, LowRankWideArgs, 256) { lowrank_wide_down<bf16>(a); }

// lowrank_wide_up: out = dst of lowrank_up, or dx of lowrank_gradient. The mask
// falls on what is added; without accumulate dst is overwritten.
//
// Launch   grid (ceil(N/64), ceil(C/64)), block 256, 17 KB of shared memory.
// Limits   any N, C, R >= 1; 16-byte accesses where 8 divides the row.
// Numerics f32 sums, ranks in order; rounded once.
// Work     N C writes, and reads to accumulate, 2 N C R flops on the f32 units.
template <typename T> DEVICE void lowrank_wide_up(const LowRankWideArgs& a) {
    SHARED(Operands, o);
    const int n = *a.n, row0 = blockIdx.x * kTile, c0 = blockIdx.y * kTile;
    if (row0 >= n) return;
    const int line = threadIdx.x / 4, term = threadIdx.x % 4 * 8;
    const T* w = static_cast<const T*>(a.w);
    Sum s = {};
    for (int r0 = 0; r0 < a.rank; r0 += kDepth) {
        float x[8], f[8];
        row_or_zeros(x, static_cast<const float*>(a.u), row0 + line, n, r0 + term, a.rank, a.aligned_u);
        if (a.transposed) {
            row_or_zeros(f, w, c0 + line, a.cols, r0 + term, a.rank, a.aligned_w);
        } else {
            row_or_zeros(f, w, r0 + threadIdx.x / 8, a.rank, c0 + threadIdx.x % 8 * 8, a.cols, a.aligned_w);
        }
        __syncthreads();
        put_terms(o.in.p, x, term, line);
        if (a.transposed) {
            put_terms(o.in.q, f, term, line);
        } else {
            put_lines(o.in.q, f, threadIdx.x / 8, threadIdx.x % 8 * 8);
        }
        __syncthreads();
        add_terms(s, o);
    }
    gather_sums(o, s, a.scale);
    for (int i = threadIdx.x; i < kTile * kTile / 8; i += 256) {
        const int row = row0 + i / 8, c = c0 + i % 8 * 8;
        if (row >= n || c >= a.cols) continue;
        float x[8], before[8] = {};
        T* to = static_cast<T*>(a.out) + int64_t(row) * a.cols;
        load8(x, &o.out[i / 8][i % 8 * 8]);
        if (a.drop.threshold) mask8(x, a.drop, row, c / 8);
        if (a.accumulate) load_cols(before, to, c, a.cols, a.aligned);
        UNROLL
        for (int j = 0; j < 8; j++) before[j] += x[j];
        store_cols(to, before, c, a.cols, a.aligned);
    }
}
KERNEL(lowrank_wide_up_f32, LowRankWideArgs, 256) { lowrank_wide_up<float>(a); }
KERNEL(lowrank_wide_up_bf16, LowRankWideArgs, 256) { lowrank_wide_up<bf16>(a); }

// lowrank_wide_gradient: out = dw of lowrank_gradient, or the shares of its
// parts, [parts, stride], where accumulate is not set.
//
// Launch   grid (parts, ceil(C/64), ceil(R/64)), block 256, 17 KB of shared
//          memory.
// Limits   any N, C, R >= 1; 16-byte accesses where 8 divides the row.
// Numerics f32 sums, the rows of a part in order, then the parts (lowrank_add).
// Work     N C reads for each 64 ranks, 2 N C R flops on the f32 units.
template <typename T> DEVICE void lowrank_wide_gradient(const LowRankWideArgs& a) {
    SHARED(Operands, o);
    const int begin = blockIdx.x * a.part_rows, end = min(*a.n, begin + a.part_rows);
    const int c0 = blockIdx.y * kTile, r0 = blockIdx.z * kTile;
    const int line = threadIdx.x % 8 * 8;
    Sum s = {};
    for (int first = begin; first < end; first += kDepth) {
        float u[8], x[8];
        const int row = first + threadIdx.x / 8;
        row_or_zeros(u, static_cast<const float*>(a.u), row, end, r0 + line, a.rank, a.aligned_u);
        row_or_zeros(x, static_cast<const T*>(a.x), row, end, c0 + line, a.cols, a.aligned);
        if (a.drop.threshold) mask8(x, a.drop, row, (c0 + line) / 8);
        __syncthreads();
        put_lines(o.in.p, u, threadIdx.x / 8, line);
        put_lines(o.in.q, x, threadIdx.x / 8, line);
        __syncthreads();
        add_terms(s, o);
    }
    gather_sums(o, s, a.scale);
    float* out = static_cast<float*>(a.out) + (a.accumulate ? 0 : int64_t(blockIdx.x) * a.stride);
    for (int i = threadIdx.x; i < kTile * kTile; i += 256) {
        // Neighbouring threads have neighbouring elements of dw.
        const int r = a.transposed ? i % kTile : i / kTile, c = a.transposed ? i / kTile : i % kTile;
        if (r0 + r >= a.rank || c0 + c >= a.cols) continue;
        float* at = out + (a.transposed ? int64_t(c0 + c) * a.rank + r0 + r : int64_t(r0 + r) * a.cols + c0 + c);
        *at = o.out[r][c] + (a.accumulate ? *at : 0.0f);
    }
}
KERNEL(lowrank_wide_gradient_f32, LowRankWideArgs, 256) { lowrank_wide_gradient<float>(a); }
KERNEL(lowrank_wide_gradient_bf16, LowRankWideArgs, 256) { lowrank_wide_gradient<bf16>(a); }
