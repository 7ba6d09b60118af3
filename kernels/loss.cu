// Losses and their gradients. See compute.Loss.
#include "common.cuh"

struct CrossEntropyArgs {
    void* dlogits;
    void* nll;
    const void* logits;
    const int32_t* labels;
    const float* rows;    // may be absent
    const float* classes; // may be absent
    const int32_t* n;
    const float* scale;
    float smoothing;
    int32_t cols;
    uint32_t aligned; // rows begin at multiples of 16 bytes and 8 divides cols
    uint32_t unused;
};

// Partial has one float per warp.
typedef float Partial[8];

// Running has the maximum of the values so far and the sum of the exponentials of their differences to it.
struct Running {
    float top, sum;
};

// include adds a value.
DEVICE void include(Running& a, float x) {
    if (x > a.top) {
        a.sum = a.sum * expf(a.top - x) + 1.0f;
        a.top = x;
    } else {
        a.sum += expf(x - a.top);
    }
}

// cross_entropy: the loss of each row and its gradient.
//
//   l[c]         = log sum over k of exp(x[n,k]) - x[n,c]
//   own          = rows[n] (1 - smoothing) classes[label],  each = rows[n] smoothing / C
//   nll[n]       = own l[label] + each sum over c of classes[c] l[c]
//   dlogits[n,c] = scale ((own + each sum of classes) exp(x[n,c]) / sum
//                         - own [c = label] - each classes[c])
//   Both are 0 if the label is below 0. An absent rows or classes stands for ones.
//
//   logits, dlogits [N,C] f32 or bf16; dlogits may be absent or the same tensor as logits
//   labels [N] i32   rows, nll [N] f32   classes [C] f32   scale [1] f32
//
// Launched by internal/gpu/loss.go.
// Launch   grid N, block 256: one block per row; 36 bytes of shared memory.
// Limits   any N, C >= 1, labels below C; 16-byte accesses if rows are aligned.
// Numerics f32. Maximum and sum are computed in one pass (Milakov and Gimelshein 2018, arXiv:1805.02867, algorithm 3):
//          a thread adds 8 columns at a time, then the threads are added in fixed order. The label's logit is
//          subtracted from the maximum first, which is exact for two large logits. The sum of smoothing does the same
//          with every logit; there a thread adds every 256th column.
// Work     2 N C reads, N C writes; memory bound, with the second read mostly from L2. Smoothing reads logits and
//          classes once more.
template <typename T> DEVICE void cross_entropy(const CrossEntropyArgs& a) {
    SHARED(Partial, scratch);
    SHARED(float, target);
    const int row = blockIdx.x;
    if (row >= *a.n) return;
    const int label = a.labels[row];
    const T* x = static_cast<const T*>(a.logits) + int64_t(row) * a.cols;
    T* dx = a.dlogits ? static_cast<T*>(a.dlogits) + int64_t(row) * a.cols : nullptr;
    float* nll = static_cast<float*>(a.nll) + row;
    if (label < 0) {
        if (threadIdx.x == 0) *nll = 0.0f;
        for (int c = threadIdx.x; dx && c < a.cols; c += 256) dx[c] = from_float<T>(0.0f);
        return;
    }
    // The label's logit is read before dx is written, because dx may be x.
    if (threadIdx.x == 0) target = to_float(x[label]);
    // The start is not -Inf, because -Inf minus a logit of -Inf would be NaN.
    const float lowest = -3.402823466e38f;
    Running seen = {lowest, 0.0f};
    const int whole = a.aligned ? a.cols : 0;
    for (int c = threadIdx.x * 8; c < whole; c += 8 * 256) {
        float v[8];
        load8(v, x + c);
        float top = v[0];
        UNROLL
        for (int i = 1; i < 8; i++) top = fmaxf(top, v[i]);
        if (top > seen.top) {
            seen.sum *= expf(seen.top - top);
            seen.top = top;
        }
        UNROLL
        for (int i = 0; i < 8; i++) seen.sum += expf(v[i] - seen.top);
    }
    for (int c = whole + threadIdx.x; c < a.cols; c += 256) include(seen, to_float(x[c]));
    const float warp_top = warp_max(seen.top);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = warp_top;
    __syncthreads();
    float top = lowest;
    UNROLL
    for (int w = 0; w < 8; w++) top = fmaxf(top, scratch[w]);
    __syncthreads();
    const float sum = block_sum(seen.sum * expf(seen.top - top), scratch);
    const float weight = a.rows ? a.rows[row] : 1.0f;
    const float own = weight * (1.0f - a.smoothing) * (a.classes ? a.classes[label] : 1.0f);
    const float each = weight * a.smoothing / float(a.cols);
    float below = 0.0f, classes = 0.0f;
    if (a.smoothing > 0.0f) {
        for (int c = threadIdx.x; c < a.cols; c += 256) {
            const float w = a.classes ? a.classes[c] : 1.0f;
            below = fmaf(w, top - to_float(x[c]), below);
            classes += w;
        }
        below = block_sum(below, scratch);
        classes = block_sum(classes, scratch);
    }
    if (threadIdx.x == 0) *nll = own * ((top - target) + logf(sum)) + each * fmaf(classes, logf(sum), below);
    if (!dx) return;
    const float scale = *a.scale, inverse = scale * fmaf(each, classes, own) / sum;
    const float at_label = scale * own, at_each = scale * each;
    const auto taken = [&](int c) {
        const float smoothed = a.smoothing > 0.0f ? at_each * (a.classes ? a.classes[c] : 1.0f) : 0.0f;
        return smoothed + (c == label ? at_label : 0.0f);
    };
    for (int c = threadIdx.x * 8; c < whole; c += 8 * 256) {
        float v[8];
        load8(v, x + c);
        UNROLL
        for (int i = 0; i < 8; i++) v[i] = expf(v[i] - top) * inverse - taken(c + i);
        store8(dx + c, v);
    }
    for (int c = whole + threadIdx.x; c < a.cols; c += 256) {
        dx[c] = from_float<T>(expf(to_float(x[c]) - top) * inverse - taken(c));
    }
}
KERNEL(cross_entropy_f32, CrossEntropyArgs, 256) { cross_entropy<float>(a); }
KERNEL(cross_entropy_bf16, CrossEntropyArgs, 256) { cross_entropy<bf16>(a); }

