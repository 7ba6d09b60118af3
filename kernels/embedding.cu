// Selection of rows of a table, and addition of rows to it. See compute.Elementwise.
#include "common.cuh"

struct SelectArgs {
    void* dst;
    const void* x;
    const int32_t* idx;
    const int32_t* n;
    int32_t cols;
    uint32_t aligned;
};

// gather, put: dst[n,c] = x[idx[n],c], and dst[idx[n],c] = x[n,c] for indices that are all different.
//
//   gather   dst [B,C], x [N,C] f32 or bf16   idx [B] i32
//   put      dst [N,C], x [B,C] likewise
//
// Launched by internal/gpu/embedding.go.
// Launch   grid ceil(B ceil(C/8)/256), block 256, no shared memory.
// Limits   B ceil(C/8) < 2^31; 16-byte accesses if rows are aligned.
// Numerics values are kept.
// Work     B C reads and writes; memory bound.
template <typename T, bool puts> DEVICE void select_rows(const SelectArgs& a) {
    const int blocks = (a.cols + 7) / 8, i = blockIdx.x * 256 + threadIdx.x;
    const int row = i / blocks, c = i % blocks * 8;
    if (row >= *a.n) return;
    const int from = puts ? row : a.idx[row], to = puts ? a.idx[row] : row;
    float x[8];
    load_cols(x, static_cast<const T*>(a.x) + int64_t(from) * a.cols, c, a.cols, a.aligned);
    store_cols(static_cast<T*>(a.dst) + int64_t(to) * a.cols, x, c, a.cols, a.aligned);
}
KERNEL(gather_f32, SelectArgs, 256) { select_rows<float, false>(a); }
KERNEL(gather_bf16, SelectArgs, 256) { select_rows<bf16, false>(a); }
KERNEL(put_f32, SelectArgs, 256) { select_rows<float, true>(a); }
KERNEL(put_bf16, SelectArgs, 256) { select_rows<bf16, true>(a); }

// scatter, embed_backward: dst[idx[n],c] += x[n,c], in the order of n.
//
//   scatter          dst [N,C], x [B,C] f32 or bf16   idx [B] i32
//   embed_backward   dst [V,C] f32, x as above
//
// A row of dst belongs to the first n whose idx is that row. Its warp adds the rows of all later n with the same idx.
// The warps of those n find the earlier one and end.
//
// Launched by internal/gpu/embedding.go.
// Launch   grid (ceil(B/4), ceil(C/256)), block 128: one warp per n, 8 columns per lane; no shared memory.
// Limits   any B, C >= 1; 16-byte accesses if rows are aligned.
// Numerics f32 sums in the order of n, rounded once.
// Work     B C reads, one read and one write of each row of dst that is selected, and up to B^2 ceil(C/256) reads of
//          indices from cache, which at B = 8192 take about as long as the rows. It is slowest if all n select one row:
//          then one warp adds 256 columns, with 8 rows in flight.
template <typename D, typename T, bool aligned> DEVICE void scatter_as(const SelectArgs& a) {
    const int n = *a.n, lane = threadIdx.x % 32, owner = blockIdx.x * 4 + threadIdx.x / 32;
    if (owner >= n) return;
    const int32_t row = a.idx[owner];
    for (int i = 0; i < owner; i += 32) {
        if (__any_sync(kAllLanes, i + lane < owner && a.idx[i + lane] == row)) return;
    }
    const int c = blockIdx.y * 256 + lane * 8;
    const T* x = static_cast<const T*>(a.x);
    D* dst = static_cast<D*>(a.dst) + int64_t(row) * a.cols;
    float sum[8];
    load_cols(sum, dst, c, a.cols, aligned);
    for (int i = owner; i < n; i += 32) {
        uint32_t hits = __ballot_sync(kAllLanes, i + lane < n && a.idx[i + lane] == row);
        while (hits) {
            float v[8][8];
            UNROLL
            for (int k = 0; k < 8; k++) {
                const int at = hits ? i + __ffs(hits) - 1 : 0;
                load_cols(v[k], x + int64_t(at) * a.cols, hits ? c : a.cols, a.cols, aligned);
                hits &= hits - 1;
            }
            UNROLL
            for (int k = 0; k < 8; k++) {
                UNROLL
                for (int j = 0; j < 8; j++) sum[j] += v[k][j];
            }
        }
    }
    store_cols(dst, sum, c, a.cols, aligned);
}
template <typename D, typename T> DEVICE void scatter(const SelectArgs& a) {
    a.aligned ? scatter_as<D, T, true>(a) : scatter_as<D, T, false>(a);
}
KERNEL(scatter_f32, SelectArgs, 128) { scatter<float, float>(a); }
KERNEL(scatter_bf16, SelectArgs, 128) { scatter<bf16, bf16>(a); }
KERNEL(embed_backward_f32, SelectArgs, 128) { scatter<float, float>(a); }
KERNEL(embed_backward_bf16, SelectArgs, 128) { scatter<float, bf16>(a); }

struct ArgMaxArgs {
    float* dst;
    const void* x;
    const int32_t* n;
    int32_t cols;
    uint32_t aligned;
};

