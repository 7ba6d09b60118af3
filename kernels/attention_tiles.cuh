// Tiles of bf16 attention on tensor cores. 64 rows of queries or keys stay in the shared memory of a block, 16 for each
// warp, and the rows of the other side pass in tiles of 32. Fragments are those of mma.m16n8k16 (PTX ISA, "Matrix
// Fragments for mma.m16n8k16"): lane l has rows l/4 and l/4 + 8 of a product's 16, and columns 2(l%4) and 2(l%4) + 1 of
// its 8.
#pragma once
#include "attention.cuh"
#include "mma.cuh"

namespace {

constexpr int kStay = 64;
constexpr int kPass = 32;
constexpr int kThreads = 128;

// kStages is the number of passing tiles in shared memory. With these numbers two blocks fit in 100 KiB of a
// multiprocessor, or one block of the gradient for D = 128.
template <int D> constexpr int kStages = D == 128 ? 2 : 3;

// cell returns the address of chunk c (8 columns) of a row of a tile. The same chunk of 8 consecutive rows is in
// different banks.
template <int D> DEVICE bf16* cell(bf16* tile, int row, int c) {
    return tile + row * D + 8 * (D == 32 ? c ^ ((row >> 1) & 3) : c ^ (row & 7));
}

// spread returns the row of a tile in which passing key j of 32 is stored. In the product q kT of such a tile, a lane
// then has 8 consecutive keys of its two queries, in columns 2(l%4) + {0, 1} of the four blocks of 8. These are the
// octet of one call of philox. Key 8t + 2n + e is column 2t + e of block n.
DEVICE int spread(int j) { return 8 * ((j >> 1) & 3) + 2 * ((j >> 3) & 3) + (j & 1); }

// load_tile starts to copy rows of a [., stride] tensor. Rows from `valid` on become zeros.
template <int D, int rows, bool spreads>
DEVICE void load_tile(bf16* tile, const bf16* src, int stride, int valid) {
    constexpr int at_once = kThreads / (D / 8);
    const int first = threadIdx.x / (D / 8), c = threadIdx.x % (D / 8);
    const int at = first * stride + 8 * c;
    UNROLL
    for (int r = 0; r < rows; r += at_once) {
        const bool there = first + r < valid;
        bf16* to = cell<D>(tile, spreads ? spread(first + r) : first + r, c);
        cp_async_16(to, src + (there ? at + r * stride : 0), there);
    }
}

// Ring has the stages of shared memory for pairs of passing tiles: keys and values, or queries and their gradients.
template <int D> struct Ring {
    static constexpr int size = kStages<D> * (2 * kPass * D); // elements of all stages
    bf16* stages;

    DEVICE bf16* first(int step) const { return stages + step % kStages<D> * (2 * kPass * D); }
    DEVICE bf16* second(int step) const { return first(step) + kPass * D; }

    // load starts to copy the pair of a step, from offset `at` of two tensors.
    template <bool spreads>
    DEVICE void load(int step, const bf16* x, const bf16* y, int64_t at, int stride, int valid) const {
        load_tile<D, kPass, spreads>(first(step), x + at, stride, valid);
        load_tile<D, kPass, spreads>(second(step), y + at, stride, valid);
    }
};

// KeyRing passes the keys and values of a sequence to a block of queries.
template <int D> struct KeyRing {
    Ring<D> ring;
    const bf16 *k, *v;
    const QueryBlock& b;
    int steps;

    DEVICE KeyRing(bf16* stages, const AttentionArgs& a, const QueryBlock& b)
        : ring{stages}, k(static_cast<const bf16*>(a.k)), v(static_cast<const bf16*>(a.v)), b(b),
          steps((b.s.seen(b.first + b.rows - 1) + kPass - 1) / kPass) {}

    // load starts to copy the tiles of a step. It closes a group of copies for every step, also for those beyond the
    // last, so that the number of open groups does not depend on the step.
    DEVICE void load(int step) const {
        if (step < steps) {
            const int j = step * kPass;
            ring.template load<true>(step, k, v, b.key_at(j), b.kv_stride, b.s.keys - j);
        }
        cp_async_commit();
    }

    // begin loads the tiles of the first steps.
    DEVICE void begin() const {
        UNROLL
        for (int step = 0; step < kStages<D> - 1; step++) load(step);
    }

    // next waits for the tiles of a step and loads those of a later step in place of the tiles before.
    DEVICE void next(int step) const {
        cp_async_wait<kStages<D> - 2>();
        __syncthreads();
        load(step + kStages<D> - 1);
    }

    // end waits for all copies. The rows that stay are copied with the first step. If there is no step, no thread has
    // waited for them, and without a barrier the copy of another warp could overwrite results in shared memory.
    DEVICE void end() const {
        cp_async_wait<0>();
        if (steps == 0) __syncthreads();
    }
};

// left_operand reads the operand [16 rows, 16 columns] from row r, column 16 kk.
template <int D> DEVICE void left_operand(uint32_t (&x)[4], bf16* tile, int r, int kk) {
    const int lane = threadIdx.x % 32;
    ldmatrix_x4(x, cell<D>(tile, r + lane % 16, 2 * kk + lane / 16));
}

// multiply_transposed computes s += x yT for 16 rows of x from row r and the 32 rows of y. s[n] has columns 8n to 8n +
// 7.
template <int D> DEVICE void multiply_transposed(float (&s)[4][4], bf16* x, int r, bf16* y) {
    const int lane = threadIdx.x % 32;
    UNROLL
    for (int kk = 0; kk < D / 16; kk++) {
        uint32_t left[4];
        left_operand<D>(left, x, r, kk);
        UNROLL
        for (int n = 0; n < 4; n += 2) {
            uint32_t right[4];
            ldmatrix_x4(right, cell<D>(y, 8 * n + lane % 8 + 8 * (lane / 16), 2 * kk + lane / 8 % 2));
            mma_bf16(s[n], left, {right[0], right[1]});
            mma_bf16(s[n + 1], left, {right[2], right[3]});
        }
    }
}

// multiply_add computes o += p y for p [16,32] in the layout of a product, and the 32 rows of y.
template <int D> DEVICE void multiply_add(float (&o)[D / 8][4], const float (&p)[4][4], bf16* y) {
    const int lane = threadIdx.x % 32;
    UNROLL
    for (int kk = 0; kk < 2; kk++) {
        const float(&lo)[4] = p[2 * kk];
        const float(&hi)[4] = p[2 * kk + 1];
        const uint32_t left[4] = {
            pack_bf16(lo[0], lo[1]), pack_bf16(lo[2], lo[3]), pack_bf16(hi[0], hi[1]), pack_bf16(hi[2], hi[3]),
        };
        UNROLL
        for (int n = 0; n < D / 8; n += 2) {
            uint32_t right[4];
            ldmatrix_x4_trans(right, cell<D>(y, 16 * kk + lane % 16, n + lane / 16));
            mma_bf16(o[n], left, {right[0], right[1]});
            mma_bf16(o[n + 1], left, {right[2], right[3]});
        }
    }
}

// finite_lse returns lse / ln 2, and 0 for a query that sees no key, whose scores are all -Inf.
DEVICE float finite_lse(float lse) { return lse == negative_infinity() ? 0.0f : lse * kLog2e; }

// add_bias adds the bias to scores. The lane has queries i[0] and i[1], and the keys from j on in the order of spread.
template <bool biased>
DEVICE void add_bias(float (&p)[4][4], const Bias<biased>& bias, const int (&i)[2], int j) {
    UNROLL
    for (int n = 0; n < 4; n++) {
        UNROLL
        for (int e = 0; e < 4; e++) bias.add(p[n][e], i[e / 2], j + 2 * n + e % 2);
    }
}

// hide_keys sets the scores of keys that a query does not see to -Inf. The lane has queries i[0] and i[1], and the keys
// from j on in the order of spread.
DEVICE void hide_keys(float (&p)[4][4], const Sequence& s, const int (&i)[2], int j) {
    UNROLL
    for (int n = 0; n < 4; n++) {
        UNROLL
        for (int e = 0; e < 4; e++) {
            if (!s.sees(i[e / 2], j + 2 * n + e % 2)) p[n][e] = negative_infinity();
        }
    }
}

// store_rows writes the first `valid` of 16 rows of o to a [., stride] tensor, the first 8 times f0 and the others
// times f1. The rows go through rows [r, r + 16) of tile, which no other warp may use.
template <int D>
DEVICE void store_rows(bf16* dst, int stride, int valid, const float (&o)[D / 8][4], float f0, float f1, bf16* tile,
                       int r) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    __syncwarp();
    UNROLL
    for (int n = 0; n < D / 8; n++) {
        *reinterpret_cast<uint32_t*>(cell<D>(tile, r + g, n) + 2 * t) = pack_bf16(o[n][0] * f0, o[n][1] * f0);
        *reinterpret_cast<uint32_t*>(cell<D>(tile, r + g + 8, n) + 2 * t) = pack_bf16(o[n][2] * f1, o[n][3] * f1);
    }
    __syncwarp();
    constexpr int at_once = 32 / (D / 8);
    const int first = lane / (D / 8), c = lane % (D / 8);
    UNROLL
    for (int row = first; row < 16 + first; row += at_once) {
        if (row < valid) copy16(dst + row * stride + 8 * c, cell<D>(tile, r + row, c));
    }
}

} // namespace