struct LossSumArgs {
    void* loss;
    const void* x;
    const int32_t* n;
    const float* scale;
};

// loss_sum: loss += scale times the sum of the rows' losses.
//
//   loss [1] f32   x [N] f32   scale [1] f32
//
// Launched by internal/gpu/loss.go.
// Launch   grid 1, block 256, 32 bytes of shared memory.
// Limits   N < 2^31.
// Numerics f32: a thread adds every 256th row, then the threads are added in fixed order.
// Work     N reads; one block, latency bound.
DEVICE void loss_sum(const LossSumArgs& a) {
    SHARED(Partial, scratch);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < *a.n; i += 256) sum += static_cast<const float*>(a.x)[i];
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0 && blockIdx.x == 0) *static_cast<float*>(a.loss) += *a.scale * sum;
}
KERNEL(loss_sum_f32, LossSumArgs, 256) { loss_sum(a); }

struct BinaryCrossEntropyArgs {
    void* dlogits;
    void* rows;
    const void* logits;
    const float* targets;
    const int32_t* n;
    const float* scale;
    int32_t cols;
    uint32_t unused;
};

// binary_cross_entropy: the loss of each row of independent labels and its gradient.
//
//   rows[n]      = sum over c of max(x[n,c], 0) - x[n,c] y[n,c] + log(1 + exp(-|x[n,c]|))
//   dlogits[n,c] = scale (1 / (1 + exp(-x[n,c])) - y[n,c])
//
//   logits, dlogits [N,C] f32 or bf16; dlogits may be absent or the same tensor as logits
//   targets [N,C] f32   rows [N] f32   scale [1] f32
//
// Launched by internal/gpu/loss.go.
// Launch   grid N, block 256: one block per row; 32 bytes of shared memory.
// Limits   any N, C >= 1, targets from 0 to 1.
// Numerics f32. The exponential is of -|x|, so that it cannot overflow. A thread adds every 256th column, then the
//          threads are added in fixed order.
// Work     2 N C reads, N C writes; latency bound, because a task has few labels.
template <typename T> DEVICE void binary_cross_entropy(const BinaryCrossEntropyArgs& a) {
    SHARED(Partial, scratch);
    const int row = blockIdx.x;
    if (row >= *a.n) return;
    const int64_t first = int64_t(row) * a.cols;
    const T* x = static_cast<const T*>(a.logits) + first;
    const float* y = a.targets + first;
    T* dx = a.dlogits ? static_cast<T*>(a.dlogits) + first : nullptr;
    const float scale = *a.scale;
    float sum = 0.0f;
    for (int c = threadIdx.x; c < a.cols; c += 256) {
        const float v = to_float(x[c]), small = expf(-fabsf(v));
        sum += fmaf(-v, y[c], fmaxf(v, 0.0f)) + log1pf(small);
        const float p = (v < 0.0f ? small : 1.0f) / (1.0f + small);
        if (dx) dx[c] = from_float<T>(scale * (p - y[c]));
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) static_cast<float*>(a.rows)[row] = sum;
}
KERNEL(binary_cross_entropy_f32, BinaryCrossEntropyArgs, 256) { binary_cross_entropy<float>(a); }
KERNEL(binary_cross_entropy_bf16, BinaryCrossEntropyArgs, 256) { binary_cross_entropy<bf16>(a); }

struct MseArgs {
    void* loss;
    void* dx;
    const void* x;
    const void* y;
    const int32_t* n;
    const float* scale;
};

// mse: squared error and its gradient.
//
//   loss += scale sum over n of (x[n] - y[n])^2;  dx[n] = 2 scale (x[n] - y[n])
//
//   loss [1] f32   x, dx [N,1] f32 or bf16, dx may be absent   y [N] f32
//
// Launched by internal/gpu/loss.go.
// Launch   grid 1, block 256, 32 bytes of shared memory. One block is enough for one number per sequence.
// Limits   N < 2^31.
// Numerics f32: a thread adds every 256th row, then the threads are added in fixed order.
// Work     2 N reads, N writes; latency bound.
template <typename T> DEVICE void mse(const MseArgs& a) {
    SHARED(Partial, scratch);
    const float scale = *a.scale;
    T* dx = static_cast<T*>(a.dx);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < *a.n; i += 256) {
        const float e = to_float(static_cast<const T*>(a.x)[i]) - static_cast<const float*>(a.y)[i];
        sum = fmaf(e, e, sum);
        if (dx) dx[i] = from_float<T>(2.0f * scale * e);
    }
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0 && blockIdx.x == 0) *static_cast<float*>(a.loss) += scale * sum;
}
KERNEL(mse_f32, MseArgs, 256) { mse<float>(a); }
KERNEL(mse_bf16, MseArgs, 256) { mse<bf16>(a); }
