// The low-rank residual for any rank, in tiles of 64 x 64. Masks are drawn when rows are loaded. lowrank.cu has the
// kernels for ranks up to 16, and the formulas and shapes. See compute.Matmul.
#include "lowrank_tile.cuh"

struct LowRankWideArgs {
    void* out;
    const void* u;
    const void* x;
    const void* w;
    const int32_t* n;
    Dropout drop;
    int32_t cols, rank, part_rows, stride;
    float scale;
    // Set if the rows of x and dst, of w, or of u can be read 16 bytes at a time.
    uint32_t aligned, aligned_w, aligned_u;
    uint32_t transposed, accumulate;
};

// keep8 sets the dropped elements of 8 columns to 0. The factor of kept elements is applied to the sum at the end, so
// that a bf16 remains exact.
DEVICE void keep8(float (&x)[8], const Dropout& drop, int row, int c) {
    if (!drop.threshold) return;
    Dropout zeros = drop;
    zeros.scale = 1.0f;
    mask8(x, zeros, row, c / 8);
}

// lowrank_wide_down: out = u [N,R] of lowrank_down.
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid (ceil(N/64), ceil(R/64)), block 256, 17 or 18 KB of shared memory.
// Limits   any N, C, R >= 1; 16-byte accesses if 8 divides the length of a row.
// Numerics f32 sums of exact products, 32 (f32) or 64 (bf16) columns at a time.
// Work     N C reads per 64 ranks, 2 N C R flops on the f32 units, or in bf16 on the tensor cores.
template <typename T> DEVICE void lowrank_wide_down(const LowRankWideArgs& a) {
    typedef Tiles<T, 1> Shared;
    SHARED(Shared, tiles);
    constexpr int depth = Engine<T>::depth, halves = depth / 32;
    const int n = *a.n, row0 = blockIdx.x * kTile, r0 = blockIdx.y * kTile;
    if (row0 >= n) return;
    const T *x = static_cast<const T*>(a.x), *w = static_cast<const T*>(a.w);
    Engine<T> engine;
    Eight<T> xs[halves], ws[halves];
    const auto load = [&](int c0) {
        UNROLL
        for (int h = 0; h < halves; h++) {
            const Place t = at_terms<T>(h), l = at_lines(h);
            xs[h] = load_eight(x, row0 + t.line, n, c0 + t.term, a.cols, a.aligned);
            ws[h] = a.transposed ? load_eight(w, c0 + l.term, a.cols, r0 + l.line, a.rank, a.aligned_w)
                                 : load_eight(w, r0 + t.line, a.rank, c0 + t.term, a.cols, a.aligned_w);
        }
    };
    load(0);
    for (int c0 = 0; c0 < a.cols; c0 += depth) {
        __syncthreads();
        UNROLL
        for (int h = 0; h < halves; h++) {
            const Place t = at_terms<T>(h), l = a.transposed ? at_lines(h) : t;
            float v[8];
            to_floats(v, xs[h]);
            keep8(v, a.drop, row0 + t.line, c0 + t.term);
            Engine<T>::put(tiles.in.p, v, true, t.term, t.line);
            to_floats(v, ws[h]);
            Engine<T>::put(tiles.in.q, v, !a.transposed, l.term, l.line);
        }
        __syncthreads();
        if (c0 + depth < a.cols) load(c0 + depth);
        engine.add(tiles.in.p, true, tiles.in.q[0], !a.transposed, {n - row0, a.rank - r0, a.cols - c0});
    }
    __syncthreads();
    engine.store(tiles.out, a.scale * a.drop.scale);
    __syncthreads();
    float* out = static_cast<float*>(a.out);
    for (int i = threadIdx.x; i < kTile * kTile; i += 256) {
        const int row = row0 + i / kTile, r = r0 + i % kTile;
        if (row < n && r < a.rank) out[int64_t(row) * a.rank + r] = tiles.out[i / kTile][i % kTile];
    }
}
KERNEL(lowrank_wide_down_f32, LowRankWideArgs, 256) { lowrank_wide_down<float>(a); }
KERNEL(lowrank_wide_down_bf16, LowRankWideArgs, 256) { lowrank_wide_down<bf16>(a); }

