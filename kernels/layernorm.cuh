// The first half of a LayerNorm, which norm.cu and norm_lowrank.cu begin with.
#pragma once
#include "norm_row.cuh"

struct LayerNormArgs {
    void* dst;
    void* sum;
    void* stats;
    const void* x;
    const void* residual;
    const void* gamma;
    const void* beta;
    const int32_t* n;
    Dropout drop;
    int32_t cols;
    float eps;
};

// layernorm_sum forms a segment of sum = residual + dropout(x), which it stores
// and, rounded as it is stored, returns. Without a residual it is x.
template <int warps, bool aligned, typename T>
DEVICE void layernorm_sum(float (&v)[kGroups][8], const LayerNormArgs& a, int row, int begin) {
    const int64_t at = int64_t(row) * a.cols;
    const T* residual = static_cast<const T*>(a.residual);
    RowPart<T> x, r;
    row_load<warps, aligned>(x, static_cast<const T*>(a.x) + at, begin, a.cols);
    row_load<warps, aligned>(r, residual + at, begin, residual ? a.cols : 0);
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        UNROLL
        for (int i = 0; i < 8; i++) v[g][i] = x.at(g, i);
        const int c = row_col<warps>(begin, g);
        if (a.drop.threshold && c < a.cols) mask8(v[g], a.drop, row, c / 8);
    }
    if (!residual) return;
    UNROLL
    for (int g = 0; g < kGroups; g++) {
        UNROLL
        for (int i = 0; i < 8; i++) v[g][i] += r.at(g, i);
        round8<T>(v[g]);
        store_cols(static_cast<T*>(a.sum) + at, v[g], row_col<warps>(begin, g), a.cols, aligned);
    }
}
