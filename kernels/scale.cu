// Multiplication of columns by a vector, and the gradient of the vector. See compute.Methods.
#include "columns.cuh"

struct ScaleArgs {
    void* dst;
    const void* x;
    const void* v;
    const void* times;
    const void* about;
    const int32_t* n;
    int32_t cols;
    uint32_t aligned;
};

// load_or reads the columns [c, c + 8) of a vector of cols elements, or sets all of them to a value if the vector is
// absent.
template <typename T>
DEVICE void load_or(float (&x)[8], const void* from, float otherwise, int c, int cols, bool aligned) {
    if (from) {
        load_cols(x, static_cast<const T*>(from), c, cols, aligned);
        return;
    }
    UNROLL
    for (int i = 0; i < 8; i++) x[i] = otherwise;
}

// scale_cols: dst[n,c] = about[c] + (x[n,c] - about[c]) v[c] times[c].
//
//   dst, x [N,C] f32 or bf16; dst may be x   v, about [C] f32 or bf16   times [C] f32
//   An absent times is 1, and an absent about is 0. In scale_cols_exact dst and x are f32, and v and about are bf16.
//
// Launched by internal/gpu/scale.go.
// Launch   grid ceil(N ceil(C/8)/256), block 256, no shared memory.
// Limits   N ceil(C/8) < 2^31; 16-byte accesses if rows and vectors are aligned.
// Numerics f32, rounded once. v times is rounded to f32 before it is multiplied by a row.
// Work     N C reads and writes, and reads of the vectors from cache; memory bound.
// Source   Liu et al. 2022, arXiv:2205.05638 ((IA)3); Liu et al. 2024, arXiv:2402.09353 (DoRA); Kopiczko et al. 2023,
//          arXiv:2310.11454 (VeRA); Zhang et al. 2023, arXiv:2303.10512 (AdaLoRA).
template <typename T, typename V> DEVICE void scale_cols(const ScaleArgs& a) {
    const int blocks = (a.cols + 7) / 8, i = blockIdx.x * 256 + threadIdx.x;
    const int row = i / blocks, c = i % blocks * 8;
    if (row >= *a.n) return;
    const int64_t at = int64_t(row) * a.cols;
    float x[8], v[8], times[8], about[8];
    load_cols(x, static_cast<const T*>(a.x) + at, c, a.cols, a.aligned);
    load_cols(v, static_cast<const V*>(a.v), c, a.cols, a.aligned);
    load_or<float>(times, a.times, 1.0f, c, a.cols, a.aligned);
    load_or<V>(about, a.about, 0.0f, c, a.cols, a.aligned);
    UNROLL
    for (int j = 0; j < 8; j++) x[j] = fmaf(x[j] - about[j], v[j] * times[j], about[j]);
    store_cols(static_cast<T*>(a.dst) + at, x, c, a.cols, a.aligned);
}
KERNEL(scale_cols_f32, ScaleArgs, 256) { scale_cols<float, float>(a); }
KERNEL(scale_cols_bf16, ScaleArgs, 256) { scale_cols<bf16, bf16>(a); }
KERNEL(scale_cols_exact_bf16, ScaleArgs, 256) { scale_cols<float, bf16>(a); }

struct ScaleGradArgs {
    void* partial;
    const void* x;
    const void* dy;
    const void* times;
    const void* about;
    const int32_t* n;
    int32_t cols, chunk;
    uint32_t aligned, unused;
};

// scale_gradient: sums over the rows of each chunk, the first stage of dv[c] += times[c] (sum over n of dy[n,c] (x[n,c]
// - about[c])). sum_rows_finish is the second stage. The types are those of scale_cols.
//
//   partial [ceil(N/chunk), C] f32   x, dy [N,C] f32 or bf16   about [C] f32 or bf16   times [C] f32
//
// Launched by internal/gpu/scale.go.
// Launch   grid (ceil(C/256), ceil(N/chunk)), block 256, 8 KB of shared memory.
// Limits   any N, C >= 1; 16-byte accesses if rows and vectors are aligned.
// Numerics f32: a warp adds every eighth row of its chunk, then the 8 warps in order.
// Work     2 N C reads, and reads of the vectors from cache; memory bound.
// Source   as scale_cols, differentiated.
template <typename T, typename V> DEVICE void scale_gradient(const ScaleGradArgs& a) {
    SHARED(ColumnSums, sums);
    const T* x = static_cast<const T*>(a.x);
    const T* dy = static_cast<const T*>(a.dy);
    const int c = blockIdx.x * 256 + threadIdx.x % 32 * 8;
    float times[8], about[8];
    load_or<float>(times, a.times, 1.0f, c, a.cols, a.aligned);
    load_or<V>(about, a.about, 0.0f, c, a.cols, a.aligned);
    column_sums<1>(sums, a.partial, *a.n, a.cols, a.chunk, [&](float (&sum)[1][8], int row, int c) {
        float v[8], slope[8];
        load_cols(v, x + int64_t(row) * a.cols, c, a.cols, a.aligned);
        load_cols(slope, dy + int64_t(row) * a.cols, c, a.cols, a.aligned);
        UNROLL
        for (int j = 0; j < 8; j++) sum[0][j] = fmaf(slope[j] * times[j], v[j] - about[j], sum[0][j]);
    });
}
KERNEL(scale_gradient_f32, ScaleGradArgs, 256) { scale_gradient<float, float>(a); }
KERNEL(scale_gradient_bf16, ScaleGradArgs, 256) { scale_gradient<bf16, bf16>(a); }
KERNEL(scale_gradient_exact_bf16, ScaleGradArgs, 256) { scale_gradient<float, bf16>(a); }
