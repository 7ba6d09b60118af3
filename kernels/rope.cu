// Rotary position embedding. See compute.Attention.
#include "common.cuh"

constexpr int kPairs = 128; // pairs of a head that a launch turns

struct RoPEArgs {
    void* x;
    const int32_t* pos;
    const int32_t* n;
    int32_t cols, dim;    // of a row, of a head
    int32_t first, count; // pairs of each head to turn
    float sign;           // -1 turns back
    uint32_t aligned;
    // How much of a full turn a position makes, the same in two floats.
    float turn[kPairs], rest[kPairs];
};

struct Rotation {
    float cos[kPairs], sin[kPairs];
};

// rope: turn the pairs of every head of a row by angles that grow with its
// position, in place. With p = pos[n] and f = base^(-2i/D),
//
//   x[n, h D + i]       <- x[n, h D + i] cos(p f) - x[n, h D + i + D/2] sin(p f)
//   x[n, h D + i + D/2] <- x[n, h D + i + D/2] cos(p f) + x[n, h D + i] sin(p f)
//
//   x [N, H D] f32 or bf16   pos [N] i32
//
// Launched by internal/gpu/rope.go.
// Launch   grid N, block 256, 1 KB of shared memory: a block turns one row, a
//          thread 8 neighbouring pairs at a time.
// Limits   D even, 0 <= pos < 2^24; 128 pairs of a head a launch; 16-byte
//          accesses where rows are aligned and 16 divides D.
// Numerics The part of a turn that p f leaves is exact to the last place of f32:
//          p turn is split by a fused multiply-add, which leaves no error, and
//          p rest corrects turn. A frequency or an angle in f32, as in Hugging
//          Face, is off by up to p 2^-24. Products in f32, rounded once.
// Work     N C reads and writes; memory bound.
// Source   Su et al. 2021, arXiv:2104.09864, eq. 34.
template <typename T> DEVICE void rope(const RoPEArgs& a) {
    SHARED(Rotation, r);
    const int row = blockIdx.x, half = a.dim / 2;
    if (row >= *a.n) return;
    if (int(threadIdx.x) < a.count) {
        const float p = float(a.pos[row]), turn = a.turn[threadIdx.x];
        const float left = fmaf(p, a.rest[threadIdx.x], fmaf(p, turn, -rintf(p * turn)));
        r.cos[threadIdx.x] = cospif(2.0f * left);
        r.sin[threadIdx.x] = a.sign * sinpif(2.0f * left);
    }
    __syncthreads();
    T* x = static_cast<T*>(a.x) + int64_t(row) * a.cols;
    const int heads = a.cols / a.dim;
    if (!a.aligned) {
        for (int k = threadIdx.x; k < heads * a.count; k += 256) {
            T* pair = x + k / a.count * a.dim + a.first + k % a.count;
            const float cos = r.cos[k % a.count], sin = r.sin[k % a.count];
            const float u = to_float(pair[0]), v = to_float(pair[half]);
            pair[0] = from_float<T>(u * cos - v * sin);
            pair[half] = from_float<T>(v * cos + u * sin);
        }
        return;
    }
    const int blocks = a.count / 8;
    for (int k = threadIdx.x; k < heads * blocks; k += 256) {
        const int i = k % blocks * 8;
        T* pairs = x + k / blocks * a.dim + a.first + i;
        float u[8], v[8], cos[8], sin[8];
        load8(u, pairs);
        load8(v, pairs + half);
        load8(cos, r.cos + i);
        load8(sin, r.sin + i);
        UNROLL
        for (int j = 0; j < 8; j++) {
            const float was = u[j];
            u[j] = was * cos[j] - v[j] * sin[j];
            v[j] = v[j] * cos[j] + was * sin[j];
        }
        store8(pairs, u);
        store8(pairs + half, v);
    }
}
KERNEL(rope_f32, RoPEArgs, 256) { rope<float>(a); }
KERNEL(rope_bf16, RoPEArgs, 256) { rope<bf16>(a); }
