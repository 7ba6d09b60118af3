// Parts that all matrix products share: the arguments, the order of tiles, and the epilogue, which writes a complete
// sum.
//
//   dst[m,n] = act(alpha sum over k of op(a)[m,k] op(b)[k,n] + bias[n])
//
// or that sum times act'(pre[m,n]), which is the gradient of a layer's input and of the activation before it.
//
// A main loop (tensor cores in matmul_bf16.cu, FFMA in matmul_f32.cu) ends with sums in registers and passes them to an
// Epilogue, a few columns of a row at a time. So a loop and an epilogue do not depend on each other.
#pragma once
#include "activation.cuh"

// Output has the arguments of the epilogue. T is the working precision.
struct Output {
    void* dst;        // [M,N] T, or f32 if full is set
    void* pre;        // [M,N] T, or null: the value before act, which is written, or read if slope is set
    const void* bias; // [N] T, or null
    float alpha;
    int32_t act;         // of enum Act
    uint32_t accumulate; // adds the old value of dst, before act
    uint32_t full;
    uint32_t slope; // multiplies by act'(pre), for the gradient of the activation before the layer
    uint32_t unused;
};

// Joined is a further product of a launch, with the sizes, transposes and alpha of the first.
struct Joined {
    const void* a;
    const void* b;
    void* dst;
    const void* bias;
};

// MatmulArgs is the argument of every product. If partial is set, the terms are divided among gridDim.y blocks, chunk
// terms each. Each block writes its sums to partial, and matmul_reduce adds them.
//
// The kernels with tiles can compute up to three products. If chained is set dst is their sum: the terms of a product,
// rounded up to a multiple of 32, are followed by those of the next. Otherwise each has a dst and a bias of its own,
// and the blocks with its number in z compute it. Pointers are at multiples of 16 bytes, or there is one product.
struct MatmulArgs {
    const void* a;       // op(a) [M,K]
    const void* b;       // op(b) [K,N]
    float* partial;      // [parts,M,N] f32, or null
    const int32_t* dims; // M, N, K
    Output out;
    uint32_t ta, tb; // op transposes
    int32_t chunk;   // a multiple of 32
    int32_t parts;
    Joined joined[2];
    uint32_t more; // number of products in joined
    uint32_t chained;
};

// joined_to returns product i of those that are joined to the first. It does not index the argument, because then a
// compiler might copy it.
DEVICE Joined joined_to(const MatmulArgs& a, int i) { return i == 0 ? a.joined[0] : a.joined[1]; }

// product_of_block returns the product that a block computes, or the first of a sum.
DEVICE Joined product_of_block(const MatmulArgs& a) {
    return blockIdx.z == 0 ? Joined{a.a, a.b, a.out.dst, a.out.bias} : joined_to(a, blockIdx.z - 1);
}

DEVICE bool aligned16(const void* p) { return (reinterpret_cast<uint64_t>(p) & 15) == 0; }

// add_to adds the first `some` of n elements at p to x. If wide is set it adds all of them and reads 16 bytes at a
// time.
template <typename T, int n> DEVICE void add_to(float (&x)[n], const T* p, int some, bool wide) {
    if constexpr (n % Vec<T>::n == 0) {
        if (wide) {
            UNROLL
            for (int i = 0; i < n; i += Vec<T>::n) {
                const Vec<T> v = load_vec(p + i);
                UNROLL
                for (int j = 0; j < Vec<T>::n; j++) x[i + j] += element(v, j);
            }
            return;
        }
    }
    UNROLL
    for (int i = 0; i < n; i++) {
        if (i < some) x[i] += to_float(p[i]);
    }
}

