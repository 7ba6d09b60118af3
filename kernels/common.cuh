// The parts that every kernel file uses: the KERNEL macro, element types, 16-byte accesses, reductions and the dropout
// mask.
//
// nvcc compiles the sources for the GPU. A C++ compiler compiles the same sources for the CPU, with host/cuda.h, where
// the threads of a block are fibers. So a kernel uses only names that this header, mma.cuh and host/cuda.h define.
//
// Every kernel follows these rules:
//   - A kernel has one argument, a struct by value, declared beside the kernel. Its Go twin in internal/gpu has the
//     same fields in the same order. Pointers come first and the size is a multiple of 8, so that neither has padding.
//   - Values that change between steps of the same shapes (token counts, the optimizer step, learning rates) are read
//     through a pointer. All other values are in the struct. So a captured graph can be replayed.
//   - There are no float atomics. A sum over several blocks has a second stage in fixed order. Gradients of parameters
//     are added to their destination. Gradients of activations overwrite it, or are added if a flag is set.
//   - A grid may be larger than the work, because counts are rounded up to a class. The limits in a header are those of
//     the rounded counts.
#pragma once

#ifdef __CUDACC__
#include <stdint.h>

// KERNEL begins the definition of a kernel whose argument is called a.
#define KERNEL(name, Args, threads) \
    extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args a)
// KERNEL_RESIDENT also limits registers so that the given number of blocks fits on a multiprocessor.
#define KERNEL_RESIDENT(name, Args, threads, blocks) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Args a)
// SHARED declares a variable in the shared memory of a block. Its initial contents are undefined.
#define SHARED(Type, name) __shared__ __align__(16) Type name
// DYNAMIC_SHARED declares the shared memory whose size the launch sets.
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]
#define DEVICE __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#define ROLL _Pragma("unroll 1")
#else
#include "host/cuda.h"
#endif

constexpr uint32_t kAllLanes = 0xffffffffu;

// ---- element types ---------------------------------------------------------

// bf16 is the upper half of a float32.
struct alignas(2) bf16 {
    uint16_t bits;
};

DEVICE float to_float(float x) { return x; }
DEVICE float to_float(bf16 x) { return __uint_as_float(uint32_t(x.bits) << 16); }

