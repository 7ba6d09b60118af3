// Pointwise maps and sums over rows. See compute.Elementwise.
#include "activation.cuh"
#include "columns.cuh"
#include "map.cuh"
#include "nf4.cuh"

struct FillArgs {
    void* dst;
    const int32_t* n;
    float value;
    uint32_t aligned;
};

// fill: dst[i] = value.
//
//   dst [n] f32 or bf16
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if dst is aligned.
// Numerics value is rounded to the element type.
// Work     n writes; memory bound.
template <typename T> DEVICE void fill(const FillArgs& a) {
    const float value = a.value;
    map(static_cast<T*>(a.dst), *a.n, a.aligned, [=] { return value; });
}
KERNEL(fill_f32, FillArgs, 256) { fill<float>(a); }
KERNEL(fill_bf16, FillArgs, 256) { fill<bf16>(a); }

// The addresses of a copy are in slots too, because each step writes the values that it reports to another row of the
// same table.
struct CopyArgs {
    void* const* dst;
    const void* const* x;
    const int32_t* n;
    uint32_t aligned, unused;
};

// copy: dst[i] = x[i]. The f32 kernel copies integers too.
//
//   dst, x [n] f32 or bf16
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if both are aligned.
// Numerics bits are kept.
// Work     n reads, n writes; memory bound.
template <typename T> DEVICE void copy(const CopyArgs& a) {
    const int n = *a.n;
    const T* x = static_cast<const T*>(*a.x);
    T* dst = static_cast<T*>(*a.dst);
    UNROLL
    for (int k = 0; k < kTile / 256 / Vec<T>::n; k++) {
        const int i = blockIdx.x * kTile + (k * 256 + threadIdx.x) * Vec<T>::n;
        if (a.aligned && i + Vec<T>::n <= n) {
            store_vec(dst + i, load_vec(x + i));
        } else {
            UNROLL
            for (int j = 0; j < Vec<T>::n; j++) {
                if (i + j < n) dst[i + j] = x[i + j];
            }
        }
    }
}
KERNEL(copy_f32, CopyArgs, 256) { copy<float>(a); }
KERNEL(copy_bf16, CopyArgs, 256) { copy<bf16>(a); }

// copy_widen, copy_narrow: dst[i] = x[i] of the other type.
//
//   dst f32, x bf16 [n]; or dst bf16, x f32
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if both are aligned.
// Numerics narrowing rounds to nearest, ties to even; widening is exact.
// Work     n reads, n writes; memory bound.
template <typename To, typename From> DEVICE void copy_convert(const CopyArgs& a) {
    const int n = *a.n, i = blockIdx.x * kTile + threadIdx.x * 8;
    const bool whole = a.aligned && i + 8 <= n;
    float x[8];
    load_cols(x, static_cast<const From*>(*a.x), i, n, whole);
    store_cols(static_cast<To*>(*a.dst), x, i, n, whole);
}
KERNEL(copy_widen_bf16, CopyArgs, 256) { copy_convert<float, bf16>(a); }
KERNEL(copy_narrow_bf16, CopyArgs, 256) { copy_convert<bf16, float>(a); }

struct DequantizeArgs {
    void* dst;
    const uint32_t* codes;
    const float* scales;
    int32_t n;
    uint32_t aligned;
};

// dequantize_nf4: dst[i] = level(code[i]) scale[i/64].
//
//   dst [n] f32 or bf16   scales [ceil(n/64)] f32
//   codes [ceil(n/8)] u32: two elements per byte, the first in its high bits
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(n/2048), block 256: a thread has 8 elements, one word of codes; 64 bytes of shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if dst is aligned.
// Numerics f32, rounded once.
// Work     9/16 n bytes of reads, n writes; memory bound.
// Source   Dettmers et al. 2023, arXiv:2305.14314, with the levels of bitsandbytes.
template <typename T> DEVICE void dequantize_nf4(const DequantizeArgs& a) {
    typedef float Levels[16];
    SHARED(Levels, levels);
    if (threadIdx.x < 16) levels[threadIdx.x] = nf4_level(threadIdx.x);
    __syncthreads();
    const int i = blockIdx.x * kTile + threadIdx.x * 8;
    if (i >= a.n) return;
    const uint32_t codes = a.codes[i / 8];
    const float scale = a.scales[i / 64];
    float x[8];
    UNROLL
    for (int j = 0; j < 8; j++) x[j] = levels[codes >> (8 * (j / 2) + 4 * (1 - j % 2)) & 15u] * scale;
    store_cols(static_cast<T*>(a.dst), x, i, a.n, a.aligned && i + 8 <= a.n);
}
KERNEL(dequantize_nf4_f32, DequantizeArgs, 256) { dequantize_nf4<float>(a); }
KERNEL(dequantize_nf4_bf16, DequantizeArgs, 256) { dequantize_nf4<bf16>(a); }

