// Sums over the rows of a matrix, by column: the gradient of a bias or of a
// norm's gain. Chunks of rows are summed here, sum_rows_finish adds the chunks.
#pragma once
#include "common.cuh"

// ColumnSums holds what each warp of a block has summed.
typedef float ColumnSums[8][256];

// column_sums lets add(sum, row, c) add a row's share to the sums of the columns
// [c, c + 8), for every row of the block's chunk, and writes what they come to:
// partial [outputs, gridDim.y, cols], entry blockIdx.y. A block of 256 threads
// takes 256 columns, of which add must leave those beyond cols alone.
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
        store8(&sums[warp][lane * 8], sum[k]);
        __syncthreads();
        float total = 0.0f;
        UNROLL
        for (int w = 0; w < 8; w++) total += sums[w][threadIdx.x];
        if (column < cols) static_cast<float*>(partial)[(int64_t(k) * gridDim.y + blockIdx.y) * cols + column] = total;
    }
}