// store_some rounds and writes the first `some` of n elements to p. If wide is set it writes all of them, 16 bytes at a
// time.
template <typename T, int n> DEVICE void store_some(T* p, const float (&x)[n], int some, bool wide) {
    if constexpr (n % Vec<T>::n == 0) {
        if (wide) {
            UNROLL
            for (int i = 0; i < n; i += Vec<T>::n) {
                Vec<T> v;
                set_elements(v, x + i);
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

// round_all gives values the precision of T.
template <typename T, int n> DEVICE void round_all(float (&x)[n]) {
    if constexpr (n == 8) {
        round8<T>(x);
    } else {
        UNROLL
        for (int i = 0; i < n; i++) x[i] = to_float(from_float<T>(x[i]));
    }
}

// activate_all and slope_all select the activation once for n values. An indirect branch for each value would take more
// time than the activation.
template <int act, int n> DEVICE void activate_as(float (&x)[n]) {
    UNROLL
    for (int i = 0; i < n; i++) x[i] = activate(act, x[i]);
}
template <int n> DEVICE void activate_all(int act, float (&x)[n]) {
    switch (act) {
    case kGELU: activate_as<kGELU>(x); break;
    case kGELUTanh: activate_as<kGELUTanh>(x); break;
    case kReLU: activate_as<kReLU>(x); break;
    case kTanh: activate_as<kTanh>(x); break;
    case kSiLU: activate_as<kSiLU>(x); break;
    default: break;
    }
}
template <int act, int n> DEVICE void slope_as(float (&x)[n], const float (&z)[n]) {
    UNROLL
    for (int i = 0; i < n; i++) x[i] *= activation_slope(act, z[i]);
}
template <int n> DEVICE void slope_all(int act, float (&x)[n], const float (&z)[n]) {
    switch (act) {
    case kGELU: slope_as<kGELU>(x, z); break;
    case kGELUTanh: slope_as<kGELUTanh>(x, z); break;
    case kReLU: slope_as<kReLU>(x, z); break;
    case kTanh: slope_as<kTanh>(x, z); break;
    case kSiLU: slope_as<kSiLU>(x, z); break;
    default: break;
    }
}

// Epilogue writes sums to an Output of rows of `cols` columns.
template <typename T> struct Epilogue {
    Output o;
    int cols;
    bool wide; // 16-byte accesses

    DEVICE Epilogue(const Output& output, int n) : o(output), cols(n) {
        o.dst = in_global(o.dst);
        o.pre = in_global(o.pre);
        o.bias = in_global(o.bias);
        wide = n % Vec<T>::n == 0 && aligned16(o.dst) && aligned16(o.pre) && aligned16(o.bias);
    }

    // put writes the sums of n columns from col on. n is 1, or Vec<T>::n with col a multiple of it. Columns beyond the
    // last are ignored.
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
            round_all<T>(x);
            slope_all(o.act, x, z);
        } else {
            if (o.pre) store_some(static_cast<T*>(o.pre) + at, x, some, wide);
            if (o.act != kIdentity) {
                round_all<T>(x); // like pre
                activate_all(o.act, x);
            }
        }
        if (o.full) store_some(static_cast<float*>(o.dst) + at, x, some, wide);
        else store_some(static_cast<T*>(o.dst) + at, x, some, wide);
    }
};

// output_of returns the destination of this block's sums: the result, or the block's part of the partial sums.
DEVICE Output output_of(const MatmulArgs& a, int m, int n) {
    if (a.partial == nullptr) {
        const Joined own = product_of_block(a);
        Output o = a.out;
        o.dst = own.dst;
        o.bias = own.bias;
        return o;
    }
    Output o = {};
    o.dst = a.partial + int64_t(blockIdx.y) * m * n;
    o.alpha = 1.0f;
    o.full = 1;
    return o;
}

// tile_at sets row and col to the tile of a block in a grid of rows x cols tiles. It returns false if there is no such
// tile. Tiles are numbered in bands of 8 rows, column by column within a band, so that blocks that run at the same time
// share rows of a and columns of b in L2.
DEVICE bool tile_at(int id, int rows, int cols, int& row, int& col) {
    constexpr int band = 8;
    const int first = id / (band * cols) * band, within = id % (band * cols);
    if (first >= rows) return false;
    const int height = min(band, rows - first);
    row = first + within % height;
    col = within / height;
    return col < cols;
}