template <typename T> DEVICE T from_float(float x);
template <> DEVICE float from_float<float>(float x) { return x; }
// The value is rounded to nearest, ties to even. A NaN remains a NaN.
template <> DEVICE bf16 from_float<bf16>(float x) {
#ifdef __CUDACC__
    uint16_t bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    return bf16{bits};
#else
    const uint32_t u = __float_as_uint(x);
    if ((u & 0x7fffffffu) > 0x7f800000u) return bf16{uint16_t((u >> 16) | 0x40u)};
    return bf16{uint16_t((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
#endif
}

// pack_bf16 rounds two values into one word, lo in the lower half. It is one instruction, and the word is a register of
// an mma operand.
DEVICE uint32_t pack_bf16(float lo, float hi) {
#ifdef __CUDACC__
    uint32_t word;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(hi), "f"(lo));
    return word;
#else
    return uint32_t(from_float<bf16>(lo).bits) | uint32_t(from_float<bf16>(hi).bits) << 16;
#endif
}

// ---- 16-byte accesses ------------------------------------------------------

// Vec is the data of one 16-byte access: 4 floats or 8 bf16.
template <typename T> struct Vec;
template <> struct alignas(16) Vec<float> {
    static constexpr int n = 4;
    float v[n];
};
template <> struct alignas(16) Vec<bf16> {
    static constexpr int n = 8;
    union {
        bf16 v[n];
        uint32_t w[n / 2]; // one instruction converts either half to float
    };
};

DEVICE float element(const Vec<float>& x, int i) { return x.v[i]; }
DEVICE float element(const Vec<bf16>& x, int i) {
    return __uint_as_float(i % 2 ? x.w[i / 2] & 0xffff0000u : x.w[i / 2] << 16);
}

// set_elements rounds values to the type of v and stores them in it.
DEVICE void set_elements(Vec<float>& v, const float* x) {
    UNROLL
    for (int i = 0; i < 4; i++) v.v[i] = x[i];
}
DEVICE void set_elements(Vec<bf16>& v, const float* x) {
    UNROLL
    for (int i = 0; i < 4; i++) v.w[i] = pack_bf16(x[2 * i], x[2 * i + 1]);
}

template <typename T> DEVICE Vec<T> load_vec(const T* p) { return *reinterpret_cast<const Vec<T>*>(p); }
template <typename T> DEVICE void store_vec(T* p, const Vec<T>& x) { *reinterpret_cast<Vec<T>*>(p) = x; }

// in_global returns p and tells the compiler that it points to global memory, where a choice of two pointers hides
// that.
template <typename T> DEVICE T* in_global(T* p) {
#ifdef __CUDACC__
    __builtin_assume(__isGlobal(p));
#endif
    return p;
}

// copy16 copies 16 bytes between aligned addresses. If the data were a Vec, the compiler could store it in pieces.
DEVICE void copy16(void* dst, const void* src) { *static_cast<uint4*>(dst) = *static_cast<const uint4*>(src); }

// load8 reads 8 consecutive elements as float. p must be aligned to 16 bytes.
template <typename T> DEVICE void load8(float (&x)[8], const T* p) {
    UNROLL
    for (int i = 0; i < 8; i += Vec<T>::n) {
        const Vec<T> v = load_vec(p + i);
        UNROLL
        for (int j = 0; j < Vec<T>::n; j++) x[i + j] = element(v, j);
    }
}

// store8 rounds and writes 8 consecutive elements. p must be aligned to 16 bytes.
template <typename T> DEVICE void store8(T* p, const float (&x)[8]) {
    UNROLL
    for (int i = 0; i < 8; i += Vec<T>::n) {
        Vec<T> v;
        set_elements(v, x + i);
        store_vec(p + i, v);
    }
}

// load8_lanes and store8_lanes are load8 and store8 for shared memory in which neighbouring lanes have neighbouring
// groups of 8 floats. Eight lanes are served at a time. If all of them accessed their first halves they would use only
// half of the banks, so lanes 4 to 7 of eight begin with their second half.
DEVICE void load8_lanes(float (&x)[8], const float* p) {
    const bool swap = threadIdx.x / 4 % 2;
    const Vec<float> first = load_vec(p + (swap ? 4 : 0)), second = load_vec(p + (swap ? 0 : 4));
    UNROLL
    for (int i = 0; i < 4; i++) {
        x[i] = swap ? second.v[i] : first.v[i];
        x[4 + i] = swap ? first.v[i] : second.v[i];
    }
}
DEVICE void store8_lanes(float* p, const float (&x)[8]) {
    const bool swap = threadIdx.x / 4 % 2;
    Vec<float> first, second;
    UNROLL
    for (int i = 0; i < 4; i++) {
        first.v[i] = swap ? x[4 + i] : x[i];
        second.v[i] = swap ? x[i] : x[4 + i];
    }
    store_vec(p + (swap ? 4 : 0), first);
    store_vec(p + (swap ? 0 : 4), second);
}

// round8 rounds 8 values to the precision of T.
template <typename T> DEVICE void round8(float (&x)[8]) {
    UNROLL
    for (int i = 0; i < 8; i += Vec<T>::n) {
        Vec<T> v;
        set_elements(v, x + i);
        UNROLL
        for (int j = 0; j < Vec<T>::n; j++) x[i + j] = element(v, j);
    }
}

// load_cols reads the columns [c, c + 8) of a row of cols elements. Columns beyond the end are zeros. If aligned is
// set, 8 must divide cols and rows must begin at multiples of 16 bytes. If it is a constant, only one of the two ways
// is compiled.
template <typename T> DEVICE void load_cols(float (&x)[8], const T* row, int c, int cols, bool aligned) {
    if (!aligned) {
        UNROLL
        for (int i = 0; i < 8; i++) x[i] = c + i < cols ? to_float(row[c + i]) : 0.0f;
        return;
    }
    UNROLL
    for (int i = 0; i < 8; i += Vec<T>::n) {
        // The conversion is outside of the condition, so that the loads of several rows can be in flight together.
        Vec<T> v = {};
        if (c < cols) v = load_vec(row + c + i);
        UNROLL
        for (int j = 0; j < Vec<T>::n; j++) x[i + j] = element(v, j);
    }
}

// store_cols writes the columns [c, c + 8) of a row, except those beyond its end.
template <typename T> DEVICE void store_cols(T* row, const float (&x)[8], int c, int cols, bool aligned) {
    if (aligned) {
        if (c < cols) store8(row + c, x);
        return;
    }
    UNROLL
    for (int i = 0; i < 8; i++) {
        if (c + i < cols) row[c + i] = from_float<T>(x[i]);
    }
}

// ---- reductions in a fixed order --------------------------------------------

DEVICE float warp_sum(float x) {
    UNROLL
    for (int d = 16; d > 0; d >>= 1) x += __shfl_xor_sync(kAllLanes, x, d);
    return x;
}

DEVICE float warp_max(float x) {
    UNROLL
    for (int d = 16; d > 0; d >>= 1) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, d));
    return x;
}

