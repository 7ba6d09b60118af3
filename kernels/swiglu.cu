// SwiGLU and its gradient. See compute.Elementwise.
#include "activation.cuh"
#include "map.cuh"

struct SwiGLUArgs {
    void* dst;
    const void* gate;
    const void* up;
    const int32_t* n;
    uint32_t aligned, unused;
};

// swiglu_forward: dst[i] = gate[i] sigmoid(gate[i]) up[i].
//
//   dst, gate, up [n] f32 or bf16
//
// Launched by internal/gpu/swiglu.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if all are aligned.
// Numerics f32, rounded once. On a card the quotient in sigmoid has an error of up to 2 units in the last place (CUDA
//          C++ Programming Guide, __fdividef).
// Work     2n reads, n writes; memory bound.
// Source   Shazeer 2020, arXiv:2002.05202, eq. 6.
template <typename T> DEVICE void swiglu_forward(const SwiGLUArgs& a) {
    const auto f = [](float gate, float up) { return gate * sigmoid(gate) * up; };
    map(static_cast<T*>(a.dst), *a.n, a.aligned, f, static_cast<const T*>(a.gate), static_cast<const T*>(a.up));
}
KERNEL(swiglu_forward_f32, SwiGLUArgs, 256) { swiglu_forward<float>(a); }
KERNEL(swiglu_forward_bf16, SwiGLUArgs, 256) { swiglu_forward<bf16>(a); }

struct SwiGLUGradArgs {
    void* dgate;
    void* dup;
    const void* gate;
    const void* up;
    const void* dy;
    const int32_t* n;
    uint32_t aligned, unused;
};

// swiglu_backward: with s = sigmoid(gate[i]),
//
//   dgate[i] = dy[i] up[i] s (1 + gate[i] (1 - s))
//   dup[i]   = dy[i] gate[i] s
//
//   dgate, dup, gate, up, dy [n] f32 or bf16; dgate and dup may be absent
//
// Launched by internal/gpu/swiglu.go.
// Launch   grid ceil(n/2048), block 256, no shared memory.
// Limits   n < 2^31 - 2048; 16-byte accesses if all are aligned.
// Numerics as swiglu_forward.
// Work     3n reads, 2n writes; memory bound.
// Source   as swiglu_forward, differentiated.
template <typename T, bool whole> DEVICE void swiglu_backward_at(const SwiGLUGradArgs& a, int i, int n) {
    float gate[8], up[8], dy[8], dgate[8], dup[8];
    load_cols(gate, static_cast<const T*>(a.gate), i, n, whole);
    load_cols(up, static_cast<const T*>(a.up), i, n, whole);
    load_cols(dy, static_cast<const T*>(a.dy), i, n, whole);
    UNROLL
    for (int j = 0; j < 8; j++) {
        dgate[j] = dy[j] * up[j] * silu_slope(gate[j]);
        dup[j] = dy[j] * gate[j] * sigmoid(gate[j]);
    }
    if (a.dgate) store_cols(static_cast<T*>(a.dgate), dgate, i, n, whole);
    if (a.dup) store_cols(static_cast<T*>(a.dup), dup, i, n, whole);
}
template <typename T> DEVICE void swiglu_backward(const SwiGLUGradArgs& a) {
    const int n = *a.n, i = blockIdx.x * kTile + threadIdx.x * 8;
    a.aligned && i + 8 <= n ? swiglu_backward_at<T, true>(a, i, n) : swiglu_backward_at<T, false>(a, i, n);
}
KERNEL(swiglu_backward_f32, SwiGLUGradArgs, 256) { swiglu_backward<float>(a); }
KERNEL(swiglu_backward_bf16, SwiGLUGradArgs, 256) { swiglu_backward<bf16>(a); }
