// Tiles of bf16 attention on tensor cores: 64 rows that stay, 16 to a warp, and
// 32 rows that pass by. Their fragments are those of mma.m16n8k16 (PTX ISA,
// "Matrix Fragments for mma.m16n8k16"): lane l holds rows l/4 and l/4 + 8 of a
// product's 16, and columns 2(l%4), 2(l%4) + 1 of its 8.
#pragma once
#include "attention.cuh"
#include "mma.cuh"

namespace {

constexpr int kStay = 64;
constexpr int kPass = 32;
constexpr int kThreads = 128;

// kStages is how many passing tiles there is room for. With it, 100 KiB of a
// multiprocessor hold two blocks, or one of the gradient for D = 128.
template <int D> constexpr int kStages = D == 128 ? 2 : 3;

// cell returns the address of chunk c (8 columns) of a tile's row. Chunks of 8
// consecutive rows lie in different banks.
template <int D> DEVICE bf16* cell(bf16* tile, int row, int c) {
    return tile + row * D + 8 * (D == 32 ? c ^ ((row >> 1) & 3) : c ^ (row & 7));
}

// spread returns the row of a tile in which passing key j of 32 lies. Of the
// product q kT of such a tile, a lane then has 8 consecutive keys of its two
// queries, in columns 2(l%4) + {0, 1} of the four blocks of 8: the octet of one
// call of philox. Key 8t + 2n + e is column 2t + e of block n.
DEVICE int spread(int j) { return 8 * ((j >> 1) & 3) + 2 * ((j >> 3) & 3) + (j & 1); }

// load_tile starts to copy rows of a [., stride] tensor; rows from `valid` on
// become zeros.
template <int D, int rows, bool spreads>
DEVICE void load_tile(bf16* tile, const bf16* src, int stride, int valid) {
    constexpr int at_once = kThreads / (D / 8);
    const int first = threadIdx.x / (D / 8), c = threadIdx.x % (D / 8);
    const int at = first * stride + 8 * c;
    UNROLL
    for (int r = 0; r < rows; r += at_once) {
        const bool there = first + r < valid;
        cp_async_16(cell<D>(tile, spreads ? spread(first + r) : first + r, c), src + (there ? at + r * stride : 0), there);
    }
}

// left_operand reads the operand [16 rows, 16 columns] from row r, column 16 kk.
template <int D> DEVICE void left_operand(uint32_t (&x)[4], bf16* tile, int r, int kk) {
    const int lane = threadIdx.x % 32;
    ldmatrix_x4(x, cell<D>(tile, r + lane % 16, 2 * kk + lane / 16));
}

// multiply_transposed computes s += x yT for 16 rows of x from row r and the 32
// rows of y: s[n] are columns 8n to 8n + 7.
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

// multiply_add computes o += p y for p [16,32] as a product has left it, and
// the 32 rows of y.
template <int D> DEVICE void multiply_add(float (&o)[D / 8][4], const float (&p)[4][4], bf16* y) {
    const int lane = threadIdx.x % 32;
    UNROLL
    for (int kk = 0; kk < 2; kk++) {
        const float(&lo)[4] = p[2 * kk];
        const float(&hi)[4] = p[2 * kk + 1];
        const uint32_t left[4] = {pack_bf16(lo[0], lo[1]), pack_bf16(lo[2], lo[3]), pack_bf16(hi[0], hi[1]), pack_bf16(hi[2], hi[3])};
        UNROLL
        for (int n = 0; n < D / 8; n += 2) {
            uint32_t right[4];
            ldmatrix_x4_trans(right, cell<D>(y, 16 * kk + lane % 16, n + lane / 16));
            mma_bf16(o[n], left, {right[0], right[1]});
            mma_bf16(o[n + 1], left, {right[2], right[3]});
        }
    }
}

// finite_lse returns lse / ln 2, and 0 for a query that sees no key, whose
// scores are all -Inf.
DEVICE float finite_lse(float lse) { return lse == negative_infinity() ? 0.0f : lse * kLog2e; }

// store_rows writes 16 rows of o, the first 8 times f0, the others times f1, to
// a [., stride] tensor, the first `valid` of them. It goes by rows [r, r + 16)
// of tile, which no other warp may be using.
template <int D>
DEVICE void store_rows(bf16* dst, int stride, int valid, const float (&o)[D / 8][4], float f0, float f1, bf16* tile, int r) {
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
