// Terms that methods add to the loss of the task. See compute.Methods.
#include "common.cuh"

typedef float Partial[8]; // one float per warp

// block_max returns the maximum over a block of 256 threads, in every thread.
DEVICE float block_max(float x, Partial& scratch) {
    x = warp_max(x);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = x;
    __syncthreads();
    for (int w = 0; w < 8; w++) x = fmaxf(x, scratch[w]);
    __syncthreads();
    return x;
}

struct SymmetricKLArgs {
    void* dx;
    void* dz;
    void* nll;
    const void* x;
    const void* z;
    const int32_t* n;
    const float* scale;
    int32_t cols;
    uint32_t detach;
};

// LogSum has the maximum of a row and the logarithm of its sum of exponentials below that maximum.
struct LogSum {
    float top, log;
};

template <typename T> DEVICE LogSum log_sum(const T* x, int cols, Partial& scratch) {
    float top = -__uint_as_float(0x7f800000u), sum = 0.0f;
    for (int c = threadIdx.x; c < cols; c += 256) top = fmaxf(top, to_float(x[c]));
    top = block_max(top, scratch);
    for (int c = threadIdx.x; c < cols; c += 256) sum += expf(to_float(x[c]) - top);
    return LogSum{top, logf(block_sum(sum, scratch))};
}

// symmetric_kl: half the symmetric divergence of the softmaxes p of x and q of z, and its gradients.
//
//   l[c]    = log p[c] - log q[c]
//   nll[n]  = (sum over c of p l - sum over c of q l) / 2
//   dx[n,c] = scale/2 (p - q + p (l - sum of p l)),  without the last term if detach is set
//   dz[n,c] = the same with x and z exchanged
//
//   x, z, dx, dz [N,C] f32 or bf16; dx and dz may be absent   nll [N], scale [1] f32
//
// Launched by internal/gpu/penalty.go.
// Launch   grid N, block 256: one block per row; 32 bytes of shared memory.
// Limits   any N, C >= 1.
// Numerics f32. The maxima are subtracted from the logits before their difference. A thread adds every 256th column,
//          then the threads are added in fixed order.
// Work     4 passes over two rows, all but the first from cache; latency bound for few classes.
// Source   Wang et al. 2022, arXiv:2205.12410 (AdaMix), consistency regularisation.
template <typename T> DEVICE void symmetric_kl(const SymmetricKLArgs& a) {
    SHARED(Partial, scratch);
    const int row = blockIdx.x;
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    const T* x = static_cast<const T*>(a.x) + at;
    const T* z = static_cast<const T*>(a.z) + at;
    const LogSum p = log_sum(x, a.cols, scratch), q = log_sum(z, a.cols, scratch);
    float pl = 0.0f, ql = 0.0f;
    for (int c = threadIdx.x; c < a.cols; c += 256) {
        const float u = (to_float(x[c]) - p.top) - p.log, v = (to_float(z[c]) - q.top) - q.log;
        pl = fmaf(expf(u), u - v, pl);
        ql = fmaf(expf(v), u - v, ql);
    }
    pl = block_sum(pl, scratch);
    ql = block_sum(ql, scratch);
    if (threadIdx.x == 0) static_cast<float*>(a.nll)[row] = 0.5f * (pl - ql);
    T* dx = a.dx ? static_cast<T*>(a.dx) + at : nullptr;
    T* dz = a.dz ? static_cast<T*>(a.dz) + at : nullptr;
    const float scale = 0.5f * *a.scale;
    for (int c = threadIdx.x; c < a.cols; c += 256) {
        const float u = (to_float(x[c]) - p.top) - p.log, v = (to_float(z[c]) - q.top) - q.log;
        const float pc = expf(u), qc = expf(v);
        const float px = a.detach ? 0.0f : pc * (u - v - pl), qz = a.detach ? 0.0f : qc * (v - u + ql);
        if (dx) dx[c] = from_float<T>(scale * (pc - qc + px));
        if (dz) dz[c] = from_float<T>(scale * (qc - pc + qz));
    }
}
KERNEL(symmetric_kl_f32, SymmetricKLArgs, 256) { symmetric_kl<float>(a); }
KERNEL(symmetric_kl_bf16, SymmetricKLArgs, 256) { symmetric_kl<bf16>(a); }

