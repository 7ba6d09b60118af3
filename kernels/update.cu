// The optimizer over one flat buffer, and sums over it. See compute.Update.
#include "common.cuh"

// A block adds 4,096 elements of a sum, and a thread 16 of them.
constexpr int kSumBlock = 4096;

struct SumArgs {
    void* partial;
    const void* x;
    const int32_t* n;
    uint32_t aligned, unused;
};

// Wide has one double per thread.
typedef double Wide[256];

// block_sum_wide adds x over the 256 threads of a block in float64, in a tree. It returns the sum in thread 0 and zero
// in the others, because thread 0 may still write s[0] when the others return.
DEVICE double block_sum_wide(double x, Wide& s) {
    s[threadIdx.x] = x;
    for (int d = 128; d > 0; d /= 2) {
        __syncthreads();
        if (int(threadIdx.x) < d) s[threadIdx.x] += s[threadIdx.x + d];
    }
    return threadIdx.x == 0 ? s[0] : 0.0;
}

// Square and Magnitude are the terms of the two sums.
struct Square {
    static DEVICE double of(float x) { return double(x) * double(x); }
};
struct Magnitude {
    static DEVICE double of(float x) { return double(fabsf(x)); }
};

// sum_squares, sum_abs: the first stage of a sum over a buffer.
//
//   partial[b] = sum over the i of block b of x[i]^2, or |x[i]|
//
//   x [n] f32   partial [ceil(n/4096)] f64
//
// Launched by internal/gpu/update.go.
// Launch   grid ceil(n/4096), block 256, 2 KB of shared memory.
// Limits   n < 2^31 - 4096; 16-byte loads if x begins at a multiple of 16 bytes.
// Numerics f64, in which squares of f32 neither overflow nor become 0. A thread adds 16 terms, then a tree adds the
//          threads.
// Work     n reads; memory bound, or bound by arithmetic on cards whose f64 rate is 1/64 of the f32 rate.
template <typename Term> DEVICE void sum_terms(const SumArgs& a) {
    SHARED(Wide, s);
    const int n = *a.n;
    const float* x = static_cast<const float*>(a.x);
    double sum = 0.0;
    UNROLL
    for (int k = 0; k < kSumBlock; k += 1024) {
        const int i = blockIdx.x * kSumBlock + k + threadIdx.x * 4;
        if (a.aligned && i + 4 <= n) {
            const Vec<float> v = load_vec(x + i);
            UNROLL
            for (int j = 0; j < 4; j++) sum += Term::of(v.v[j]);
        } else {
            UNROLL
            for (int j = 0; j < 4; j++) {
                if (i + j < n) sum += Term::of(x[i + j]);
            }
        }
    }
    sum = block_sum_wide(sum, s);
    if (threadIdx.x == 0) static_cast<double*>(a.partial)[blockIdx.x] = sum;
}
KERNEL(sum_squares_f32, SumArgs, 256) { sum_terms<Square>(a); }
KERNEL(sum_abs_f32, SumArgs, 256) { sum_terms<Magnitude>(a); }

struct SumAbsTotalArgs {
    void* dst;
    const void* partial;
    int32_t parts;
    uint32_t unused;
};

// total adds the parts of a sum. A thread adds every 256th part, then a tree adds the threads.
DEVICE double total(const void* partial, int parts, Wide& s) {
    double sum = 0.0;
    for (int i = threadIdx.x; i < parts; i += 256) sum += static_cast<const double*>(partial)[i];
    return block_sum_wide(sum, s);
}

// sum_abs_total: dst += sum over b of partial[b], the second stage of sum_abs.
//
//   dst [1] f32   partial [parts] f64
//
// Launched by internal/gpu/update.go.
// Launch   grid 1, block 256, 2 KB of shared memory.
// Limits   parts < 2^31.
// Numerics f64 in fixed order; rounded once.
// Work     parts reads; latency bound.
KERNEL(sum_abs_total_f32, SumAbsTotalArgs, 256) {
    SHARED(Wide, s);
    const double sum = total(a.partial, a.parts, s);
    if (threadIdx.x == 0) *static_cast<float*>(a.dst) += float(sum);
}

struct GradNormArgs {
    void* state;
    const void* partial;
    const void* loss;
    int32_t parts;
    float max_norm;
};

// finite reports whether x is finite. x - x is 0 only then.
DEVICE bool finite(float x) { return x - x == 0.0f; }

