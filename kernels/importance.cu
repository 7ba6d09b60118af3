// Importance scores of parameters, and the operations that use them. See compute.Methods.
#include "common.cuh"

struct ImportanceArgs {
    void* mean;
    void* dev;
    const void* p;
    const void* g;
    const float* state;
    const int32_t* n;
    float beta1, beta2;
};

// importance: moving averages of the sensitivity of a parameter and of its deviation.
//
//   s = |p[i] g[i] state[1]|,  mean[i] = beta1 mean[i] + (1-beta1) s,  dev[i] = beta2 dev[i] + (1-beta2) |s - mean[i]|
//
//   mean, dev, p, g [n] f32   state [3] f32: norm, factor, halted. If halted is not 0, nothing changes.
//
// Launched by internal/gpu/importance.go.
// Launch   grid ceil(n/256), block 256, no shared memory.
// Limits   n < 2^31.
// Numerics f32.
// Work     4n reads, 2n writes; memory bound.
// Source   Zhang et al. 2022, arXiv:2206.12562 (PLATON), whose averages AdaLoRA uses.
DEVICE void importance(const ImportanceArgs& a) {
    const int i = blockIdx.x * 256 + threadIdx.x;
    if (i >= *a.n || a.state[2] != 0.0f) return;
    float* mean = static_cast<float*>(a.mean) + i;
    float* dev = static_cast<float*>(a.dev) + i;
    const float s = fabsf(static_cast<const float*>(a.p)[i] * (static_cast<const float*>(a.g)[i] * a.state[1]));
    *mean = a.beta1 * *mean + (1.0f - a.beta1) * s;
    *dev = a.beta2 * *dev + (1.0f - a.beta2) * fabsf(s - *mean);
}
KERNEL(importance_f32, ImportanceArgs, 256) { importance(a); }

struct SumProductsArgs {
    void* dst;
    const void* x;
    const void* y;
    int32_t outputs, terms, output_stride, term_stride;
    float alpha;
    uint32_t unused;
};

// sum_products: dst[i] += alpha sum over j of x[i,j] y[i,j], or of x[j,i] y[j,i], depending on the strides.
//
//   dst [outputs], x, y [outputs,terms] or [terms,outputs] f32
//
// Launched by internal/gpu/importance.go.
// Launch   grid outputs, block 256: one block per sum; 32 bytes of shared memory.
// Limits   outputs times terms < 2^31.
// Numerics f32: a thread adds every 256th term, then the threads are added in fixed order.
// Work     2 outputs terms reads. Sums of columns use 4 of every 32 bytes that they load.
DEVICE void sum_products(const SumProductsArgs& a) {
    typedef float Partial[8];
    SHARED(Partial, scratch);
    const float* x = static_cast<const float*>(a.x) + int64_t(blockIdx.x) * a.output_stride;
    const float* y = static_cast<const float*>(a.y) + int64_t(blockIdx.x) * a.output_stride;
    float sum = 0.0f;
    for (int j = threadIdx.x; j < a.terms; j += 256) {
        sum = fmaf(x[int64_t(j) * a.term_stride], y[int64_t(j) * a.term_stride], sum);
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) static_cast<float*>(a.dst)[blockIdx.x] += a.alpha * sum;
}
KERNEL(sum_products_f32, SumProductsArgs, 256) { sum_products(a); }

struct ZeroSmallestArgs {
    void* x;
    const void* scores;
    const int32_t* k;
    int32_t n;
    uint32_t unused;
};

// zero_smallest: x[i] = 0 if fewer than k scores are below scores[i].
//
//   x [n] f32 or bf16   scores [n] f32   k [1] i32
//
// Launched by internal/gpu/importance.go.
// Launch   grid ceil(n/256), block 256: one element per thread; 1 KB of shared memory.
// Limits   n < 2^31. It is meant for up to some ten thousand scores.
// Numerics comparisons only.
// Work     n^2 comparisons. A block compares each score that it reads with 256 others.
template <typename T> DEVICE void zero_smallest(const ZeroSmallestArgs& a) {
    typedef float Tile[256];
    SHARED(Tile, tile);
    const float* scores = static_cast<const float*>(a.scores);
    const int i = blockIdx.x * 256 + threadIdx.x, k = *a.k;
    const float own = i < a.n ? scores[i] : 0.0f;
    int below = 0;
    for (int first = 0; first < a.n; first += 256) {
        const int at = first + int(threadIdx.x);
        tile[threadIdx.x] = at < a.n ? scores[at] : 0.0f;
        __syncthreads();
        for (int j = 0; j < min(256, a.n - first); j++) below += tile[j] < own;
        __syncthreads();
    }
    if (i < a.n && below < k) static_cast<T*>(a.x)[i] = from_float<T>(0.0f);
}
KERNEL(zero_smallest_f32, ZeroSmallestArgs, 256) { zero_smallest<float>(a); }
KERNEL(zero_smallest_bf16, ZeroSmallestArgs, 256) { zero_smallest<bf16>(a); }