struct BalanceArgs {
    void* loss;
    void* dq;
    const void* q;
    const void* f;
    const int32_t* n;
    const float* scale;
};

// balance: the squared coefficient of variation of z = q f, and its gradient.
//
//   loss += scale v / d,  dq[i] = scale f[i] (2 (z[i] - m) / ((n-1) d) - 2 m v / (n d^2))
//   m and v are mean and sample variance of z, d = m^2 + 1e-10; for n = 1 all are 0
//
//   loss [1], q, f, dq [n], scale [1] f32; dq may be absent
//
// Launched by internal/gpu/penalty.go.
// Launch   grid 1, block 256, 32 bytes of shared memory.
// Limits   n < 2^31.
// Numerics f32, in two passes. A thread adds every 256th element, then the threads are added in fixed order.
// Work     3 passes over q and f; latency bound.
// Source   Dou et al. 2024, arXiv:2312.09979 (LoRAMoE), as its code computes it.
DEVICE void balance(const BalanceArgs& a) {
    SHARED(Partial, scratch);
    const int n = *a.n;
    const float* q = static_cast<const float*>(a.q);
    const float* f = static_cast<const float*>(a.f);
    const float scale = n > 1 ? *a.scale : 0.0f, rest = float(max(n - 1, 1));
    float mean = 0.0f, spread = 0.0f;
    for (int i = threadIdx.x; i < n; i += 256) mean = fmaf(q[i], f[i], mean);
    mean = block_sum(mean, scratch) / float(max(n, 1));
    for (int i = threadIdx.x; i < n; i += 256) {
        const float e = fmaf(q[i], f[i], -mean);
        spread = fmaf(e, e, spread);
    }
    spread = block_sum(spread, scratch) / rest;
    const float below = fmaf(mean, mean, 1e-10f), ratio = spread / below;
    if (threadIdx.x == 0 && blockIdx.x == 0) *static_cast<float*>(a.loss) += scale * ratio;
    if (!a.dq) return;
    for (int i = threadIdx.x; i < n; i += 256) {
        const float e = fmaf(q[i], f[i], -mean);
        const float slope = e / rest - mean * ratio / float(n);
        static_cast<float*>(a.dq)[i] = scale * f[i] * (2.0f * slope / below);
    }
}
KERNEL(balance_f32, BalanceArgs, 256) { balance(a); }

struct OrthogonalityArgs {
    void* loss;
    void* c;
    const float* scale;
    int32_t rank;
    uint32_t unused;
};

// orthogonality: the distance of a Gram matrix from the identity, and its gradient.
//
//   loss += scale ||c - I||,  c = scale (c - I) / ||c - I||, zeros if the norm is 0
//
//   loss [1], c [R,R], scale [1] f32; the norm is Frobenius'
//
// Launched by internal/gpu/penalty.go.
// Launch   grid 1, block 256, 32 bytes of shared memory.
// Limits   R < 2^15.
// Numerics f32: a thread adds every 256th element, then the threads are added in fixed order.
// Work     2 passes over c; latency bound.
// Source   Zhang et al. 2023, arXiv:2303.10512 (AdaLoRA), without the square, as its code computes it.
DEVICE void orthogonality(const OrthogonalityArgs& a) {
    SHARED(Partial, scratch);
    const int n = a.rank * a.rank;
    float* c = static_cast<float*>(a.c);
    float square = 0.0f;
    for (int i = threadIdx.x; i < n; i += 256) {
        c[i] -= i % (a.rank + 1) == 0 ? 1.0f : 0.0f;
        square = fmaf(c[i], c[i], square);
    }
    const float norm = sqrtf(block_sum(square, scratch)), scale = *a.scale;
    if (threadIdx.x == 0 && blockIdx.x == 0) *static_cast<float*>(a.loss) += scale * norm;
    const float by = norm == 0.0f ? 0.0f : scale / norm;
    for (int i = threadIdx.x; i < n; i += 256) c[i] *= by;
}
KERNEL(orthogonality_f32, OrthogonalityArgs, 256) { orthogonality(a); }
