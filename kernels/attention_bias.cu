// The gradient of the bias of attention. See compute.AttentionGrad.
#include "attention_rows.cuh"

struct BiasGradientArgs {
    AttentionArgs attention;
    float* partial; // [parts,K,H]
    int32_t rows;   // K
    int32_t blocks; // blocks of queries of the longest sequence
};

// attention_bias_gradient: the first stage of the gradient of a bias, for any head size.
//
//   partial[part,k,h] = sum over pairs (i,j) of the part with buckets[P-1+j-i] = k of ds[i,j]
//   ds[i,j]           = p[i,j] (mask[i,j] dy[i].v[j] - delta[i])
//
//   q, dy        [NQ,H*D]     f32 or bf16
//   k, v         [NK,H*D]     likewise
//   bias         [K,H]        likewise, buckets [2P-1] int32
//   lse, delta   [NQ,H]       f32
//   cu_q, cu_k   [B+1]        int32
//   partial      [parts,K,H]  f32, out
//
// A part has every parts-th block of 16 queries. A thread adds its pairs of a bucket to a sum of its own in shared
// memory, so that no two threads write to one address.
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, parts), block 128, dynamic shared memory 128 W + 256 P + 2048 + 4 (max keys + 48) + 512 K bytes,
//          with W and P as in attention_forward of attention_general.cu.
// Limits   as attention_forward; K <= 32.
// Numerics f32 throughout. A thread adds its pairs in order, and the sums of the threads are added in a fixed tree.
// Work     4 D flops per visible pair. Reads q and dy once, and k and v once per 16 queries.
// Source   Raffel et al. 2020, arXiv:1910.10683, section 2.1; Dao 2023, arXiv:2307.08691, algorithm 2.
template <typename T> DEVICE void attention_bias_gradient(const BiasGradientArgs& all) {
    DYNAMIC_SHARED(shared);
    const AttentionArgs& a = all.attention;
    const Tiles<2> tiles(shared, a.head_dim);
    float* sums = tiles.end(); // [K][128]
    Bias<true> bias(sums + all.rows * kThreads);
    for (int k = 0; k < all.rows; k++) sums[k * kThreads + threadIdx.x] = 0.0f;

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * kRows;
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    const Mask mask(a, blockIdx.x);
    for (int item = blockIdx.y; item < *a.sequences * all.blocks; item += gridDim.y) {
        QueryBlock b;
        if (!b.at(a, kStay, a.head_dim, item / all.blocks, item % all.blocks * kStay)) continue;
        const Sequence& s = b.s;
        __syncthreads(); // All warps have finished with the block before.
        tiles.template load_stay<T>(0, a.q, b.q_at, b.stride, b.rows, a);
        tiles.template load_stay<T>(1, a.dy, b.q_at, b.stride, b.rows, a);
        bias.template load<T>(a, b.head, -(b.first + kStay - 1), kStay + s.keys + kPass);
        float lse[kRows], delta[kRows];
        UNROLL
        for (int r = 0; r < kRows; r++) {
            const int i = b.first + top + r;
            const int64_t row = int64_t(s.q0 + i) * a.heads + b.head;
            lse[r] = i < s.queries ? a.lse[row] * kLog2e : 0.0f;
            delta[r] = i < s.queries ? a.delta[row] : 0.0f;
        }
        const int last = s.seen(b.first + b.rows - 1);
        for (int j0 = 0; j0 < last; j0 += kPass) {
            tiles.template load_pass<T>(a.k, a.v, b.key_at(j0), b.kv_stride, s.keys - j0, a);
            float p[kRows], ds[kRows];
            products(p, tiles.stay[0] + top * tiles.w.stay, tiles.pass[0], tiles.w);
            products(ds, tiles.stay[1] + top * tiles.w.stay, tiles.pass[1], tiles.w);
            const uint32_t keep = mask.active() ? keep_rows(mask, s.q0 + b.first + top, j0) : kAllLanes;
            UNROLL
            for (int r = 0; r < kRows; r++) {
                const int i = b.first + top + r, j = j0 + lane;
                bias.add(p[r], i, j);
                const float y = s.sees(i, j) ? power2(fmaf(p[r], c, -lse[r])) : 0.0f;
                // A pair beyond the end has the bucket of some distance, and adds 0 to it.
                const int at = min(max(a.places - 1 + j - i, 0), 2 * a.places - 2);
                float& sum = sums[a.buckets[at] * kThreads + threadIdx.x];
                sum += y * ((keep >> r & 1 ? kept * ds[r] : 0.0f) - delta[r]);
            }
        }
    }

    __syncthreads();
    for (int k = threadIdx.x / 32; k < all.rows; k += kThreads / 32) {
        float sum = 0.0f;
        UNROLL
        for (int i = 0; i < kThreads; i += 32) sum += sums[k * kThreads + i + lane];
        sum = warp_sum(sum);
        if (lane == 0) all.partial[(int64_t(blockIdx.y) * all.rows + k) * a.heads + blockIdx.x] = sum;
    }
}
KERNEL_RESIDENT(attention_bias_gradient_f32, BiasGradientArgs, 128, 4) { attention_bias_gradient<float>(a); }
KERNEL_RESIDENT(attention_bias_gradient_bf16, BiasGradientArgs, 128, 4) { attention_bias_gradient<bf16>(a); }

struct BiasSumArgs {
    float* dst;
    const float* partial;
    int32_t count; // K H
    int32_t parts;
};

// attention_bias_sum: dst[k,h] += sum over parts of partial[part,k,h], the second stage of the gradient of a bias.
//
//   partial  [parts,K,H]  f32
//   dst      [K,H]        f32, in and out
//
// Launched by internal/gpu/attention.go.
// Launch   grid ceil(K H/256), block 256: one thread per element; no shared memory.
// Limits   K H < 2^31.
// Numerics f32, in the order of the parts.
// Work     parts K H reads; memory bound.
// Source   as attention_bias_gradient.
KERNEL(attention_bias_sum, BiasSumArgs, 256) {
    const int at = blockIdx.x * 256 + threadIdx.x;
    if (at >= a.count) return;
    float sum = a.dst[at];
    for (int part = 0; part < a.parts; part++) sum += a.partial[int64_t(part) * a.count + at];
    a.dst[at] = sum;
}
