// Rows that are prepended to every sequence. See compute.Methods.
#include "common.cuh"

struct PrefixArgs {
    void* dst;
    const void* prefix;
    const void* x;
    const int32_t* cu;
    const int32_t* n;
    const int32_t* sequences;
    int32_t cols, rows; // rows is P, the number of rows of a prefix
    uint32_t aligned, unused;
};

// sequence_of returns the last sequence that begins at or before a row, if every sequence has more rows than cu says.
DEVICE int sequence_of(const PrefixArgs& a, int row, int more) {
    int lo = 0, hi = *a.sequences - 1;
    while (lo < hi) {
        const int middle = (lo + hi + 1) / 2;
        if (a.cu[middle] + middle * more <= row) {
            lo = middle;
        } else {
            hi = middle - 1;
        }
    }
    return lo;
}

// prepend_rows: row j of sequence s of dst is prefix[j] if j < P, else x[cu[s] + j - P].
//
//   dst [NK + B P,C], x [NK,C], prefix [P,C] f32 or bf16   cu [B+1] i32: the cu_seqlens of x
//
// Launched by internal/gpu/prefix.go.
// Launch   grid ceil(N ceil(C/8)/256) for the N = NK + B P rows of dst, block 256, no shared memory.
// Limits   N ceil(C/8) < 2^31; 16-byte accesses if rows are aligned.
// Numerics values are kept.
// Work     N C reads and writes, log2(B) reads of cu from cache per 8 columns; memory bound.
// Source   Li and Liang 2021, arXiv:2101.00190.
template <typename T> DEVICE void prepend_rows(const PrefixArgs& a) {
    const int blocks = (a.cols + 7) / 8, i = blockIdx.x * 256 + threadIdx.x;
    const int row = i / blocks, c = i % blocks * 8;
    if (row >= *a.n) return;
    const int s = sequence_of(a, row, a.rows), j = row - a.cu[s] - s * a.rows;
    const T* from = j < a.rows ? static_cast<const T*>(a.prefix) + int64_t(j) * a.cols
                               : static_cast<const T*>(a.x) + int64_t(a.cu[s] + j - a.rows) * a.cols;
    float v[8];
    load_cols(v, from, c, a.cols, a.aligned);
    store_cols(static_cast<T*>(a.dst) + int64_t(row) * a.cols, v, c, a.cols, a.aligned);
}
KERNEL(prepend_rows_f32, PrefixArgs, 256) { prepend_rows<float>(a); }
KERNEL(prepend_rows_bf16, PrefixArgs, 256) { prepend_rows<bf16>(a); }

// prepend_rows_backward: dx[n] = dy[n + (s + 1) P] for row n of sequence s.
//
//   dst = dx [NK,C], x = dy [NK + B P,C] f32 or bf16   cu [B+1] i32
//
// Launched by internal/gpu/prefix.go.
// Launch   grid ceil(NK ceil(C/8)/256), block 256, no shared memory.
// Limits   NK ceil(C/8) < 2^31; 16-byte accesses if rows are aligned.
// Numerics values are kept.
// Work     NK C reads and writes; memory bound.
// Source   as prepend_rows, differentiated.
template <typename T> DEVICE void prepend_rows_backward(const PrefixArgs& a) {
    const int blocks = (a.cols + 7) / 8, i = blockIdx.x * 256 + threadIdx.x;
    const int row = i / blocks, c = i % blocks * 8;
    if (row >= *a.n) return;
    const int from = row + (sequence_of(a, row, 0) + 1) * a.rows;
    float v[8];
    load_cols(v, static_cast<const T*>(a.x) + int64_t(from) * a.cols, c, a.cols, a.aligned);
    store_cols(static_cast<T*>(a.dst) + int64_t(row) * a.cols, v, c, a.cols, a.aligned);
}
KERNEL(prepend_rows_backward_f32, PrefixArgs, 256) { prepend_rows_backward<float>(a); }
KERNEL(prepend_rows_backward_bf16, PrefixArgs, 256) { prepend_rows_backward<bf16>(a); }

// prefix_gradient: dprefix[j] += sum over s of dy[cu[s] + s P + j].
//
//   dst = dprefix [P,C] f32   x = dy [NK + B P,C] f32 or bf16   cu [B+1] i32
//
// Launched by internal/gpu/prefix.go.
// Launch   grid ceil(P ceil(C/8)/256), block 256: 8 columns of a row per thread; no shared memory.
// Limits   P ceil(C/8) < 2^31; 16-byte accesses if rows are aligned.
// Numerics f32 sums in the order of sequences.
// Work     B P C reads. A thread reads one row after the other, so latency bounds it if P C is small.
// Source   as prepend_rows, differentiated.
template <typename T> DEVICE void prefix_gradient(const PrefixArgs& a) {
    const int blocks = (a.cols + 7) / 8, i = blockIdx.x * 256 + threadIdx.x;
    const int row = i / blocks, c = i % blocks * 8;
    if (row >= *a.n) return;
    float sum[8] = {};
    for (int s = 0; s < *a.sequences; s++) {
        float v[8];
        load_cols(v, static_cast<const T*>(a.x) + int64_t(a.cu[s] + s * a.rows + row) * a.cols, c, a.cols, a.aligned);
        UNROLL
        for (int j = 0; j < 8; j++) sum[j] += v[j];
    }
    float* to = static_cast<float*>(a.dst) + int64_t(row) * a.cols;
    float before[8];
    load_cols(before, to, c, a.cols, a.aligned);
    UNROLL
    for (int j = 0; j < 8; j++) before[j] += sum[j];
    store_cols(to, before, c, a.cols, a.aligned);
}
KERNEL(prefix_gradient_f32, PrefixArgs, 256) { prefix_gradient<float>(a); }
KERNEL(prefix_gradient_bf16, PrefixArgs, 256) { prefix_gradient<bf16>(a); }
