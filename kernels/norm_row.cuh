// One row of a norm in the registers of the threads that share it: a warp, or a
// block of 8 warps. Kernels are put together from these parts, so that what
// follows or precedes a norm can be done while the row is there.
//
// A thread holds kGroups groups of 8 neighbouring columns. Rows of more than
// row_span columns are taken a segment at a time, begin being its first column,
// and read again for every pass.
#pragma once
#include "common.cuh"

constexpr int kGroups = 4;

template <int warps> constexpr int row_span = warps * 32 * 8 * kGroups;

// row_end returns where the segments of a row end: rows of aligned kernels with a
// warp a row are no longer than one.
template <int warps, bool aligned> DEVICE int row_end(int cols) { return warps == 1 && aligned ? 1 : cols; }

// row_of returns the row of the calling thread: blocks have 256 threads.
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

// RowPart is a segment of a row as it lies in memory, zeros beyond its end.
template <typename T> struct RowPart {
    static constexpr int n = Vec<T>::n;
    Vec<T> v[kGroups][8 / n];

    DEVICE float at(int g, int i) const { return element(v[g][i / n], i % n); }
};

// row_load asks for a segment without waiting for it: nothing is converted, so
// that the loads of several rows are under way together. aligned is a constant:
// 8 divides cols and rows begin at multiples of 16 bytes.
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
template <int warps, bool aligned, typename T> DEVICE void row_read(float (&x)[kGroups][8], const T* row, int begin, int cols) {
    RowPart<T> r;
    row_load<warps, aligned>(r, row, begin, cols);
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        UNROLL
        for (int i = 0; i < 8; i++) x[g][i] = r.at(g, i);
    }
}

// square_sum returns the thread's sum of squares about the mean. It sets what is
// beyond the row's end to the mean, where it counts for nothing.
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
