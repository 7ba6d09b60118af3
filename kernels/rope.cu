// Rotary position embedding. See compute.Attention.
#include "common.cuh"

struct RoPEArgs {
    void* x;
    const int32_t* pos;
    const float* table;
    const int32_t* n;
    int32_t cols, dim; // columns of a row, and of a head
    float sign;        // -1 rotates back, for the gradient
    uint32_t aligned;
};

// rope: rotate the pairs of every head of a row, in place, by the angles of the row's position in a table. With c =
// table[pos[n], i] and s = table[pos[n], i + D/2],
//
//   x[n, h D + i]       <- x[n, h D + i] c - x[n, h D + i + D/2] s
//   x[n, h D + i + D/2] <- x[n, h D + i + D/2] c + x[n, h D + i] s
//
//   x [N, H D] f32 or bf16   pos [N] i32   table [P, D] f32: cosines, then sines
//
// Launched by internal/gpu/rope.go.
// Launch   grid N, block 256: one row per block; a thread rotates 8 neighbouring pairs at a time.
// Limits   D even, 0 <= pos < P; 16-byte accesses if rows are aligned and 16 divides D.
// Numerics Products and sum in f32, rounded once.
// Work     N C reads and writes, N D reads of the table; memory bound.
// Source   Su et al. 2021, arXiv:2104.09864, eq. 34.
template <typename T> DEVICE void rope(const RoPEArgs& a) {
    const int row = blockIdx.x, half = a.dim / 2;
    if (row >= *a.n) return;
    const float* cosines = a.table + int64_t(a.pos[row]) * a.dim;
    const float* sines = cosines + half;
    T* x = static_cast<T*>(a.x) + int64_t(row) * a.cols;
    const int heads = a.cols / a.dim;
    if (!a.aligned) {
        for (int k = threadIdx.x; k < heads * half; k += 256) {
            T* pair = x + k / half * a.dim + k % half;
            const float cos = cosines[k % half], sin = a.sign * sines[k % half];
            const float u = to_float(pair[0]), v = to_float(pair[half]);
            pair[0] = from_float<T>(u * cos - v * sin);
            pair[half] = from_float<T>(v * cos + u * sin);
        }
        return;
    }
    const int blocks = half / 8;
    for (int k = threadIdx.x; k < heads * blocks; k += 256) {
        const int i = k % blocks * 8;
        T* pairs = x + k / blocks * a.dim + i;
        float u[8], v[8], cos[8], sin[8];
        load8(u, pairs);
        load8(v, pairs + half);
        load8(cos, cosines + i);
        load8(sin, sines + i);
        UNROLL
        for (int j = 0; j < 8; j++) {
            const float was = u[j], s = a.sign * sin[j];
            u[j] = was * cos[j] - v[j] * s;
            v[j] = v[j] * cos[j] + was * s;
        }
        store8(pairs, u);
        store8(pairs + half, v);
    }
}
KERNEL(rope_f32, RoPEArgs, 256) { rope<float>(a); }
KERNEL(rope_bf16, RoPEArgs, 256) { rope<bf16>(a); }
