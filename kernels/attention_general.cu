// Attention and its gradient for any head size up to 256, in f32 and bf16, with arithmetic in f32. See
// compute.Attention. attention_forward.cu and attention_backward.cu have the formulas, and the kernels for the head
// sizes that tensor cores take.
#include "attention_rows.cuh"

// attention_forward (any head size): see attention_forward.cu.
//
//   q, y         [NQ,H*D]   f32 or bf16
//   k, v         [NK,HKV*D] likewise
//   lse          [NQ,H]     f32, out
//   cu_q, cu_k   [B+1]      int32
//   bias         [K,H]      as q, buckets [2P-1] int32, of the kernels with bias in their name
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/16), B), block 128, dynamic shared memory 64 W + 256 P + 2048 bytes, where W is D
//          rounded up to 4, and P is W + 4 if 8 divides W, and W otherwise. The kernels with a bias take
//          4 (max keys + 48) bytes more.
// Limits   D <= 256; scale > 0; HKV divides H, and is H with a bias; B < 65,536. 16-byte accesses need D % 8 == 0 and
//          tensors aligned to 16 bytes.
// Numerics f32 throughout; y is rounded to its type.
// Work     4 D flops per visible pair, half of them bound by shared memory. Reads q once, and k and v once per 16
//          queries.
// Source   Dao 2023, arXiv:2307.08691, algorithm 1.
template <typename T, bool biased> DEVICE void attention_forward(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    QueryBlock b;
    if (!b.find(a, kStay, a.head_dim)) return;
    const Sequence& s = b.s;
    const Tiles<1> tiles(shared, a.head_dim);
    tiles.template load_stay<T>(0, a.q, b.q_at, b.stride, b.rows, a);
    Bias<biased> bias(tiles.end());
    bias.template load<T>(a, b.head, -(b.first + kStay - 1), kStay + s.keys + kPass);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * kRows, last = s.seen(b.first + b.rows - 1);
    const float c = a.scale * kLog2e;
    const Mask mask(a, b.head);
    float o[kRows][kChunks] = {}, m[kRows], sum[kRows] = {};
    UNROLL
    for (int r = 0; r < kRows; r++) m[r] = negative_infinity();

    for (int j0 = 0; j0 < last; j0 += kPass) {
        tiles.template load_pass<T>(a.k, a.v, b.key_at(j0), b.kv_stride, s.keys - j0, a);
        float p[kRows];
        products(p, tiles.stay[0] + top * tiles.w.stay, tiles.pass[0], tiles.w);
        const uint32_t keep = mask.active() ? keep_rows(mask, s.q0 + b.first + top, j0) : kAllLanes;
        UNROLL
        for (int r = 0; r < kRows; r++) {
            const bool sees = s.sees(b.first + top + r, j0 + lane);
            bias.add(p[r], b.first + top + r, j0 + lane);
            const float most = fmaxf(m[r], warp_max(sees ? p[r] : negative_infinity()));
            const float down = m[r] == negative_infinity() ? 0.0f : power2((m[r] - most) * c);
            p[r] = sees ? power2((p[r] - most) * c) : 0.0f;
            m[r] = most;
            sum[r] = sum[r] * down + p[r];
            if (!(keep >> r & 1)) p[r] = 0.0f;
            UNROLL
            for (int n = 0; n < kChunks; n++) o[r][n] *= down;
        }
        multiply_add(o, tiles.p, p, tiles.pass[1], tiles.w, a.head_dim);
    }

    float factor[kRows];
    UNROLL
    for (int r = 0; r < kRows; r++) {
        const float total = warp_sum(sum[r]);
        const bool empty = total == 0.0f;
        factor[r] = empty ? 0.0f : kept_scale(a) / total;
        const int i = b.first + top + r;
        if (lane == 0 && i < s.queries) {
            a.lse[int64_t(s.q0 + i) * a.heads + b.head] =
                empty ? negative_infinity() : fmaf(m[r], a.scale, logf(total));
        }
    }
    T* y = static_cast<T*>(a.y) + b.q_at + int64_t(top) * b.stride;
    store_rows(y, b.stride, b.rows - top, o, factor, a.head_dim);
}
KERNEL_RESIDENT(attention_forward_f32, AttentionArgs, 128, 4) { attention_forward<float, false>(a); }
KERNEL_RESIDENT(attention_forward_bf16, AttentionArgs, 128, 4) { attention_forward<bf16, false>(a); }
KERNEL_RESIDENT(attention_forward_bias_f32, AttentionArgs, 128, 3) { attention_forward<float, true>(a); }
KERNEL_RESIDENT(attention_forward_bias_bf16, AttentionArgs, 128, 3) { attention_forward<bf16, true>(a); }

