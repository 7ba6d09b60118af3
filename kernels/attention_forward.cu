// Attention in bf16 for head sizes 32, 64 and 128. See compute.Attention. attention_general.cu has the other head
// sizes, and f32.
#include "attention_tiles.cuh"

namespace {

// Softmax has the state of two rows of the output: the largest score so far, and the sum of the exponentials relative
// to it.
struct Softmax {
    float most[2], sum[2];

    // raise includes the scores p in the maxima and reduces the sums and the output o to the new maxima. c is scale
    // log2(e).
    template <int D> DEVICE void raise(const float (&p)[4][4], float (&o)[D / 8][4], float c) {
        const float none = negative_infinity();
        float now[2] = {most[0], most[1]};
        UNROLL
        for (int n = 0; n < 4; n++) {
            now[0] = fmaxf(now[0], fmaxf(p[n][0], p[n][1]));
            now[1] = fmaxf(now[1], fmaxf(p[n][2], p[n][3]));
        }
        UNROLL
        for (int r = 0; r < 2; r++) {
            now[r] = fmaxf(now[r], __shfl_xor_sync(kAllLanes, now[r], 1));
            now[r] = fmaxf(now[r], __shfl_xor_sync(kAllLanes, now[r], 2));
        }
        if (!__any_sync(kAllLanes, now[0] > most[0] || now[1] > most[1])) return;
        float down[2];
        UNROLL
        for (int r = 0; r < 2; r++) {
            down[r] = most[r] == none ? 0.0f : power2((most[r] - now[r]) * c);
            most[r] = now[r];
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

    // exponentials replaces the scores p by 2^(c (p - most)) and adds them to the sums.
    DEVICE void exponentials(float (&p)[4][4], float c) {
        const float none = negative_infinity();
        const float zero[2] = {most[0] == none ? 0.0f : -most[0] * c, most[1] == none ? 0.0f : -most[1] * c};
        UNROLL
        for (int n = 0; n < 4; n++) {
            UNROLL
            for (int e = 0; e < 4; e++) {
                p[n][e] = power2(fmaf(p[n][e], c, zero[e / 2]));
                sum[e / 2] += p[n][e];
            }
        }
    }

    // finish returns the factor of row r of the output, query i of the sequence, and stores its lse.
    DEVICE float finish(const AttentionArgs& a, const QueryBlock& b, int r, int i) {
        sum[r] += __shfl_xor_sync(kAllLanes, sum[r], 1);
        sum[r] += __shfl_xor_sync(kAllLanes, sum[r], 2);
        const bool empty = sum[r] == 0.0f;
        if (threadIdx.x % 4 == 0 && i < b.s.queries) {
            a.lse[int64_t(b.s.q0 + i) * a.heads + b.head] =
                empty ? negative_infinity() : fmaf(most[r], a.scale, logf(sum[r]));
        }
        return empty ? 0.0f : kept_scale(a) / sum[r];
    }
};

// drop_keys sets the probabilities of dropped keys to 0. n[0] and n[1] are the packed rows of the lane's queries, and
// octet the number of its 8 keys.
DEVICE void drop_keys(float (&p)[4][4], const Mask& mask, const int (&n)[2], int octet) {
    UNROLL
    for (int r = 0; r < 2; r++) {
        const Words lots = mask.draw(n[r], octet);
        UNROLL
        for (int k = 0; k < 4; k++) {
            UNROLL
            for (int e = 0; e < 2; e++) {
                if (!mask.keeps(lots, 2 * k + e)) p[k][2 * r + e] = 0.0f;
            }
        }
    }
}

} // namespace

// attention_forward: softmax by rows without the matrix of probabilities.
//
//   s[i,j] = q[i] . k[j] + bias[buckets[P-1+j-i]] / scale,  c = scale log2(e),  m[i] = max_j s[i,j]
//   y[i]   = sum_j mask[i,j] 2^(c (s[i,j] - m[i])) v[j] / sum_j 2^(c (s[i,j] - m[i]))
//   lse[i] = scale m[i] + ln sum_j 2^(c (s[i,j] - m[i]))
//
//   q, y         [NQ,H*D]   bf16, aligned to 16 bytes
//   k, v         [NK,HKV*D] bf16, aligned to 16 bytes
//   lse          [NQ,H]     f32, out
//   cu_q, cu_k   [B+1]      int32
//   bias         [K,H]      bf16, buckets [2P-1] int32, of the kernel with bias in its name
//
// Keys come in tiles of 32. If a tile raises m, the sums of the tiles before are reduced to the new m. Query head h
// reads key head h HKV/H. Tiles that causality hides completely are not read. A query that sees no key gets zeros and
// an lse of -Inf.
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/64), B), block 128, dynamic shared memory 128 D + 128 D stages bytes, where stages
//          is 2 for D = 128 and 3 below, and 4 (max keys + 96) more with a bias.
// Limits   D 32, 64, 128, and 64 with a bias; scale > 0; HKV divides H, and is H with a bias; B < 65,536.
// Numerics s, m, sums and y accumulate in f32. The sum of exponentials has unrounded terms; the terms that multiply v
//          are rounded to bf16.
// Work     4 D flops per visible pair on mma.sync, one exponential and 1/8 of a philox call. Reads q once, and k and v
//          once per 64 queries; writes y and lse.
// Source   Dao 2023, arXiv:2307.08691, algorithm 1.
template <int D, bool biased> DEVICE void attention_forward(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    QueryBlock b;
    if (!b.find(a, kStay, D)) return;
    const Sequence& s = b.s;
    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    const KeyRing<D> keys(q_tile + kStay * D, a, b);
    load_tile<D, kStay, false>(q_tile, static_cast<const bf16*>(a.q) + b.q_at, b.stride, b.rows);
    keys.begin();
    Bias<biased> bias(reinterpret_cast<float*>(q_tile + kStay * D + Ring<D>::size));
    bias.template load<bf16>(a, b.head, -(b.first + kStay - 1), kStay + s.keys + kPass);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * 16;
    const int i[2] = {b.first + top + lane / 4, b.first + top + lane / 4 + 8}; // the lane's queries
    const int seen = top < b.rows ? s.seen(min(b.first + top + 15, s.queries - 1)) : 0;
    const float c = a.scale * kLog2e;
    const Mask mask(a, b.head);
    float o[D / 8][4] = {};
    Softmax softmax{{negative_infinity(), negative_infinity()}, {0.0f, 0.0f}};

    for (int step = 0; step < keys.steps; step++) {
        keys.next(step);
        const int j0 = step * kPass, j = j0 + 8 * (lane % 4);
        if (j0 >= seen) continue;
        float p[4][4] = {};
        multiply_transposed<D>(p, q_tile, top, keys.ring.first(step));
        add_bias(p, bias, i, j);
        if (j0 + kPass > s.seen(b.first + top)) hide_keys(p, s, i, j);
        softmax.raise<D>(p, o, c);
        softmax.exponentials(p, c);
        if (mask.active()) drop_keys(p, mask, {s.q0 + i[0], s.q0 + i[1]}, j / 8);
        multiply_add<D>(o, p, keys.ring.second(step));
    }
    keys.end();
    if (top >= b.rows) return;
    const float f0 = softmax.finish(a, b, 0, i[0]), f1 = softmax.finish(a, b, 1, i[1]);
    bf16* y = static_cast<bf16*>(a.y) + b.q_at + int64_t(top) * b.stride;
    store_rows<D>(y, b.stride, b.rows - top, o, f0, f1, q_tile, top);
}
KERNEL_RESIDENT(attention_forward_d32_bf16, AttentionArgs, 128, 5) { attention_forward<32, false>(a); }
KERNEL_RESIDENT(attention_forward_d64_bf16, AttentionArgs, 128, 4) { attention_forward<64, false>(a); }
KERNEL_RESIDENT(attention_forward_bias_d64_bf16, AttentionArgs, 128, 3) { attention_forward<64, true>(a); }
KERNEL_RESIDENT(attention_forward_d128_bf16, AttentionArgs, 128, 3) { attention_forward<128, false>(a); }