struct AxpyArgs {
    void* dst;
    const void* x;
    const int32_t* n;
    float alpha;
    uint32_t aligned;
};

// axpy: dst[i] += alpha x[i].
//
//   dst, x [n] f32 or bf16
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if both are aligned.
// Numerics one fused multiply-add in f32, rounded to the element type.
// Work     2n reads, n writes; memory bound.
template <typename T> DEVICE void axpy(const AxpyArgs& a) {
    T* dst = static_cast<T*>(a.dst);
    const float alpha = a.alpha;
    const auto f = [=](float y, float x) { return fmaf(alpha, x, y); };
    map(dst, *a.n, a.aligned, f, static_cast<const T*>(dst), static_cast<const T*>(a.x));
}
KERNEL(axpy_f32, AxpyArgs, 256) { axpy<float>(a); }
KERNEL(axpy_bf16, AxpyArgs, 256) { axpy<bf16>(a); }

struct ActArgs {
    void* dst;
    const void* pre;
    const void* dy;
    const int32_t* n;
    int32_t act;
    uint32_t aligned;
};

// act_forward: dst[i] = act(pre[i]).
//
//   dst, pre [n] f32 or bf16; dst may be pre
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if both are aligned.
// Numerics f32, rounded once.
// Work     n reads, n writes; memory bound, with about 30 operations per element for GELU.
// Source   Hendrycks and Gimpel 2016, arXiv:1606.08415.
template <typename T, int act> DEVICE void act_forward_as(const ActArgs& a) {
    const auto f = [](float x) { return activate(act, x); };
    map(static_cast<T*>(a.dst), *a.n, a.aligned, f, static_cast<const T*>(a.pre));
}
template <typename T> DEVICE void act_forward(const ActArgs& a) {
    switch (a.act) {
    case kGELU: return act_forward_as<T, kGELU>(a);
    case kGELUTanh: return act_forward_as<T, kGELUTanh>(a);
    case kReLU: return act_forward_as<T, kReLU>(a);
    case kTanh: return act_forward_as<T, kTanh>(a);
    case kSiLU: return act_forward_as<T, kSiLU>(a);
    default: return act_forward_as<T, kIdentity>(a);
    }
}
KERNEL(act_forward_f32, ActArgs, 256) { act_forward<float>(a); }
KERNEL(act_forward_bf16, ActArgs, 256) { act_forward<bf16>(a); }

// act_backward: dx[i] = dy[i] act'(pre[i]).
//
//   dx, pre, dy [n] f32 or bf16; dx may be dy
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if all are aligned.
// Numerics f32, rounded once.
// Work     2n reads, n writes; memory bound, with about 40 operations per element for GELU.
template <typename T, int act> DEVICE void act_backward_as(const ActArgs& a) {
    const auto f = [](float x, float dy) { return dy * activation_slope(act, x); };
    map(static_cast<T*>(a.dst), *a.n, a.aligned, f, static_cast<const T*>(a.pre), static_cast<const T*>(a.dy));
}
template <typename T> DEVICE void act_backward(const ActArgs& a) {
    switch (a.act) {
    case kGELU: return act_backward_as<T, kGELU>(a);
    case kGELUTanh: return act_backward_as<T, kGELUTanh>(a);
    case kReLU: return act_backward_as<T, kReLU>(a);
    case kTanh: return act_backward_as<T, kTanh>(a);
    case kSiLU: return act_backward_as<T, kSiLU>(a);
    default: return act_backward_as<T, kIdentity>(a);
    }
}
KERNEL(act_backward_f32, ActArgs, 256) { act_backward<float>(a); }
KERNEL(act_backward_bf16, ActArgs, 256) { act_backward<bf16>(a); }

