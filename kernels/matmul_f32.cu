// Matrix products in float32, in full: FFMA, since the tensor cores' TF32 keeps
// 10 bits of mantissa. See compute.Matmul.
//
// A block computes one tile of dst, each thread 8 x 8 or 4 x 4 of it. Terms come
// 8 or 16 at a time by way of registers, so that either layout of a factor
// becomes the one that the loop reads, lines side by side.
#include "matmul.cuh"

// Stages is what a block holds in shared memory: two stages of both factors.
// Rows are 4 longer than the tile: stores of a transposed factor meet a bank
// twice and not eight times.
template <int tile, int depth> struct Stages {
    float a[2][depth][tile + 4];
    float b[2][depth][tile + 4];
};

// Factor is an operand as lines of terms: a line is a row of op(a) or a column
// of op(b). along says that the terms of a line lie side by side, else the
// lines of a term do.
struct Factor {
    const float* p;
    int lines, terms;
    bool along, wide; // wide: 16-byte loads

    DEVICE Factor(const void* from, int line_count, int term_count, bool terms_along)
        : p(static_cast<const float*>(from)), lines(line_count), terms(term_count), along(terms_along) {
        wide = (along ? terms : lines) % 4 == 0 && aligned16(p);
    }

    // load returns 4 elements that lie side by side, from term t of line l on,
    // zeros where there are none.
    DEVICE Vec<float> load(int l, int t, int end) const {
        Vec<float> v = {};
        if (l >= lines || t >= end) return v;
        const float* from = p + (along ? int64_t(l) * terms + t : int64_t(t) * lines + l);
        if (wide) return load_vec(from);
        const int some = along ? end - t : lines - l;
        UNROLL
        for (int i = 0; i < 4; i++) {
            if (i < some) v.v[i] = from[i];
        }
        return v;
    }
};

// Part is a thread's share of the next stage of a factor.
template <int tile, int depth> struct Part {
    static constexpr int count = tile * depth / 4 / 256;
    Vec<float> v[count];

    DEVICE void load(const Factor& f, int line, int k, int end) {
        UNROLL
        for (int i = 0; i < count; i++) {
            const int at = threadIdx.x + i * 256;
            v[i] = f.along ? f.load(line + at / (depth / 4), k + at % (depth / 4) * 4, end)
                           : f.load(line + at % (tile / 4) * 4, k + at / (tile / 4), end);
        }
    }

    DEVICE void store(float (&to)[depth][tile + 4], bool along) const {
        UNROLL
        for (int i = 0; i < count; i++) {
            const int at = threadIdx.x + i * 256;
            if (along) {
                UNROLL
                for (int j = 0; j < 4; j++) to[at % (depth / 4) * 4 + j][at / (depth / 4)] = v[i].v[j];
            } else {
                store_vec(&to[at / (tile / 4)][at % (tile / 4) * 4], v[i]);
            }
        }
    }
};

// matmul: dst = act(alpha op(a) op(b) + bias), or added to dst.
//
//   op(a) [M,K], op(b) [K,N], bias [N], pre, dst [M,N] f32
//
// Launch   grid (ceil(M/t) ceil(N/t), parts), block 256: tile t is 128 (17 KB of
//          shared memory) or, by the name small, 64 (17 KB). A thread has 4 x 4
//          of every 64 x 64.
// Limits   M, N, K >= 0; 16-byte accesses where the widths of both factors are
//          multiples of 4 and they begin at 16 bytes, single elements else.
// Numerics f32 FMA in order of k; parts of K are added in order.
// Work     2 M N K flops; bound by the FFMA rate where M, N, K are large.
// Source   Volkov and Demmel 2008, "Benchmarking GPUs to tune dense linear
//          algebra": a register tile by outer products.
template <int tile, int depth> DEVICE void matmul(const MatmulArgs& a) {
    using Memory = Stages<tile, depth>;
    SHARED(Memory, shared);
    constexpr int groups = tile / 64;
    const int m = a.dims[0], n = a.dims[1], k = a.dims[2];
    int row, col;
    if (!tile_at(blockIdx.x, (m + tile - 1) / tile, (n + tile - 1) / tile, row, col)) return;
    row *= tile;
    col *= tile;
    const Factor fa(a.a, m, k, !a.ta), fb(a.b, n, k, a.tb);
    const int first = blockIdx.y * a.chunk, end = min(k, first + a.chunk);

    // A warp has 4 x 8 threads: it reads 16 rows and 32 columns of a stage.
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int y = (warp / 2 * 4 + lane / 8) * 4, x = (warp % 2 * 8 + lane % 8) * 4;
    float sum[groups * 4][groups * 4] = {};
    Part<tile, depth> pa, pb;
    pa.load(fa, row, first, end);
    pb.load(fb, col, first, end);
    pa.store(shared.a[0], fa.along);
    pb.store(shared.b[0], fb.along);
    __syncthreads();
    int at = 0;
    for (int k0 = first; k0 < end; k0 += depth) {
        const bool more = k0 + depth < end;
        if (more) {
            pa.load(fa, row, k0 + depth, end);
            pb.load(fb, col, k0 + depth, end);
        }
        UNROLL
        for (int t = 0; t < depth; t++) {
            Vec<float> va[groups], vb[groups];
            UNROLL
            for (int g = 0; g < groups; g++) {
                va[g] = load_vec(&shared.a[at][t][g * 64 + y]);
                vb[g] = load_vec(&shared.b[at][t][g * 64 + x]);
            }
            UNROLL
            for (int i = 0; i < groups * 4; i++) {
                UNROLL
                for (int j = 0; j < groups * 4; j++) sum[i][j] = fmaf(va[i / 4].v[i % 4], vb[j / 4].v[j % 4], sum[i][j]);
            }
        }
        if (more) {
            at ^= 1; // all warps left this stage before the last barrier
            pa.store(shared.a[at], fa.along);
            pb.store(shared.b[at], fb.along);
            __syncthreads();
        }
    }

    const Epilogue<float> e(output_of(a, m, n), n);
    // Rows move up through the first, so that the epilogue is there once.
    ROLL
    for (int i = 0; i < groups * 4; i++) {
        const int r = row + i / 4 * 64 + y + i % 4;
        UNROLL
        for (int g = 0; g < groups; g++) {
            float v[4];
            UNROLL
            for (int j = 0; j < 4; j++) v[j] = sum[0][g * 4 + j];
            if (r < m) e.put(r, col + g * 64 + x, v);
        }
        UNROLL
        for (int k = 1; k < groups * 4; k++) {
            UNROLL
            for (int j = 0; j < groups * 4; j++) sum[k - 1][j] = sum[k][j];
        }
    }
}

KERNEL_RESIDENT(matmul_f32, MatmulArgs, 256, 2) { matmul<128, 8>(a); }
KERNEL_RESIDENT(matmul_small_f32, MatmulArgs, 256, 3) { matmul<64, 16>(a); }
