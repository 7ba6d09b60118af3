// The gradient of attention for queries, in bf16 for head sizes 32, 64 and 128. attention_backward.cu has the formulas.
#include "attention_tiles.cuh"

namespace {

// slopes_of_rows replaces the products ds = dy vT by the gradient of the scores p. The lane has queries whose packed
// rows are n[0] and n[1], and 8 keys of the given octet in the order of spread.
DEVICE void slopes_of_rows(float (&ds)[4][4], const float (&p)[4][4], const Mask& mask, const int (&n)[2], int octet,
                           const float (&lse)[2], const float (&delta)[2], float c, float kept) {
    UNROLL
    for (int r = 0; r < 2; r++) {
        Words lots = {{kAllLanes, kAllLanes, kAllLanes, kAllLanes}};
        if (mask.active()) lots = mask.draw(n[r], octet);
        UNROLL
        for (int k = 0; k < 4; k++) {
            UNROLL
            for (int e = 0; e < 2; e++) {
                float& x = ds[k][2 * r + e];
                const float y = power2(fmaf(p[k][2 * r + e], c, -lse[r]));
                x = y * fmaf(mask.keeps(lots, 2 * k + e) ? kept : 0.0f, x, -delta[r]);
            }
        }
    }
}

} // namespace

// attention_backward_q: dq of sequences of no key or more than 64.
//
//   q, dy, dq    [NQ,H*D]   bf16, aligned to 16 bytes
//   k, v         [NK,HKV*D] bf16, aligned to 16 bytes
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//   bias         [K,H]      bf16, buckets [2P-1] int32, of the kernel with bias in its name
//
// Keys pass in tiles of 32, as in attention_forward.
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/64), B), block 128, dynamic shared memory 256 D + 128 D stages bytes, where stages
//          is 2 for D = 128 and 3 below, and 4 (max keys + 96) more with a bias.
// Limits   D 32, 64, 128, and 64 with a bias; scale > 0; HKV divides H; B < 65,536.
// Numerics f32 accumulation; ds is rounded to bf16 as an operand.
// Work     6 D flops per visible pair on mma.sync. Reads q and dy once, and k and v once per 64 queries; writes dq.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <int D, bool biased> DEVICE void attention_backward_q(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    QueryBlock b;
    if (!b.find(a, kStay, D) || (b.s.keys > 0 && b.s.keys <= kStay)) return;
    const Sequence& s = b.s;
    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    bf16* dy_tile = q_tile + kStay * D;
    const KeyRing<D> keys(dy_tile + kStay * D, a, b);
    load_tile<D, kStay, false>(q_tile, static_cast<const bf16*>(a.q) + b.q_at, b.stride, b.rows);
    load_tile<D, kStay, false>(dy_tile, static_cast<const bf16*>(a.dy) + b.q_at, b.stride, b.rows);
    keys.begin();
    Bias<biased> bias(reinterpret_cast<float*>(dy_tile + kStay * D + Ring<D>::size));
    bias.template load<bf16>(a, b.head, -(b.first + kStay - 1), kStay + s.keys + kPass);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * 16;
    const int i[2] = {b.first + top + lane / 4, b.first + top + lane / 4 + 8}; // the lane's queries
    const int seen = top < b.rows ? s.seen(min(b.first + top + 15, s.queries - 1)) : 0;
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    const Mask mask(a, b.head);
    float lse[2], delta[2];
    UNROLL
    for (int r = 0; r < 2; r++) {
        const int64_t at = int64_t(s.q0 + i[r]) * a.heads + b.head;
        lse[r] = i[r] < s.queries ? finite_lse(a.lse[at]) : 0.0f;
        delta[r] = i[r] < s.queries ? a.delta[at] : 0.0f;
    }
    float dq[D / 8][4] = {};

    for (int step = 0; step < keys.steps; step++) {
        keys.next(step);
        const int j0 = step * kPass, j = j0 + 8 * (lane % 4);
        if (j0 >= seen) continue;
        float p[4][4] = {}, ds[4][4] = {};
        multiply_transposed<D>(p, q_tile, top, keys.ring.first(step));
        multiply_transposed<D>(ds, dy_tile, top, keys.ring.second(step));
        add_bias(p, bias, i, j);
        if (j0 + kPass > s.seen(b.first + top)) hide_keys(p, s, i, j);
        slopes_of_rows(ds, p, mask, {s.q0 + i[0], s.q0 + i[1]}, j / 8, lse, delta, c, kept);
        multiply_add<D>(dq, ds, keys.ring.first(step));
    }
    keys.end();
    if (top >= b.rows) return;
    bf16* to = static_cast<bf16*>(a.dq) + b.q_at + int64_t(top) * b.stride;
    store_rows<D>(to, b.stride, b.rows - top, dq, a.scale, a.scale, q_tile, top);
}
KERNEL_RESIDENT(attention_backward_q_d32_bf16, AttentionArgs, 128, 4) { attention_backward_q<32, false>(a); }
KERNEL_RESIDENT(attention_backward_q_d64_bf16, AttentionArgs, 128, 3) { attention_backward_q<64, false>(a); }
KERNEL_RESIDENT(attention_backward_q_bias_d64_bf16, AttentionArgs, 128, 2) { attention_backward_q<64, true>(a); }
KERNEL_RESIDENT(attention_backward_q_d128_bf16, AttentionArgs, 128, 2) { attention_backward_q<128, false>(a); }