// lowrank_wide_up: out = dst of lowrank_up, or dx of lowrank_gradient. The mask multiplies the product and not the old
// value of out. If accumulate is not set, out is overwritten.
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid (ceil(N/64), ceil(C/64)), block 256, 17 or 36 KB of shared memory.
// Limits   any N, C, R >= 1; 16-byte accesses if 8 divides the length of a row.
// Numerics f32 sums, ranks in order. In bf16 u is split into three bf16, so that products are exact. Rounded once.
// Work     N C writes, and N C reads if it accumulates; 2 N C R flops on the f32 units, or in bf16 6 N C R on the
//          tensor cores.
template <typename T> DEVICE void lowrank_wide_up(const LowRankWideArgs& a) {
    typedef Tiles<T, Engine<T>::pieces> Shared;
    SHARED(Shared, tiles);
    constexpr int depth = Engine<T>::depth, halves = depth / 32;
    const int n = *a.n, row0 = blockIdx.x * kTile, c0 = blockIdx.y * kTile;
    if (row0 >= n) return;
    const float* u = static_cast<const float*>(a.u);
    const T* w = static_cast<const T*>(a.w);
    Engine<T> engine;
    for (int r0 = 0; r0 < a.rank; r0 += depth) {
        __syncthreads();
        UNROLL
        for (int h = 0; h < halves; h++) {
            const Place t = at_terms<T>(h), l = at_lines(h);
            float v[8];
            to_floats(v, load_eight(u, row0 + t.line, n, r0 + t.term, a.rank, a.aligned_u));
            Engine<T>::put(tiles.in.p, v, true, t.term, t.line);
            if (a.transposed) {
                to_floats(v, load_eight(w, c0 + t.line, a.cols, r0 + t.term, a.rank, a.aligned_w));
                Engine<T>::put(tiles.in.q, v, true, t.term, t.line);
            } else {
                to_floats(v, load_eight(w, r0 + l.term, a.rank, c0 + l.line, a.cols, a.aligned_w));
                Engine<T>::put(tiles.in.q, v, false, l.term, l.line);
            }
        }
        __syncthreads();
        engine.add(tiles.in.p, true, tiles.in.q[0], a.transposed, {n - row0, a.cols - c0, a.rank - r0});
    }
    __syncthreads();
    engine.store(tiles.out, a.scale);
    __syncthreads();
    for (int i = threadIdx.x; i < kTile * kTile / 8; i += 256) {
        const int row = row0 + i / 8, c = c0 + i % 8 * 8;
        if (row >= n || c >= a.cols) continue;
        float x[8], before[8] = {};
        T* to = static_cast<T*>(a.out) + int64_t(row) * a.cols;
        load8_lanes(x, &tiles.out[i / 8][i % 8 * 8]);
        if (a.drop.threshold) mask8(x, a.drop, row, c / 8);
        if (a.accumulate) load_cols(before, to, c, a.cols, a.aligned);
        UNROLL
        for (int j = 0; j < 8; j++) before[j] += x[j];
        store_cols(to, before, c, a.cols, a.aligned);
    }
}
KERNEL(lowrank_wide_up_f32, LowRankWideArgs, 256) { lowrank_wide_up<float>(a); }
KERNEL(lowrank_wide_up_bf16, LowRankWideArgs, 256) { lowrank_wide_up<bf16>(a); }

// lowrank_wide_gradient: out = dw of lowrank_gradient. If accumulate is not set, out is the sums of its parts [parts,
// stride].
//
// Launched by internal/gpu/lowrank.go.
// Launch   grid (parts, ceil(C/64), ceil(R/64)), block 256, 17 or 36 KB of shared memory.
// Limits   any N, C, R >= 1; 16-byte accesses if 8 divides the length of a row.
// Numerics f32 sums: the rows of a part in order, then the parts (lowrank_add). In bf16 u is split into three bf16, so
//          that products are exact.
// Work     N C reads per 64 ranks; 2 N C R flops on the f32 units, or in bf16 6 N C R on the tensor cores.
template <typename T> DEVICE void lowrank_wide_gradient(const LowRankWideArgs& a) {
    typedef Tiles<T, Engine<T>::pieces> Shared;
    SHARED(Shared, tiles);
    constexpr int depth = Engine<T>::depth, halves = depth / 32;
    const int begin = blockIdx.x * a.part_rows, end = min(*a.n, begin + a.part_rows);
    const int c0 = blockIdx.y * kTile, r0 = blockIdx.z * kTile;
    Engine<T> engine;
    Eight<float> us[halves];
    Eight<T> xs[halves];
    const auto load = [&](int first) {
        UNROLL
        for (int h = 0; h < halves; h++) {
            const Place l = at_lines(h);
            us[h] = load_eight(static_cast<const float*>(a.u), first + l.term, end, r0 + l.line, a.rank, a.aligned_u);
            xs[h] = load_eight(static_cast<const T*>(a.x), first + l.term, end, c0 + l.line, a.cols, a.aligned);
        }
    };
    load(begin);
    for (int first = begin; first < end; first += depth) {
        __syncthreads();
        UNROLL
        for (int h = 0; h < halves; h++) {
            const Place l = at_lines(h);
            float v[8];
            to_floats(v, us[h]);
            Engine<T>::put(tiles.in.p, v, false, l.term, l.line);
            to_floats(v, xs[h]);
            keep8(v, a.drop, first + l.term, c0 + l.line);
            Engine<T>::put(tiles.in.q, v, false, l.term, l.line);
        }
        __syncthreads();
        if (first + depth < end) load(first + depth);
        engine.add(tiles.in.p, false, tiles.in.q[0], false, {a.rank - r0, a.cols - c0, end - first});
    }
    __syncthreads();
    engine.store(tiles.out, a.scale * a.drop.scale);
    __syncthreads();
    float* out = static_cast<float*>(a.out) + (a.accumulate ? 0 : int64_t(blockIdx.x) * a.stride);
    for (int i = threadIdx.x; i < kTile * kTile; i += 256) {
        // Neighbouring threads have neighbouring elements of dw. If it is transposed, a warp has 8 of each of 4 rows,
        // which is a sector of each, because 32 of a row would be in 8 banks.
        const int r = a.transposed ? i % 8 + i / 32 % 8 * 8 : i / kTile;
        const int c = a.transposed ? i / 8 % 4 + i / 256 * 4 : i % kTile;
        if (r0 + r >= a.rank || c0 + c >= a.cols) continue;
        float* at = out + (a.transposed ? int64_t(c0 + c) * a.rank + r0 + r : int64_t(r0 + r) * a.cols + c0 + c);
        *at = tiles.out[r][c] + (a.accumulate ? *at : 0.0f);
    }
}
KERNEL(lowrank_wide_gradient_f32, LowRankWideArgs, 256) { lowrank_wide_gradient<float>(a); }
KERNEL(lowrank_wide_gradient_bf16, LowRankWideArgs, 256) { lowrank_wide_gradient<bf16>(a); }
