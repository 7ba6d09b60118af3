// Parts of LayerNorm that norm.cu and norm_lowrank.cu share.
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

// layernorm_sum computes a segment of sum = residual + dropout(x), stores it, and returns in v the rounded values that
// it has stored. Without a residual it returns x and stores nothing.
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

// layernorm_stats stores the mean and the reciprocal deviation of a row for the gradient.
DEVICE void layernorm_stats(const LayerNormArgs& a, int row, float mean, float rstd) {
    float* stats = static_cast<float*>(a.stats) + 2 * int64_t(row);
    stats[0] = mean;
    stats[1] = rstd;
}

// layernorm_scale replaces 8 columns of the sum from column c on by those of the result.
template <typename T>
DEVICE void layernorm_scale(float (&v)[8], const float (&gamma)[8], const LayerNormArgs& a, float mean, float rstd,
                            int c, bool aligned) {
    float beta[8];
    load_cols(beta, static_cast<const T*>(a.beta), c, a.cols, aligned);
    UNROLL
    for (int i = 0; i < 8; i++) v[i] = fmaf((v[i] - mean) * rstd, gamma[i], beta[i]);
}
