// This file provides the CUDA names that common.cuh and mma.cuh use, for a
// C++17 compiler on the CPU. block.h implements them.
//
// Arithmetic is that of the C library in IEEE float32. The fast forms such as
// __expf are the exact functions, and no expression becomes an fmaf unless the
// source calls it. With LOR2C_HOST_CARD arithmetic is that of numerics.h.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include <type_traits>

#include "block.h"
#ifdef LOR2C_HOST_CARD
#include "numerics.h"
#endif

#define KERNEL(kernel, Args, threads) LOR2C_HOST_KERNEL(kernel, Args, threads, false)
#define KERNEL_RESIDENT(kernel, Args, threads, blocks) KERNEL(kernel, Args, threads)
#define KERNEL_HOPPER(kernel, Args, threads) LOR2C_HOST_KERNEL(kernel, Args, threads, true)
#define LOR2C_HOST_KERNEL(kernel, Args, threads, hopper)                                                             \
    static void kernel##_thread(const Args& a);                                                                      \
    static_assert(::std::is_trivially_copyable<Args>::value && sizeof(Args) % 8 == 0,                                \
                  "the argument of a kernel is copied, in 8-byte words");                                            \
    static const ::host::Kernel kernel##_kernel(                                                                     \
        #kernel, sizeof(Args), threads,                                                                              \
        [](const void* args) { kernel##_thread(*static_cast<const Args*>(args)); }, hopper);                         \
    static void kernel##_thread(const Args& a)
#define SHARED(Type, variable)                              \
    static ::host::SharedSite variable##_site = {#variable, 0, {}}; \
    auto& variable = ::host::shared<Type>(variable##_site)
#define DYNAMIC_SHARED(variable) unsigned char* const variable = ::host::block.dynamic.begin
#ifdef LOR2C_HOST_WATCH
// The line of an access is then that of the kernel too, and not only that of
// the function that makes it.
#define DEVICE inline __attribute__((always_inline))
#else
#define DEVICE inline
#endif
#define UNROLL
#define ROLL

#define threadIdx (::host::self->index)
#define blockIdx (::host::block.index)
#define blockDim (::host::block.dim)
#define gridDim (::host::block.grid)

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};

// ---- arithmetic -------------------------------------------------------------

// These are macros because the C library declares, or will declare, functions
// of these names.
#define __expf(x) expf(x)
#ifdef LOR2C_HOST_CARD
#define expf(x) ::host::card_exp(x)
#define exp2f(x) ::host::card_exp2(x)
#define logf(x) ::host::card_log(x)
#define erff(x) ::host::card_erf(x)
#define tanhf(x) ::host::card_tanh(x)
#endif
#define rsqrtf(x) ::host::rsqrt(x)
#define sinpif(x) ::host::sin_pi(x)
#define cospif(x) ::host::cos_pi(x)

namespace host {
inline float rsqrt(float x) { return float(1.0 / sqrt(double(x))); }
inline float sin_pi(float x) { return float(sin(3.14159265358979323846 * double(x))); }
inline float cos_pi(float x) { return float(cos(3.14159265358979323846 * double(x))); }
template <typename To, typename From> inline To bits(From x) {
    static_assert(sizeof(To) == sizeof(From), "");
    To y;
    memcpy(&y, &x, sizeof y);
    return y;
}
} // namespace host

#ifdef LOR2C_HOST_CARD
inline float __fdividef(float x, float y) { return host::card_divide(x, y); }
#else
inline float __fdividef(float x, float y) { return x / y; }
#endif
inline uint32_t __umulhi(uint32_t x, uint32_t y) { return uint32_t(uint64_t(x) * y >> 32); }
inline uint32_t __float_as_uint(float x) { return host::bits<uint32_t>(x); }
inline int __float_as_int(float x) { return host::bits<int>(x); }
inline float __uint_as_float(uint32_t x) { return host::bits<float>(x); }
inline float __int_as_float(int x) { return host::bits<float>(x); }
inline int __popc(uint32_t x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(uint32_t(x)); }

inline int min(int x, int y) { return y < x ? y : x; }
inline int max(int x, int y) { return x < y ? y : x; }
inline uint32_t min(uint32_t x, uint32_t y) { return y < x ? y : x; }
inline uint32_t max(uint32_t x, uint32_t y) { return x < y ? y : x; }
inline int64_t min(int64_t x, int64_t y) { return y < x ? y : x; }
inline int64_t max(int64_t x, int64_t y) { return x < y ? y : x; }
inline uint64_t min(uint64_t x, uint64_t y) { return y < x ? y : x; }
inline uint64_t max(uint64_t x, uint64_t y) { return x < y ? y : x; }
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }

// ---- barriers and collectives -------------------------------------------------

inline void __syncthreads(LOR2C_HOST_PLACE) { host::barrier(place); }
inline void __syncwarp(uint32_t mask = 0xffffffffu, LOR2C_HOST_PLACE) {
    host::join(host::Op::syncwarp, mask, 0, 0, place);
}

namespace host {
template <typename T> inline T shuffle(Op op, uint32_t mask, T x, uint32_t arg, int width, Place place) {
    static_assert(::std::is_arithmetic<T>::value && (sizeof(T) == 4 || sizeof(T) == 8), "a shuffle moves 4 or 8 bytes");
    using Bits = ::std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    return bits<T>(Bits(join(op, mask, bits<Bits>(x), arg << 8 | uint32_t(width), place)));
}
} // namespace host

template <typename T> inline T __shfl_sync(uint32_t mask, T x, int lane, int width = 32, LOR2C_HOST_PLACE) {
    return host::shuffle(host::Op::shfl, mask, x, uint32_t(lane) % 32, width, place);
}
template <typename T> inline T __shfl_up_sync(uint32_t mask, T x, uint32_t delta, int width = 32, LOR2C_HOST_PLACE) {
    return host::shuffle(host::Op::shfl_up, mask, x, delta, width, place);
}
template <typename T> inline T __shfl_down_sync(uint32_t mask, T x, uint32_t delta, int width = 32, LOR2C_HOST_PLACE) {
    return host::shuffle(host::Op::shfl_down, mask, x, delta, width, place);
}
template <typename T> inline T __shfl_xor_sync(uint32_t mask, T x, int with, int width = 32, LOR2C_HOST_PLACE) {
    return host::shuffle(host::Op::shfl_xor, mask, x, uint32_t(with) % 32, width, place);
}
inline uint32_t __ballot_sync(uint32_t mask, int yes, LOR2C_HOST_PLACE) {
    return uint32_t(host::join(host::Op::ballot, mask, yes != 0, 0, place));
}
inline int __any_sync(uint32_t mask, int yes, LOR2C_HOST_PLACE) { return __ballot_sync(mask, yes, place) != 0; }
inline int __all_sync(uint32_t mask, int yes, LOR2C_HOST_PLACE) { return __ballot_sync(mask, yes, place) == mask; }

// ---- mma.cuh --------------------------------------------------------------------

inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], LOR2C_HOST_PLACE) {
    const host::Fragments f{d, a, b};
    host::join(host::Op::mma, 0xffffffffu, reinterpret_cast<uint64_t>(&f), 0, place);
}

namespace host {
struct Tiles {
    const void* row;
    uint32_t* r;
};
inline void load_tiles(Op op, uint32_t (&r)[4], const void* row, Place place) {
    need_shared("ldmatrix", row, place);
    const Tiles t{row, r};
    join(op, 0xffffffffu, reinterpret_cast<uint64_t>(&t), 0, place);
}
} // namespace host

inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, LOR2C_HOST_PLACE) {
    host::load_tiles(host::Op::ldmatrix, r, row, place);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, LOR2C_HOST_PLACE) {
    host::load_tiles(host::Op::ldmatrix_trans, r, row, place);
}

LOR2C_HOST_UNWATCHED inline void cp_async_16(void* shared, const void* global, bool valid, LOR2C_HOST_PLACE) {
    uint64_t* data = host::copy_begin(shared, global, valid, place);
    const uint64_t* from = static_cast<const uint64_t*>(global);
    for (int i = 0; i < 2; i++) data[i] = valid ? from[i] : 0;
}
inline void cp_async_commit() { host::copy_close(); }
template <int pending> inline void cp_async_wait(LOR2C_HOST_PLACE) { host::copy_wait(pending, place); }

#include "hopper.h"