// attention_backward_kv (any head size): dk and dv, see attention_backward.cu.
//
//   q, dy        [NQ,H*D]   f32 or bf16
//   k, v, dk, dv [NK,HKV*D] likewise
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//   bias         [K,H]      as q, buckets [2P-1] int32, of the kernels with bias in their name
//
// Launched by internal/gpu/attention.go.
// Launch   grid (HKV, ceil(max keys/16), B), block 128, dynamic shared memory 128 W + 256 P + 2048 bytes, with W and P
//          as in attention_forward, and 4 (max queries + 48) more with a bias.
// Limits   as attention_forward.
// Numerics f32 throughout; dk and dv are rounded to their type.
// Work     8 D flops per visible pair. Reads k and v once, and q and dy once per 16 keys.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <typename T, bool biased> DEVICE void attention_backward_kv(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    KeyBlock b;
    if (!b.find(a, kStay, a.head_dim)) return;
    const Sequence& s = b.s;
    const Tiles<2> tiles(shared, a.head_dim);
    tiles.template load_stay<T>(0, a.k, b.kv_at, b.kv_stride, b.rows, a);
    tiles.template load_stay<T>(1, a.v, b.kv_at, b.kv_stride, b.rows, a);
    Bias<biased> bias(tiles.end());
    bias.template load<T>(a, b.head, b.first - (s.queries + kPass - 1), kStay + s.queries + kPass);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * kRows, from = b.first_tile(a, kPass);
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    float dk[kRows][kChunks] = {}, dv[kRows][kChunks] = {};

    for (int head = b.head * b.group; head < (b.head + 1) * b.group; head++) {
        const Mask mask(a, head);
        for (int i0 = from; i0 < s.queries; i0 += kPass) {
            const int64_t at = int64_t(s.q0 + i0) * b.stride + head * a.head_dim;
            tiles.template load_pass<T>(a.q, a.dy, at, b.stride, s.queries - i0, a);
            float p[kRows], ds[kRows];
            products(p, tiles.stay[0] + top * tiles.w.stay, tiles.pass[0], tiles.w);
            products(ds, tiles.stay[1] + top * tiles.w.stay, tiles.pass[1], tiles.w);
            const int i = i0 + lane, octet = (b.first + top) / 8; // the warp's keys are half of the octet
            const int64_t row = int64_t(s.q0 + i) * a.heads + head;
            const float lse = i < s.queries ? a.lse[row] * kLog2e : 0.0f;
            const float delta = i < s.queries ? a.delta[row] : 0.0f;
            const uint32_t keep = mask.active() ? mask.bits(mask.draw(s.q0 + i, octet)) >> (top % 8) : kAllLanes;
            UNROLL
            for (int r = 0; r < kRows; r++) {
                bias.add(p[r], i, b.first + top + r);
                const float y = s.sees(i, b.first + top + r) ? power2(fmaf(p[r], c, -lse)) : 0.0f;
                const bool keeps = keep >> r & 1;
                ds[r] = y * ((keeps ? kept * ds[r] : 0.0f) - delta);
                p[r] = keeps ? y : 0.0f;
            }
            multiply_add(dv, tiles.p, p, tiles.pass[1], tiles.w, a.head_dim);
            multiply_add(dk, tiles.p, ds, tiles.pass[0], tiles.w, a.head_dim);
        }
    }

    float factor[2][kRows];
    UNROLL
    for (int r = 0; r < kRows; r++) {
        factor[0][r] = a.scale;
        factor[1][r] = kept;
    }
    const int64_t at = b.kv_at + int64_t(top) * b.kv_stride;
    store_rows(static_cast<T*>(a.dk) + at, b.kv_stride, b.rows - top, dk, factor[0], a.head_dim);
    store_rows(static_cast<T*>(a.dv) + at, b.kv_stride, b.rows - top, dv, factor[1], a.head_dim);
}
KERNEL_RESIDENT(attention_backward_kv_f32, AttentionArgs, 128, 3) { attention_backward_kv<float, false>(a); }
KERNEL_RESIDENT(attention_backward_kv_bf16, AttentionArgs, 128, 3) { attention_backward_kv<bf16, false>(a); }
KERNEL_RESIDENT(attention_backward_kv_bias_f32, AttentionArgs, 128, 2) { attention_backward_kv<float, true>(a); }
KERNEL_RESIDENT(attention_backward_kv_bias_bf16, AttentionArgs, 128, 2) { attention_backward_kv<bf16, true>(a); }

