// Scores of parameters, and what follows from them. See compute.Methods.
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
//   mean, dev, p, g [n] f32   state [3] f32: norm, factor, halted; where halted is not 0 nothing changes
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

// sum_products: dst[i] += alpha sum over j of x[i,j] y[i,j], or of x[j,i] y[j,i]: the strides say which.
//
//   dst [outputs], x, y [outputs,terms] or [terms,outputs] f32
//
// Launched by internal/gpu/importance.go.
// Launch   grid outputs, block 256: a block has a sum; 32 bytes of shared memory.
// Limits   outputs times terms < 2^31.
// Numerics f32: every 256th term in a thread, then threads in fixed order.
// Work     2 outputs terms reads; sums of columns read 4 of every 32 bytes that they load.
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

// zero_smallest: x[i] = 0 where fewer than k scores are below scores[i].
//
//   x [n] f32 or bf16   scores [n] f32   k [1] i32
//
// Launched by internal/gpu/importance.go.
// Launch   grid ceil(n/256), block 256: a thread has an element; 1 KB of shared memory.
// Limits   n < 2^31; meant for some ten thousand.
// Numerics comparisons only.
// Work     n^2 comparisons, 256 of them for each score that a block reads.
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
