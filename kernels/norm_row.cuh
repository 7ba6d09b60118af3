// One row of a norm in the registers of the threads that share it: those of a warp, or of a block of 8 warps. Kernels
// are composed of these functions, so that the operations before and after a norm can use the row while it is in
// registers.
//
// A thread has kGroups groups of 8 neighbouring columns. A row of more than row_span columns is divided into segments,
// of which begin is the first column, and is read again for every pass.
#pragma once
#include "common.cuh"

constexpr int kGroups = 4;

template <int warps> constexpr int row_span = warps * 32 * 8 * kGroups;

// row_end returns the end of the loop over the segments of a row. In aligned kernels with one warp per row, a row has
// only one segment.
template <int warps, bool aligned> DEVICE int row_end(int cols) { return warps == 1 && aligned ? 1 : cols; }

// row_of returns the row of the calling thread. Blocks have 256 threads.
template <int warps> DEVICE int row_of() {
    return blockIdx.x * (8 / warps) + threadIdx.x / (warps * 32);
}

// row_col returns the first column of the thread's group g.
template <int warps> DEVICE int row_col(int begin, int g) {
    return begin + (g * warps * 32 + threadIdx.x % (warps * 32)) * 8;
}

// row_sum returns the sum of x over the threads of a row.
template <int warps> DEVICE float row_sum(float x) {
    if constexpr (warps == 1) {
        return warp_sum(x);
    } else {
        typedef float Sums[warps];
        SHARED(Sums, sums);
        return block_sum(x, sums);
    }
}

// RowPart is a segment of a row in the type of memory, with zeros beyond the end of the row.
template <typename T> struct RowPart {
    static constexpr int n = Vec<T>::n;
    Vec<T> v[kGroups][8 / n];

    DEVICE float at(int g, int i) const { return element(v[g][i / n], i % n); }
};

// row_load starts to load a segment and does not wait for it. It converts nothing, so that the loads of several rows
// are in flight together. If aligned is set, 8 must divide cols and rows must begin at multiples of 16 bytes.
template <int warps, bool aligned, typename T> DEVICE void row_load(RowPart<T>& r, const T* row, int begin, int cols) {
    constexpr int n = RowPart<T>::n;
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        const int c = row_col<warps>(begin, g);
        UNROLL
        for (int k = 0; k < 8 / n; k++) {
            r.v[g][k] = Vec<T>{};
            if constexpr (aligned) {
                if (c < cols) r.v[g][k] = load_vec(row + c + k * n);
            } else {
                UNROLL
                for (int i = 0; i < n; i++) {
                    if (c + k * n + i < cols) r.v[g][k].v[i] = row[c + k * n + i];
                }
            }
        }
    }
}

// row_read reads a segment as float.
template <int warps, bool aligned, typename T>
DEVICE void row_read(float (&x)[kGroups][8], const T* row, int begin, int cols) {
    RowPart<T> r;
    row_load<warps, aligned>(r, row, begin, cols);
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        UNROLL
        for (int i = 0; i < 8; i++) x[g][i] = r.at(g, i);
    }
}

// square_sum returns the thread's sum of squares about the mean. It sets elements beyond the end of the row to the
// mean, so that they add 0.
template <int warps> DEVICE float square_sum(float (&x)[kGroups][8], float mean, int begin, int cols) {
    float sum = 0.0f;
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        const int inside = cols - row_col<warps>(begin, g);
        if (inside < 8) {
            UNROLL
            for (int i = 0; i < 8; i++) x[g][i] = i < inside ? x[g][i] : mean;
        }
        UNROLL
        for (int i = 0; i < 8; i++) sum = fmaf(x[g][i] - mean, x[g][i] - mean, sum);
    }
    return sum;
}

// each_group calls f(g, c, gamma) for every group g of the thread that begins inside of the row: c is its first column
// and gamma has the gain of its columns.
template <typename T, int warps, bool aligned, typename F>
DEVICE void each_group(const void* gain, int begin, int cols, F f) {
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        const int c = row_col<warps>(begin, g);
        if (c >= cols) continue;
        float gamma[8];
        load_cols(gamma, static_cast<const T*>(gain), c, cols, aligned);
        f(g, c, gamma);
    }
}

// ROW_KERNELS defines the six kernels of a template op<T, warps, aligned> with argument Args: one warp per row, one
// block per row (_wide), and one warp per row that is read as single elements (_odd), each in f32 and in bf16.
#define ROW_KERNELS(op, Args)                                        \
    KERNEL(op##_f32, Args, 256) { op<float, 1, true>(a); }           \
    KERNEL(op##_bf16, Args, 256) { op<bf16, 1, true>(a); }           \
    KERNEL(op##_wide_f32, Args, 256) { op<float, 8, true>(a); }      \
    KERNEL(op##_wide_bf16, Args, 256) { op<bf16, 8, true>(a); }      \
    KERNEL(op##_odd_f32, Args, 256) { op<float, 1, false>(a); }      \
    KERNEL(op##_odd_bf16, Args, 256) { op<bf16, 1, false>(a); }
