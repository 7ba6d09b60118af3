// Attention in bf16 for head sizes 32, 64 and 128. See compute.Attention;
// attention_general.cu has the other sizes, and f32.
#include "attention_tiles.cuh"

// attention_forward: softmax by rows without the matrix of probabilities.
//
//   s[i,j] = q[i] . k[j],  c = scale log2(e),  m[i] = max_j s[i,j]
//   y[i]   = sum_j mask[i,j] 2^(c (s[i,j] - m[i])) v[j] / sum_j 2^(c (s[i,j] - m[i]))
//   lse[i] = scale m[i] + ln sum_j 2^(c (s[i,j] - m[i]))
//
//   q, y         [NQ,H*D]   bf16, aligned to 16 bytes
//   k, v         [NK,HKV*D] bf16, aligned to 16 bytes
//   lse          [NQ,H]     f32, out
//   cu_q, cu_k   [B+1]      int32
//
// Keys come in tiles of 32; when one raises m, the sums so far are scaled down
// to it. Query head h reads key head h HKV/H. Tiles that causality hides are
// not read. A query that sees no key gets zeros and an lse of -Inf.
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/64), B), block 128, dynamic shared memory
//          128 D + 128 D stages bytes, stages 2 for D = 128 and 3 below.
// Limits   D 32, 64, 128; scale > 0; HKV divides H; B < 65,536.
// Numerics s, m, sums and y accumulate in f32; the sum of exponentials is of
//          unrounded terms, the terms that multiply v are rounded to bf16.
// Work     4 D flops a visible pair on mma.sync, one exponential, 1/8 of a
//          philox call; reads q once, k and v once a 64 queries, writes y, lse.
// Source   Dao 2023, arXiv:2307.08691, algorithm 1.
template <int D> DEVICE void attention_forward(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    if (int(blockIdx.z) >= *a.sequences) return;
    const Sequence s = sequence(a, blockIdx.z);
    const int head = blockIdx.x, stride = a.heads * D, kv_stride = a.kv_heads * D;
    // Under causality the last tiles have most keys: they begin first.
    const int first = kStay * (gridDim.y - 1 - blockIdx.y);
    if (first >= s.queries) return;

    const int rows = min(kStay, s.queries - first);
    const int steps = (s.seen(first + rows - 1) + kPass - 1) / kPass;
    const int64_t kv_at = int64_t(s.k0) * kv_stride + head * a.kv_heads / a.heads * D;
    const bf16* k = static_cast<const bf16*>(a.k) + kv_at;
    const bf16* v = static_cast<const bf16*>(a.v) + kv_at;
    const int64_t q_at = int64_t(s.q0 + first) * stride + head * D;

    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    bf16* passing = q_tile + kStay * D;
    auto k_tile = [&](int step) { return passing + step % kStages<D> * (2 * kPass * D); };
    auto v_tile = [&](int step) { return k_tile(step) + kPass * D; };
    auto load = [&](int step) {
        if (step < steps) {
            const int64_t at = int64_t(step) * kPass * kv_stride;
            load_tile<D, kPass, true>(k_tile(step), k + at, kv_stride, s.keys - step * kPass);
            load_tile<D, kPass, true>(v_tile(step), v + at, kv_stride, s.keys - step * kPass);
        }
        cp_async_commit();
    };
    load_tile<D, kStay, false>(q_tile, static_cast<const bf16*>(a.q) + q_at, stride, rows);
    UNROLL
    for (int step = 0; step < kStages<D> - 1; step++) load(step);

    const int lane = threadIdx.x % 32, t = lane % 4;
    const int top = threadIdx.x / 32 * 16;         // of the warp's rows in the tile
    const int i0 = first + top + lane / 4, i1 = i0 + 8; // the lane's queries
    const int seen = top < rows ? s.seen(min(first + top + 15, s.queries - 1)) : 0;
    const float c = a.scale * kLog2e;
    const Mask mask(a, head);
    const float none = negative_infinity();
    float o[D / 8][4] = {}, m[2] = {none, none}, sum[2] = {0.0f, 0.0f};

    for (int step = 0; step < steps; step++) {
        cp_async_wait<kStages<D> - 2>();
        __syncthreads();
        load(step + kStages<D> - 1);
        const int j0 = step * kPass;
        if (j0 >= seen) continue;

        float p[4][4] = {};
        multiply_transposed<D>(p, q_tile, top, k_tile(step));
        // The key of p[n][0] and p[n][2] is j + 2n, that of the others one more.
        const int j = j0 + 8 * t;
        if (j0 + kPass > s.seen(first + top)) {
            UNROLL
            for (int n = 0; n < 4; n++) {
                UNROLL
                for (int e = 0; e < 4; e++) {
                    if (!s.sees(e < 2 ? i0 : i1, j + 2 * n + e % 2)) p[n][e] = none;
                }
            }
        }
        float most[2] = {m[0], m[1]};
        UNROLL
        for (int n = 0; n < 4; n++) {
            most[0] = fmaxf(most[0], fmaxf(p[n][0], p[n][1]));
            most[1] = fmaxf(most[1], fmaxf(p[n][2], p[n][3]));
        }
        UNROLL
        for (int r = 0; r < 2; r++) {
            most[r] = fmaxf(most[r], __shfl_xor_sync(kAllLanes, most[r], 1));
            most[r] = fmaxf(most[r], __shfl_xor_sync(kAllLanes, most[r], 2));
        }
        if (__any_sync(kAllLanes, most[0] > m[0] || most[1] > m[1])) {
            float down[2];
            UNROLL
            for (int r = 0; r < 2; r++) {
                down[r] = m[r] == none ? 0.0f : power2((m[r] - most[r]) * c);
                m[r] = most[r];
                sum[r] *= down[r];
            }
            UNROLL
            for (int n = 0; n < D / 8; n++) {
                o[n][0] *= down[0];
                o[n][1] *= down[0];
                o[n][2] *= down[1];
                o[n][3] *= down[1];
            }
        }
        const float zero[2] = {m[0] == none ? 0.0f : -m[0] * c, m[1] == none ? 0.0f : -m[1] * c};
        UNROLL
        for (int n = 0; n < 4; n++) {
            UNROLL
            for (int e = 0; e < 4; e++) {
                p[n][e] = power2(fmaf(p[n][e], c, zero[e / 2]));
                sum[e / 2] += p[n][e];
            }
        }
        if (mask.active()) {
            UNROLL
            for (int r = 0; r < 2; r++) {
                const Words lots = mask.draw(s.q0 + (r == 0 ? i0 : i1), j / 8);
                UNROLL
                for (int n = 0; n < 4; n++) {
                    UNROLL
                    for (int e = 0; e < 2; e++) {
                        if (!mask.keeps(lots, 2 * n + e)) p[n][2 * r + e] = 0.0f;
                    }
                }
            }
        }
        multiply_add<D>(o, p, v_tile(step));
    }
    cp_async_wait<0>();
    // Q comes with the first step: without one nobody has waited for it, and
    // without a barrier here a copy of another warp could land on the result.
    if (steps == 0) __syncthreads();
    if (top >= rows) return;

    float factor[2];
    UNROLL
    for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(kAllLanes, sum[r], 1);
        sum[r] += __shfl_xor_sync(kAllLanes, sum[r], 2);
        const bool empty = sum[r] == 0.0f;
        factor[r] = empty ? 0.0f : kept_scale(a) / sum[r];
        const int i = r == 0 ? i0 : i1;
        if (t == 0 && i < s.queries) {
            a.lse[int64_t(s.q0 + i) * a.heads + head] = empty ? none : fmaf(m[r], a.scale, logf(sum[r]));
        }
    }
    store_rows<D>(static_cast<bf16*>(a.y) + q_at + int64_t(top) * stride, stride, rows - top, o, factor[0], factor[1], q_tile, top);
}
KERNEL_RESIDENT(attention_forward_d32_bf16, AttentionArgs, 128, 5) { attention_forward<32>(a); }
KERNEL_RESIDENT(attention_forward_d64_bf16, AttentionArgs, 128, 4) { attention_forward<64>(a); }
KERNEL_RESIDENT(attention_forward_d128_bf16, AttentionArgs, 128, 3) { attention_forward<128>(a); }