// block_sum returns the sum over a block of whole warps in every thread. scratch has one float per warp. The caller may
// use it again after the call.
DEVICE float block_sum(float x, float* scratch) {
    const int warps = blockDim.x / 32;
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
    __syncthreads();
    float sum = 0.0f;
    for (int w = 0; w < warps; w++) sum += scratch[w];
    __syncthreads();
    return sum;
}

// ---- random numbers ---------------------------------------------------------

// Dropout identifies a mask; see compute.Dropout. at points to the optimizer step and the first row, which change
// between replays of a graph.
struct Dropout {
    const uint32_t* at;
    uint32_t threshold; // number of the 65,536 lots that drop an element; 0 drops nothing
    float scale;        // factor of kept elements
    uint32_t key0, key1, site;
    uint32_t unused;
};

struct Words {
    uint32_t w[4];
};

// philox is Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3).
DEVICE Words philox(uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3) {
    UNROLL
    for (int round = 0; round < 10; round++) {
        const uint32_t h0 = __umulhi(c0, 0xD2511F53u), l0 = c0 * 0xD2511F53u;
        const uint32_t h1 = __umulhi(c2, 0xCD9E8D57u), l1 = c2 * 0xCD9E8D57u;
        c0 = h1 ^ c1 ^ k0;
        c1 = l1;
        c2 = h0 ^ c3 ^ k1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return Words{{c0, c1, c2, c3}};
}

// mask8 multiplies x, the columns [8 block, 8 block + 8) of a row, by 0 or the scale. Rows are counted from the first
// row of the tensor.
DEVICE void mask8(float (&x)[8], const Dropout& d, uint32_t row, uint32_t block) {
    const Words r = philox(d.key0, d.key1, block, d.at[1] + row, d.site, d.at[0]);
    UNROLL
    for (int i = 0; i < 8; i++) {
        const uint32_t lot = (r.w[i / 2] >> (16 * (i % 2))) & 0xffffu;
        x[i] = lot < d.threshold ? 0.0f : x[i] * d.scale;
    }
}

// mask1 returns the multiplier of a single element.
DEVICE float mask1(const Dropout& d, uint32_t row, uint32_t col) {
    const Words r = philox(d.key0, d.key1, col / 8, d.at[1] + row, d.site, d.at[0]);
    const uint32_t lot = (r.w[col % 8 / 2] >> (16 * (col % 2))) & 0xffffu;
    return lot < d.threshold ? 0.0f : d.scale;
}
