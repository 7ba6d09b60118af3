// What all matrix products share: their arguments, the order in which tiles
// are taken, and the epilogue, which is what becomes of a finished sum.
//
//   dst[m,n] = act(alpha sum over k of op(a)[m,k] op(b)[k,n] + bias[n])
//
// or that sum times act'(pre[m,n]): the gradient of a layer's input and of the
// activation that made it, in one.
//
// A main loop (tensor cores in matmul_bf16.cu, FFMA in matmul_f32.cu) ends with
// sums in registers and hands them to an Epilogue a few columns of a row at a
// time. So another loop, or another epilogue, needs nothing of its counterpart.
#pragma once
#include "activation.cuh"

// Output is an epilogue's part of the arguments. T is the working precision.
struct Output {
    void* dst;        // [M,N] T, or f32 where full is set
    void* pre;        // [M,N] T, or none: receives the value before act, or with slope is what act was taken of
    const void* bias; // [N] T, or none
    float alpha;
    int32_t act;         // of enum Act
    uint32_t accumulate; // adds what dst holds, before act
    uint32_t full;
    uint32_t slope; // multiplies by act'(pre): the gradient of an activation whose result was a factor's
    uint32_t unused;
};

// MatmulArgs is the argument of every product. Where partial is set, the terms
// are shared among gridDim.y blocks, chunk terms each: each leaves its sums in
// partial, and matmul_reduce adds them up.
struct MatmulArgs {
    const void* a;       // op(a) [M,K]
    const void* b;       // op(b) [K,N]
    float* partial;      // [parts,M,N] f32, or none
    const int32_t* dims; // M, N, K
    Output out;
    uint32_t ta, tb; // op transposes
    int32_t chunk;   // a multiple of 32
    int32_t parts;
};

DEVICE bool aligned16(const void* p) { return (reinterpret_cast<uint64_t>(p) & 15) == 0; }

// add_to adds the first `some` of n elements at p to x: all of them, by 16-byte
// accesses, where wide is set.
template <typename T, int n> DEVICE void add_to(float (&x)[n], const T* p, int some, bool wide) {
    if constexpr (n % Vec<T>::n == 0) {
        if (wide) {
            UNROLL
            for (int i = 0; i < n; i += Vec<T>::n) {
                const Vec<T> v = load_vec(p + i);
                UNROLL
                for (int j = 0; j < Vec<T>::n; j++) x[i + j] += to_float(v.v[j]);
            }
            return;
        }
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        if (i < some) x[i] += to_float(p[i]);
    }
}

// store_some writes them.
template <typename T, int n> DEVICE void store_some(T* p, const float (&x)[n], int some, bool wide) {
    if constexpr (n % Vec<T>::n == 0) {
        if (wide) {
            UNROLL
            for (int i = 0; i < n; i += Vec<T>::n) {
                Vec<T> v;
                UNROLL
                for (int j = 0; j < Vec<T>::n; j++) v.v[j] = from_float<T>(x[i + j]);
                store_vec(p + i, v);
            }
            return;
        }
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        if (i < some) p[i] = from_float<T>(x[i]);
    }
}

// Epilogue writes sums to an Output of rows of `cols` columns.
template <typename T> struct Epilogue {
    Output o;
    int cols;
    bool wide; // 16-byte accesses

    DEVICE Epilogue(const Output& output, int n) : o(output), cols(n) {
        wide = n % Vec<T>::n == 0 && aligned16(o.dst) && aligned16(o.pre) && aligned16(o.bias);
    }

    // put takes sums of n columns from col on, n being Vec<T>::n with col a
    // multiple of it, or 1. Columns beyond the last are ignored.
    template <int n> DEVICE void put(int row, int col, float (&x)[n]) const {
        if (col >= cols) return;
        const int some = min(n, cols - col);
        const int64_t at = int64_t(row) * cols + col;
        UNROLL
        for (int i = 0; i < n; i++) x[i] *= o.alpha;
        if (o.accumulate) {
            if (o.full) add_to(x, static_cast<const float*>(o.dst) + at, some, wide);
            else add_to(x, static_cast<const T*>(o.dst) + at, some, wide);
        }
        if (o.bias) add_to(x, static_cast<const T*>(o.bias) + col, some, wide);
        if (o.slope) {
            float z[n] = {};
            add_to(z, static_cast<const T*>(o.pre) + at, some, wide);
            UNROLL
            for (int i = 0; i < n; i++) x[i] = to_float(from_float<T>(x[i])) * activation_slope(o.act, z[i]);
        } else {
            if (o.pre) store_some(static_cast<T*>(o.pre) + at, x, some, wide);
            if (o.act != kIdentity) {
                UNROLL
                for (int i = 0; i < n; i++) x[i] = activate(o.act, to_float(from_float<T>(x[i]))); // what pre holds
            }
        }
        if (o.full) store_some(static_cast<float*>(o.dst) + at, x, some, wide);
        else store_some(static_cast<T*>(o.dst) + at, x, some, wide);
    }
};

// output_of returns where this block's sums go: the result, or its part of the
// partial sums.
DEVICE Output output_of(const MatmulArgs& a, int m, int n) {
    if (a.partial == nullptr) return a.out;
    Output o = {};
    o.dst = a.partial + int64_t(blockIdx.y) * m * n;
    o.alpha = 1.0f;
    o.full = 1;
    return o;
}

// tile_at says which tile of a grid of rows x cols tiles a block takes; false
// where there is none. Tiles are numbered in bands of 8 rows, down before
// across, so that the blocks that run together share rows of a and columns of b
// in L2.
DEVICE bool tile_at(int id, int rows, int cols, int& row, int& col) {
    constexpr int band = 8;
    const int first = id / (band * cols) * band, within = id % (band * cols);
    if (first >= rows) return false;
    const int height = min(band, rows - first);
    row = first + within % height;
    col = within / height;
    return col < cols;
}