// Best is the largest element so far and its column, or column -1 if an element was NaN.
struct Best {
    float x;
    int column;
};

DEVICE Best better(const Best& a, const Best& b) {
    if (a.column < 0 || b.column < 0) return Best{0.0f, -1};
    return b.x > a.x || (b.x == a.x && b.column < a.column) ? b : a;
}

typedef Best BestOfWarps[8];

// argmax: dst[n] = the least column c with the largest x[n,c], or -1 if an element of row n is NaN.
//
//   dst [N] f32   x [N,C] f32 or bf16
//
// Launched by internal/gpu/embedding.go.
// Launch   grid N, block 256: one row per block; 64 bytes of shared memory.
// Limits   C <= 2^24; 16-byte accesses if rows are aligned and 8 divides C.
// Numerics exact.
// Work     N C reads; memory bound, and for few rows bound by the bandwidth of as many multiprocessors.
template <typename T> DEVICE void argmax(const ArgMaxArgs& a) {
    SHARED(BestOfWarps, warps);
    const int row = blockIdx.x, lane = threadIdx.x % 32;
    if (row >= *a.n) return;
    const T* x = static_cast<const T*>(a.x) + int64_t(row) * a.cols;
    Best best{__uint_as_float(0xff800000u), min(8 * int(threadIdx.x), a.cols - 1)};
    for (int c = threadIdx.x * 8; c < a.cols; c += 256 * 8) {
        float v[8];
        load_cols(v, x, c, a.cols, a.aligned);
        UNROLL
        for (int j = 0; j < 8; j++) {
            if (c + j < a.cols) best = better(best, Best{v[j], v[j] == v[j] ? c + j : -1});
        }
    }
    UNROLL
    for (int d = 16; d > 0; d >>= 1) {
        const Best other{__shfl_xor_sync(kAllLanes, best.x, d), __shfl_xor_sync(kAllLanes, best.column, d)};
        best = better(best, other);
    }
    if (lane == 0) warps[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int w = 1; w < 8; w++) best = better(best, warps[w]);
    a.dst[row] = float(best.column);
}
KERNEL(argmax_f32, ArgMaxArgs, 256) { argmax<float>(a); }
KERNEL(argmax_bf16, ArgMaxArgs, 256) { argmax<bf16>(a); }

struct EmbedArgs {
    void* dst;
    const void* word;
    const void* position;
    const void* token_type;
    const int32_t* ids;
    const int32_t* pos;
    const int32_t* types;
    const int32_t* n;
    int32_t cols;
    uint32_t aligned;
};

// embed_forward: dst[n,c] = word[ids[n],c] + position[pos[n],c] + token_type[types[n],c]. The sum has no terms of
// tables that are null.
//
//   dst [N,C], word, position, token_type [V,C] f32 or bf16   ids, pos, types [N] i32
//
// Launched by internal/gpu/embedding.go.
// Launch   grid ceil(N ceil(C/8)/256), block 256, no shared memory.
// Limits   N ceil(C/8) < 2^31; 16-byte accesses if rows are aligned.
// Numerics f32, rounded once.
// Work     N C writes, N C reads of word, and reads of the other tables from cache; memory bound.
// Source   Devlin et al. 2019, arXiv:1810.04805, fig. 2.
template <typename T, bool aligned> DEVICE void embed_forward_as(const EmbedArgs& a) {
    const int blocks = (a.cols + 7) / 8, i = blockIdx.x * 256 + threadIdx.x;
    const int row = i / blocks, c = i % blocks * 8;
    if (row >= *a.n) return;
    float w[8], p[8], k[8];
    load_cols(w, static_cast<const T*>(a.word) + int64_t(a.ids[row]) * a.cols, c, a.cols, aligned);
    if (!a.position) {
        store_cols(static_cast<T*>(a.dst) + int64_t(row) * a.cols, w, c, a.cols, aligned);
        return;
    }
    load_cols(p, static_cast<const T*>(a.position) + int64_t(a.pos[row]) * a.cols, c, a.cols, aligned);
    if (!a.token_type) {
        UNROLL
        for (int j = 0; j < 8; j++) w[j] += p[j];
        store_cols(static_cast<T*>(a.dst) + int64_t(row) * a.cols, w, c, a.cols, aligned);
        return;
    }
    load_cols(k, static_cast<const T*>(a.token_type) + int64_t(a.types[row]) * a.cols, c, a.cols, aligned);
    UNROLL
    for (int j = 0; j < 8; j++) w[j] = w[j] + p[j] + k[j];
    store_cols(static_cast<T*>(a.dst) + int64_t(row) * a.cols, w, c, a.cols, aligned);
}
template <typename T> DEVICE void embed_forward(const EmbedArgs& a) {
    a.aligned ? embed_forward_as<T, true>(a) : embed_forward_as<T, false>(a);
}
KERNEL(embed_forward_f32, EmbedArgs, 256) { embed_forward<float>(a); }
KERNEL(embed_forward_bf16, EmbedArgs, 256) { embed_forward<bf16>(a); }
