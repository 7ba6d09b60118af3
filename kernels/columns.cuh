// Sums over the rows of a matrix for each column, for the gradient of a bias or of a norm's gain. column_sums adds the
// rows of a chunk, and sum_rows_finish adds the chunks.
#pragma once
#include "common.cuh"

// ColumnSums has the sums of each warp of a block.
typedef float ColumnSums[8][256];

// column_sums calls add(sum, row, c) for every row of the block's chunk. add must add the row's terms to the sums of
// the columns [c, c + 8), but not to those of columns beyond cols. column_sums writes the totals to entry blockIdx.y of
// partial [outputs, gridDim.y, cols]. A block of 256 threads has 256 columns.
template <int outputs, typename Add>
DEVICE void column_sums(ColumnSums& sums, void* partial, int n, int cols, int chunk, Add add) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int first = blockIdx.y * chunk, end = min(n, first + chunk), column = blockIdx.x * 256 + threadIdx.x;
    if (first >= n) return;
    float sum[outputs][8] = {};
    for (int row = first + warp; row < end; row += 8) add(sum, row, int(blockIdx.x) * 256 + lane * 8);
    UNROLL
    for (int k = 0; k < outputs; k++) {
        __syncthreads();
        store8_lanes(&sums[warp][lane * 8], sum[k]);
        __syncthreads();
        float total = 0.0f;
        UNROLL
        for (int w = 0; w < 8; w++) total += sums[w][threadIdx.x];
        if (column < cols) static_cast<float*>(partial)[(int64_t(k) * gridDim.y + blockIdx.y) * cols + column] = total;
    }
}

// COLUMN_KERNELS defines the kernels of a template op<T, aligned>(sums, a) in f32 and in bf16. Both ways of reading
// rows use the same shared memory.
#define COLUMN_KERNELS(op, Args)                                            \
    KERNEL(op##_f32, Args, 256) {                                           \
        SHARED(ColumnSums, sums);                                           \
        a.aligned ? op<float, true>(sums, a) : op<float, false>(sums, a);   \
    }                                                                       \
    KERNEL(op##_bf16, Args, 256) {                                          \
        SHARED(ColumnSums, sums);                                           \
        a.aligned ? op<bf16, true>(sums, a) : op<bf16, false>(sums, a);     \
    }