struct DropoutArgs {
    void* dst;
    const void* x;
    const int32_t* n;
    Dropout drop;
    int32_t cols;
    uint32_t aligned;
};

// dropout: dst[n,c] = x[n,c] times the mask's element, 0 or 1/(1-p).
//
//   dst, x [N,C] f32 or bf16; dst may be x
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid ceil(N ceil(C/8)/256), block 256, no shared memory.
// Limits   N ceil(C/8) < 2^31; 16-byte accesses if rows are aligned.
// Numerics f32, rounded once.
// Work     N C reads and writes, one Philox call per 8 elements; memory bound.
// Source   compute.Dropout; Salmon et al. 2011.
template <typename T> DEVICE void dropout(const DropoutArgs& a) {
    const int blocks = (a.cols + 7) / 8, i = blockIdx.x * 256 + threadIdx.x;
    const int row = i / blocks, c = i % blocks * 8;
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    float x[8];
    load_cols(x, static_cast<const T*>(a.x) + at, c, a.cols, a.aligned);
    mask8(x, a.drop, row, c / 8);
    store_cols(static_cast<T*>(a.dst) + at, x, c, a.cols, a.aligned);
}
KERNEL(dropout_f32, DropoutArgs, 256) { dropout<float>(a); }
KERNEL(dropout_bf16, DropoutArgs, 256) { dropout<bf16>(a); }

struct SumRowsArgs {
    void* partial;
    const void* x;
    const int32_t* n;
    int32_t cols, chunk;
    uint32_t aligned, unused;
};

// sum_rows: sums over the rows of each chunk, the first stage of dst[c] += sum over n of x[n,c]. sum_rows_finish is the
// second stage.
//
//   partial [ceil(N/chunk), C] f32   x [N,C] f32 or bf16
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid (ceil(C/256), ceil(N/chunk)), block 256, 8 KB of shared memory.
// Limits   any N, C >= 1; 16-byte accesses if rows are aligned.
// Numerics f32: a warp adds every eighth row of its chunk, then the 8 warps in order.
// Work     N C reads; memory bound.
template <typename T, bool aligned> DEVICE void sum_rows(ColumnSums& sums, const SumRowsArgs& a) {
    const T* x = static_cast<const T*>(a.x);
    column_sums<1>(sums, a.partial, *a.n, a.cols, a.chunk, [&](float (&sum)[1][8], int row, int c) {
        float v[8];
        load_cols(v, x + int64_t(row) * a.cols, c, a.cols, aligned);
        UNROLL
        for (int i = 0; i < 8; i++) sum[0][i] += v[i];
    });
}
COLUMN_KERNELS(sum_rows, SumRowsArgs)

struct SumRowsFinishArgs {
    void* first;
    void* second;
    const void* partial;
    const int32_t* n;
    int32_t cols, chunk, chunks;
    uint32_t unused;
};

// sum_rows_finish: dst[c] += sum over chunks of partial[.,c], for one or two destinations. Either may be absent.
//
//   first, second [C] f32   partial [2,chunks,C] f32, whose chunks beyond N are not read
//
// Launched by internal/gpu/elementwise.go.
// Launch   grid (ceil(C/32), destinations), block 256, 1 KB of shared memory.
// Limits   any N, C >= 1.
// Numerics f32: each of 8 warps adds every eighth chunk, then the 8 in order.
// Work     C ceil(N/chunk) reads; memory bound.
KERNEL(sum_rows_finish, SumRowsFinishArgs, 256) {
    typedef float Sums[8][32];
    SHARED(Sums, sums);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, c = blockIdx.x * 32 + lane;
    float* dst = static_cast<float*>(blockIdx.y == 0 ? a.first : a.second);
    if (dst == nullptr) return;
    const float* partial = static_cast<const float*>(a.partial) + int64_t(blockIdx.y) * a.chunks * a.cols;
    const int written = (*a.n + a.chunk - 1) / a.chunk;
    float sum = 0.0f;
    for (int k = warp; k < written; k += 8) {
        if (c < a.cols) sum += partial[int64_t(k) * a.cols + c];
    }
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp != 0 || c >= a.cols) return;
    sum = 0.0f;
    for (int k = 0; k < 8; k++) sum += sums[k][lane];
    dst[c] += sum;
}