// attention_backward_q (any head size): dq, see attention_backward.cu.
//
//   q, dy, dq    [NQ,H*D]   f32 or bf16
//   k, v         [NK,HKV*D] likewise
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//   bias         [K,H]      as q, buckets [2P-1] int32, of the kernels with bias in their name
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/16), B), block 128, dynamic shared memory 128 W + 256 P + 2048 bytes, with W and P
//          as in attention_forward, and 4 (max keys + 48) more with a bias.
// Limits   as attention_forward.
// Numerics f32 throughout; dq is rounded to its type.
// Work     6 D flops per visible pair. Reads q and dy once, and k and v once per 16 queries.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <typename T, bool biased> DEVICE void attention_backward_q(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    QueryBlock b;
    if (!b.find(a, kStay, a.head_dim)) return;
    const Sequence& s = b.s;
    const Tiles<2> tiles(shared, a.head_dim);
    tiles.template load_stay<T>(0, a.q, b.q_at, b.stride, b.rows, a);
    tiles.template load_stay<T>(1, a.dy, b.q_at, b.stride, b.rows, a);
    Bias<biased> bias(tiles.end());
    bias.template load<T>(a, b.head, -(b.first + kStay - 1), kStay + s.keys + kPass);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * kRows, last = s.seen(b.first + b.rows - 1);
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    const Mask mask(a, b.head);
    float dq[kRows][kChunks] = {}, lse[kRows], delta[kRows], factor[kRows];
    UNROLL
    for (int r = 0; r < kRows; r++) {
        const int i = b.first + top + r;
        const int64_t row = int64_t(s.q0 + i) * a.heads + b.head;
        lse[r] = i < s.queries ? a.lse[row] * kLog2e : 0.0f;
        delta[r] = i < s.queries ? a.delta[row] : 0.0f;
        factor[r] = a.scale;
    }

    for (int j0 = 0; j0 < last; j0 += kPass) {
        tiles.template load_pass<T>(a.k, a.v, b.key_at(j0), b.kv_stride, s.keys - j0, a);
        float p[kRows], ds[kRows];
        products(p, tiles.stay[0] + top * tiles.w.stay, tiles.pass[0], tiles.w);
        products(ds, tiles.stay[1] + top * tiles.w.stay, tiles.pass[1], tiles.w);
        const uint32_t keep = mask.active() ? keep_rows(mask, s.q0 + b.first + top, j0) : kAllLanes;
        UNROLL
        for (int r = 0; r < kRows; r++) {
            bias.add(p[r], b.first + top + r, j0 + lane);
            const float y = s.sees(b.first + top + r, j0 + lane) ? power2(fmaf(p[r], c, -lse[r])) : 0.0f;
            ds[r] = y * ((keep >> r & 1 ? kept * ds[r] : 0.0f) - delta[r]);
        }
        multiply_add(dq, tiles.p, ds, tiles.pass[0], tiles.w, a.head_dim);
    }
    T* to = static_cast<T*>(a.dq) + b.q_at + int64_t(top) * b.stride;
    store_rows(to, b.stride, b.rows - top, dq, factor, a.head_dim);
}
KERNEL_RESIDENT(attention_backward_q_f32, AttentionArgs, 128, 4) { attention_backward_q<float, false>(a); }
KERNEL_RESIDENT(attention_backward_q_bf16, AttentionArgs, 128, 4) { attention_backward_q<bf16, false>(a); }
KERNEL_RESIDENT(attention_backward_q_bias_f32, AttentionArgs, 128, 3) { attention_backward_q<float, true>(a); }
KERNEL_RESIDENT(attention_backward_q_bias_bf16, AttentionArgs, 128, 3) { attention_backward_q<bf16, true>(a); }
