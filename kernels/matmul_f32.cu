// Matrix products in float32. They use FFMA and not tensor cores, because TF32 has only 10 bits of mantissa. See
// compute.Matmul.
//
// A block computes one tile of dst, and each thread 8 x 8 or 4 x 4 of its elements. Terms go through registers, 8 or 16
// at a time, so that both layouts of a factor become the one that the loop reads, in which the lines of a term are
// adjacent.
#include "matmul.cuh"

// Stages is the shared memory of a block: two stages of both factors. Rows have 4 elements more than the tile, so that
// stores of a transposed factor have 2-way and not 8-way bank conflicts.
template <int tile, int depth> struct Stages {
    float a[2][depth][tile + 4];
    float b[2][depth][tile + 4];
};

// Factor is an operand as lines of terms. A line is a row of op(a) or a column of op(b). A thread copies 4 adjacent
// elements of each stage: terms of a line if along is set, otherwise lines of a term.
template <int tile, int depth> struct Factor {
    static_assert(tile * depth == 4 * 256, "a stage is one access of every thread");
    static constexpr int groups = depth / 4, lanes = tile / 4; // accesses in a line, in a term
    const float* from;                                         // the thread's elements of the next stage
    int lines, terms;                                          // from there to the end
    int next;                                                  // number of elements between two stages
    bool along, wide;                                          // wide: 16-byte loads
    Vec<float> v;

    DEVICE Factor(const void* p, int line_count, int term_count, bool terms_along, int line, int term, int end)
        : along(terms_along) {
        const int id = threadIdx.x;
        line += along ? id / groups : id % lanes * 4;
        term += along ? id % groups * 4 : id / lanes;
        lines = line_count - line;
        terms = lines > 0 ? end - term : 0;
        next = along ? depth : depth * line_count;
        from = static_cast<const float*>(p) +
               (along ? int64_t(line) * term_count + term : int64_t(term) * line_count + line);
        wide = (along ? term_count : line_count) % 4 == 0 && aligned16(p);
    }

    // load loads the thread's elements of the next stage into registers, and zeros outside of the factor.
    DEVICE void load() {
        const int some = along || terms <= 0 ? terms : lines;
        if (wide) {
            v = some > 0 ? load_vec(in_global(from)) : Vec<float>{};
        } else {
            UNROLL
            for (int i = 0; i < 4; i++) v.v[i] = i < some ? in_global(from)[i] : 0.0f;
        }
        terms -= depth;
        from += next;
    }

    DEVICE void store(float (&to)[depth][tile + 4]) const {
        const int id = threadIdx.x;
        if (along) {
            UNROLL
            for (int i = 0; i < 4; i++) to[id % groups * 4 + i][id / groups] = v.v[i];
        } else {
            store_vec(&to[id / lanes][id % lanes * 4], v);
        }
    }
};

// matmul: dst = act(alpha op(a) op(b) + bias), or added to dst, or times act'(pre); or up to three such products (see
// MatmulArgs), but no sum of products.
//
//   op(a) [M,K], op(b) [K,N], bias [N], pre, dst [M,N] f32
//
// Launched by internal/gpu/matmul.go.
// Launch   grid (ceil(M/t) ceil(N/t), parts, products), block 256. The tile t is 128, or 64 in the kernels named small;
//          both need 17 KB of shared memory. A thread has 4 x 4 of every 64 x 64.
// Limits   M, N, K >= 0. 16-byte accesses if the widths of both factors are multiples of 4 and both begin at multiples
//          of 16 bytes, otherwise single elements.
// Numerics f32 FMA in the order of k. Parts of K are added in order.
// Work     2 M N K flops; bound by the FFMA rate if M, N and K are large.
// Source   Volkov and Demmel 2008, "Benchmarking GPUs to tune dense linear algebra": a register tile by outer products.
template <int tile, int depth> DEVICE void matmul(const MatmulArgs& a) {
    using Memory = Stages<tile, depth>;
    SHARED(Memory, shared);
    constexpr int groups = tile / 64;
    int row, col;
    if (!tile_at(blockIdx.x, (a.dims[0] + tile - 1) / tile, (a.dims[1] + tile - 1) / tile, row, col)) return;
    row *= tile;
    col *= tile;
    const int first = blockIdx.y * a.chunk, end = min(a.dims[2], first + a.chunk);
    const Joined own = product_of_block(a);
    Factor<tile, depth> fa(own.a, a.dims[0], a.dims[2], !a.ta, row, first, end);
    Factor<tile, depth> fb(own.b, a.dims[1], a.dims[2], a.tb, col, first, end);

    // A warp has 4 x 8 threads, which read 16 rows and 32 columns of a stage.
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const int y = (warp / 2 * 4 + lane / 8) * 4, x = (warp % 2 * 8 + lane % 8) * 4;
    float sum[groups * 4][groups * 4] = {};
    fa.load();
    fb.load();
    fa.store(shared.a[0]);
    fb.store(shared.b[0]);
    __syncthreads();
    int at = 0;
    for (int left = end - first; left > 0; left -= depth) {
        const bool more = left > depth;
        if (more) {
            fa.load();
            fb.load();
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
                for (int j = 0; j < groups * 4; j++) {
                    sum[i][j] = fmaf(va[i / 4].v[i % 4], vb[j / 4].v[j % 4], sum[i][j]);
                }
            }
        }
        if (more) {
            at ^= 1; // all warps left this stage before the last barrier
            fa.store(shared.a[at]);
            fb.store(shared.b[at]);
            __syncthreads();
        }
    }

    const int m = a.dims[0], n = a.dims[1];
    const Epilogue<float> e(output_of(a, m, n), n);
    // After each turn the sums move up by one row, so that the loop needs no index of a register and the epilogue is
    // compiled only once.
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

KERNEL(matmul_f32, MatmulArgs, 256) { matmul<128, 8>(a); } // with two blocks it would have 128 registers, and spill
KERNEL_RESIDENT(matmul_small_f32, MatmulArgs, 256, 2) { matmul<64, 16>(a); }
