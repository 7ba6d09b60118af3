// Rows of attention for any head size up to 256, in f32 and bf16, with arithmetic in f32. 16 rows of queries or keys
// stay with a block, 4 for each warp, and the rows of the other side pass in tiles of 32. In a product a lane has one
// of the 32 rows, and in a sum one of 32 columns.
#pragma once
#include "attention.cuh"

namespace {

constexpr int kRows = 4;
constexpr int kStay = 4 * kRows;
constexpr int kPass = 32;
constexpr int kThreads = 128;
constexpr int kChunks = 8; // of 32 columns

// Widths are the strides of rows in shared memory, in floats.
struct Widths {
    int stay; // a multiple of 4
    int pass; // 4 more than a multiple of 8, so that lanes that read their own rows use different banks

    DEVICE explicit Widths(int head_dim) : stay((head_dim + 3) / 4 * 4), pass(stay + (stay % 8 == 0 ? 4 : 0)) {}
};

// load_rows copies rows of a [., stride] tensor, D columns of each. The rest of a row becomes zeros, and so do rows
// from `valid` on.
template <typename T>
DEVICE void load_rows(float* tile, int width, int rows, const T* src, int stride, int valid, const AttentionArgs& a) {
    const int head_dim = a.head_dim;
    if (a.vector) {
        const int chunks = head_dim / 8;
        for (int i = threadIdx.x; i < rows * chunks; i += kThreads) {
            const int row = i / chunks, c = i % chunks * 8;
            float x[8] = {};
            if (row < valid) load8(x, src + int64_t(row) * stride + c);
            store8(tile + row * width + c, x);
        }
    } else {
        for (int i = threadIdx.x; i < rows * width; i += kThreads) {
            const int row = i / width, c = i % width;
            tile[i] = row < valid && c < head_dim ? to_float(src[int64_t(row) * stride + c]) : 0.0f;
        }
    }
}

// Tiles are the parts of a block's shared memory: one or two tensors whose rows stay, two whose rows pass, and the
// probabilities of the warp [4,32].
template <int stays> struct Tiles {
    Widths w;
    float *stay[stays], *pass[2], *p;

    DEVICE Tiles(unsigned char* shared, int head_dim) : w(head_dim) {
        float* at = reinterpret_cast<float*>(shared);
        UNROLL
        for (int i = 0; i < stays; i++, at += kStay * w.stay) stay[i] = at;
        UNROLL
        for (int i = 0; i < 2; i++, at += kPass * w.pass) pass[i] = at;
        p = at + threadIdx.x / 32 * (kRows * kPass);
    }

    // end returns the shared memory after the tiles.
    DEVICE float* end() const { return p + (kThreads / 32 - threadIdx.x / 32) * (kRows * kPass); }

    // load_stay loads the rows of a tensor that stay.
    template <typename T>
    DEVICE void load_stay(int i, const void* x, int64_t at, int stride, int valid, const AttentionArgs& a) const {
        load_rows(stay[i], w.stay, kStay, static_cast<const T*>(x) + at, stride, valid, a);
    }

    // load_pass loads the next 32 rows of two tensors, when all warps have finished with the rows before.
    template <typename T>
    DEVICE void load_pass(const void* x, const void* y, int64_t at, int stride, int valid,
                          const AttentionArgs& a) const {
        __syncthreads();
        load_rows(pass[0], w.pass, kPass, static_cast<const T*>(x) + at, stride, valid, a);
        load_rows(pass[1], w.pass, kPass, static_cast<const T*>(y) + at, stride, valid, a);
        __syncthreads();
    }
};

// products computes s[r] = x[r] . y[lane] for the warp's rows of x.
DEVICE void products(float (&s)[kRows], const float* x, const float* y, const Widths& w) {
    const float* row = y + threadIdx.x % 32 * w.pass;
    UNROLL
    for (int r = 0; r < kRows; r++) s[r] = 0.0f;
    ROLL
    for (int d = 0; d < w.stay; d += 4) {
        const Vec<float> b = load_vec(row + d);
        UNROLL
        for (int r = 0; r < kRows; r++) {
            const Vec<float> a = load_vec(x + r * w.stay + d);
            UNROLL
            for (int i = 0; i < 4; i++) s[r] = fmaf(a.v[i], b.v[i], s[r]);
        }
    }
}

// multiply_add computes o[r] += sum_j s[r,j] y[j]. s goes through p [4,32], which belongs to the warp. Lane l has
// column 32 n + l in o[r][n].
DEVICE void multiply_add(float (&o)[kRows][kChunks], float* p, const float (&s)[kRows], const float* y, const Widths& w,
                         int head_dim) {
    const int lane = threadIdx.x % 32;
    __syncwarp();
    UNROLL
    for (int r = 0; r < kRows; r++) p[r * kPass + lane] = s[r];
    __syncwarp();
    ROLL
    for (int j = 0; j < kPass; j += 4) {
        Vec<float> a[kRows];
        UNROLL
        for (int r = 0; r < kRows; r++) a[r] = load_vec(p + r * kPass + j);
        UNROLL
        for (int n = 0; n < kChunks; n++) {
            if (32 * n >= head_dim) break;
            const float* column = y + j * w.pass + min(32 * n + lane, head_dim - 1);
            UNROLL
            for (int i = 0; i < 4; i++) {
                const float b = column[i * w.pass];
                UNROLL
                for (int r = 0; r < kRows; r++) o[r][n] = fmaf(a[r].v[i], b, o[r][n]);
            }
        }
    }
}

// store_rows writes the first `valid` of the warp's rows, row r times factor[r].
template <typename T>
DEVICE void store_rows(T* dst, int stride, int valid, const float (&o)[kRows][kChunks], const float (&factor)[kRows],
                       int head_dim) {
    UNROLL
    for (int n = 0; n < kChunks; n++) {
        const int d = 32 * n + threadIdx.x % 32;
        if (d >= head_dim) break;
        UNROLL
        for (int r = 0; r < kRows; r++) {
            if (r < valid) dst[int64_t(r) * stride + d] = from_float<T>(o[r][n] * factor[r]);
        }
    }
}

// keep_rows returns a word in which bit r is set if the lane's key, of the 32 from j0 on, is kept for query r of the
// warp's 4. n is the packed row of the first.
DEVICE uint32_t keep_rows(const Mask& mask, int n, int j0) {
    const int lane = threadIdx.x % 32;
    // Lane 4 r + i draws octet i of row r; lanes from 16 on repeat them.
    const uint32_t drawn = mask.bits(mask.draw(n + lane / 4 % kRows, j0 / 8 + lane % 4));
    uint32_t keep = 0;
    UNROLL
    for (int r = 0; r < kRows; r++) {
        keep |= (__shfl_sync(kAllLanes, drawn, 4 * r + lane / 8) >> (lane % 8) & 1) << r;
    }
    return keep;
}

} // namespace