// grad_norm: norm, clip factor and halt flag, the second stage of sum_squares.
//
//   state[0] = norm = sqrt(sum over b of partial[b])
//   state[1] = max_norm / norm if 0 < max_norm < norm, else 1
//   state[2] = 1 if norm or loss is not finite, else unchanged
//
//   state [3] f32   partial [parts] f64   loss [1] f32
//
// Launched by internal/gpu/update.go.
// Launch   grid 1, block 256, 2 KB of shared memory.
// Limits   parts < 2^31.
// Numerics f64 in fixed order; norm rounded once.
// Work     parts reads; latency bound.
KERNEL(grad_norm_f32, GradNormArgs, 256) {
    SHARED(Wide, s);
    const double sum = total(a.partial, a.parts, s);
    if (threadIdx.x != 0) return;
    float* state = static_cast<float*>(a.state);
    const float norm = float(sqrt(sum));
    state[0] = norm;
    state[1] = a.max_norm > 0.0f && norm > a.max_norm ? a.max_norm / norm : 1.0f;
    if (!finite(norm) || !finite(*static_cast<const float*>(a.loss))) state[2] = 1.0f;
}

struct AdamWArgs {
    void* p;
    void* w;
    void* m;
    void* v;
    const void* g;
    const float* state;
    // These change from step to step: 1 - lr decay, lr / (1 - beta1^t) and 1 / sqrt(1 - beta2^t).
    const float* keep;
    const float* rate;
    const float* root;
    int32_t n;
    float beta1, beta2, rest1, rest2, eps;
    uint32_t aligned, unused;
};

// adamw_element updates one element.
DEVICE void adamw_element(const AdamWArgs& a, float factor, float keep, float rate, float root, float& p, float& m,
                          float& v, float g) {
    g *= factor;
    m = a.beta1 * m + a.rest1 * g;
    v = a.beta2 * v + a.rest2 * g * g;
    p = p * keep - rate * m / (sqrtf(v) * root + a.eps);
}

// store_four rounds and writes 4 consecutive elements.
DEVICE void store_four(float* p, const Vec<float>& x) { store_vec(p, x); }
DEVICE void store_four(bf16* p, const Vec<float>& x) {
    struct alignas(8) Words2 {
        uint32_t w[2];
    };
    const Words2 y = {{pack_bf16(x.v[0], x.v[1]), pack_bf16(x.v[2], x.v[3])}};
    *reinterpret_cast<Words2*>(p) = y;
}

// adamw: one update of a flat range.
//
//   g' = g state[1];  m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2
//   p  = p (1 - lr decay) - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
//   w  = p;  nothing changes if state[2] is not 0
//
//   p, m, v, g [n] f32   w [n] f32 or bf16, may be absent   state [3] f32
//
// Launched by internal/gpu/update.go.
// Launch   grid ceil(n/2048), block 256: 8 elements per thread; no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if all begin at multiples of 16 bytes.
// Numerics f32; the scalars of a step are computed in f64 and rounded once.
// Work     16 bytes read and 12 written per element, and the writes of w; memory bound.
// Source   Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, with the operations in the order of
//          torch.optim.AdamW.
template <typename T> DEVICE void adamw(const AdamWArgs& a) {
    const float factor = a.state[1], keep = *a.keep, rate = *a.rate, root = *a.root;
    if (a.state[2] != 0.0f) return;
    float *p = static_cast<float*>(a.p), *m = static_cast<float*>(a.m), *v = static_cast<float*>(a.v);
    const float* g = static_cast<const float*>(a.g);
    T* w = static_cast<T*>(a.w);
    // Neighbouring threads have neighbouring groups of 4 elements, so that every access is of whole sectors. All loads
    // come before the first store, which could be to the same memory as far as the compiler knows.
    const int begin = blockIdx.x * 2048, i = begin + threadIdx.x * 4;
    if (a.aligned && begin + 2048 <= a.n) {
        Vec<float> p4[2], m4[2], v4[2], g4[2];
        UNROLL
        for (int k = 0; k < 2; k++) {
            p4[k] = load_vec(p + i + k * 1024);
            m4[k] = load_vec(m + i + k * 1024);
            v4[k] = load_vec(v + i + k * 1024);
            g4[k] = load_vec(g + i + k * 1024);
        }
        UNROLL
        for (int k = 0; k < 2; k++) {
            UNROLL
            for (int j = 0; j < 4; j++)
                adamw_element(a, factor, keep, rate, root, p4[k].v[j], m4[k].v[j], v4[k].v[j], g4[k].v[j]);
            store_vec(p + i + k * 1024, p4[k]);
            store_vec(m + i + k * 1024, m4[k]);
            store_vec(v + i + k * 1024, v4[k]);
            if (w) store_four(w + i + k * 1024, p4[k]);
        }
        return;
    }
    for (int j = begin + threadIdx.x; j < min(begin + 2048, a.n); j += 256) {
        adamw_element(a, factor, keep, rate, root, p[j], m[j], v[j], g[j]);
        if (w) w[j] = from_float<T>(p[j]);
    }
}
KERNEL(adamw_f32, AdamWArgs, 256) { adamw<float>(a); }
KERNEL(adamw_bf16, AdamWArgs, 256) { adamw<bf16>(a); }
