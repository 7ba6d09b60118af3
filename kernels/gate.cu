// The weights of experts, and their products with the ranks of the experts. See compute.Methods.
#include "common.cuh"

struct SoftmaxArgs {
    void* dst;
    const void* x;
    const void* dy;
    const int32_t* n;
    int32_t cols;
    uint32_t unused;
};

// softmax: dst[n,e] = exp(x[n,e]) / (sum over i of exp(x[n,i])).
//
//   dst, x [N,E] f32; dst may be x
//
// Launched by internal/gpu/gate.go.
// Launch   grid ceil(N/8), block 256: one row per warp, every 32nd column per lane; no shared memory.
// Limits   any N, E.
// Numerics f32: a lane adds its columns in order, then the lanes are added.
// Work     3 N E reads, most of them from cache, N E writes; latency bound for few experts.
// Source   Shazeer et al. 2017, arXiv:1701.06538.
DEVICE void softmax(const SoftmaxArgs& a) {
    const int lane = threadIdx.x % 32, row = blockIdx.x * 8 + threadIdx.x / 32;
    if (row >= *a.n) return;
    const float* x = static_cast<const float*>(a.x) + int64_t(row) * a.cols;
    float* dst = static_cast<float*>(a.dst) + int64_t(row) * a.cols;
    float top = -__uint_as_float(0x7f800000u), sum = 0.0f;
    for (int c = lane; c < a.cols; c += 32) top = fmaxf(top, x[c]);
    top = warp_max(top);
    for (int c = lane; c < a.cols; c += 32) sum += expf(x[c] - top);
    sum = warp_sum(sum);
    for (int c = lane; c < a.cols; c += 32) dst[c] = expf(x[c] - top) / sum;
}
KERNEL(softmax_f32, SoftmaxArgs, 256) { softmax(a); }

// softmax_backward: dx[n,e] = y[n,e] (dy[n,e] - sum over i of y[n,i] dy[n,i]).
//
//   dst = dx, x = y, dy [N,E] f32; dx may be dy
//
// Launched by internal/gpu/gate.go.
// Launch   as softmax.
// Limits   any N, E.
// Numerics f32: a lane adds its columns in order, then the lanes are added.
// Work     4 N E reads, half of them from cache, N E writes; latency bound for few experts.
// Source   as softmax, differentiated.
DEVICE void softmax_backward(const SoftmaxArgs& a) {
    const int lane = threadIdx.x % 32, row = blockIdx.x * 8 + threadIdx.x / 32;
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    const float* y = static_cast<const float*>(a.x) + at;
    const float* dy = static_cast<const float*>(a.dy) + at;
    float* dx = static_cast<float*>(a.dst) + at;
    float sum = 0.0f;
    for (int c = lane; c < a.cols; c += 32) sum = fmaf(y[c], dy[c], sum);
    sum = warp_sum(sum);
    for (int c = lane; c < a.cols; c += 32) dx[c] = y[c] * (dy[c] - sum);
}
KERNEL(softmax_backward_f32, SoftmaxArgs, 256) { softmax_backward(a); }

struct GateArgs {
    void* dst;
    const void* w;
    const void* u;
    const void* dy;
    const int32_t* n;
    int32_t experts, ranks, cols; // cols is R or E R, the number of columns of u
    uint32_t unused;
};

// rank_at returns the index in u of rank k of expert e.
DEVICE int64_t rank_at(const GateArgs& a, int row, int e, int k) {
    return int64_t(row) * a.cols + (a.cols == a.ranks ? k : e * a.ranks + k);
}

// gate: dst[n,eR+k] = w[n,e] u[n,k], or w[n,e] u[n,eR+k] if u has E R columns.
//
//   dst [N,E R], w [N,E], u [N,R] or [N,E R] f32
//
// Launched by internal/gpu/gate.go.
// Launch   grid ceil(N E R/256), block 256: one element per thread; no shared memory.
// Limits   N E R < 2^31.
// Numerics f32.
// Work     N E R reads and writes; memory bound.
// Source   Tian et al. 2024, arXiv:2404.19245 (HydraLoRA, [N,R]); Dou et al. 2024, arXiv:2312.09979 (LoRAMoE, [N,E R]).
DEVICE void gate(const GateArgs& a) {
    const int cols = a.experts * a.ranks, i = blockIdx.x * 256 + threadIdx.x, row = i / cols, c = i % cols;
    if (row >= *a.n) return;
    const int e = c / a.ranks;
    const float weight = static_cast<const float*>(a.w)[int64_t(row) * a.experts + e];
    static_cast<float*>(a.dst)[i] = weight * static_cast<const float*>(a.u)[rank_at(a, row, e, c % a.ranks)];
}
KERNEL(gate_f32, GateArgs, 256) { gate(a); }

// gate_gradient_w: dw[n,e] = sum over k of dy[n,eR+k] u[n,k], or of dy[n,eR+k] u[n,eR+k].
//
//   dst = dw [N,E], dy [N,E R], u [N,R] or [N,E R] f32
//
// Launched by internal/gpu/gate.go.
// Launch   grid ceil(N E/256), block 256: one element per thread; no shared memory.
// Limits   N E R < 2^31.
// Numerics f32, ranks in order.
// Work     2 N E R reads; memory bound.
// Source   as gate, differentiated.
DEVICE void gate_gradient_w(const GateArgs& a) {
    const int i = blockIdx.x * 256 + threadIdx.x, row = i / a.experts, e = i % a.experts;
    if (row >= *a.n) return;
    const float* dy = static_cast<const float*>(a.dy) + int64_t(i) * a.ranks;
    const float* u = static_cast<const float*>(a.u) + rank_at(a, row, e, 0);
    float sum = 0.0f;
    for (int k = 0; k < a.ranks; k++) sum = fmaf(dy[k], u[k], sum);
    static_cast<float*>(a.dst)[i] = sum;
}
KERNEL(gate_gradient_w_f32, GateArgs, 256) { gate_gradient_w(a); }

// gate_gradient_u: du[n,k] = sum over e of w[n,e] dy[n,eR+k], or du[n,eR+k] = w[n,e] dy[n,eR+k].
//
//   dst = du [N,R] or [N,E R], w [N,E], dy [N,E R] f32
//
// Launched by internal/gpu/gate.go.
// Launch   grid ceil(N R/256) or ceil(N E R/256), block 256: one element per thread; no shared memory.
// Limits   N E R < 2^31.
// Numerics f32, experts in order.
// Work     N E R reads; memory bound.
// Source   as gate, differentiated.
DEVICE void gate_gradient_u(const GateArgs& a) {
    const int i = blockIdx.x * 256 + threadIdx.x, row = i / a.cols, c = i % a.cols;
    if (row >= *a.n) return;
    const bool shared = a.cols == a.ranks;
    const int first = shared ? 0 : c / a.ranks, last = shared ? a.experts - 1 : first;
    const float* w = static_cast<const float*>(a.w) + int64_t(row) * a.experts;
    const float* dy = static_cast<const float*>(a.dy) + int64_t(row) * a.experts * a.ranks;
    float sum = 0.0f;
    for (int e = first; e <= last; e++) sum = fmaf(w[e], dy[e * a.ranks + c % a.ranks], sum);
    static_cast<float*>(a.dst)[i] = sum;
}
KERNEL(gate_gradient_u_f32, GateArgs, 256) { gate_gradient_u(a); }
