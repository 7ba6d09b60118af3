// The gradient of attention in bf16 for head sizes 32, 64 and 128. See
// compute.AttentionGrad; attention_general.cu has the other sizes, and f32.
//
//   p[i,j]  = 2^(scale log2(e) q[i].k[j] - log2(e) lse[i])
//   ds[i,j] = p[i,j] (mask[i,j] dy[i].v[j] - delta[i])
//   dv[j]   = sum_i mask[i,j] p[i,j] dy[i]
//   dk[j]   = scale sum_i ds[i,j] q[i]
//   dq[i]   = scale sum_j ds[i,j] k[j]
//
// A block owns what it sums up, so each sum has one order: dk and dv belong to
// blocks of keys, dq to blocks of queries, and both rebuild p and ds. Where a
// sequence has no more keys than a block, dq is complete in the first kernel.
#include "attention_tiles.cuh"

struct DeltaArgs {
    const void *y, *dy;
    float* delta;
    const int32_t* n; // NQ
    int32_t heads, head_dim;
    int32_t lanes;  // a power of 2 up to 32
    int32_t vector; // rows may be read 16 bytes at a time
};

// attention_delta: what the gradient of softmax subtracts.
//
//   delta[n,h] = sum_d dy[n,h,d] y[n,h,d]
//
//   y, dy  [N,H*D] f32 or bf16
//   delta  [N,H]   f32, out
//
// Launched by internal/gpu/attention.go.
// Launch   grid ceil(N H lanes/256), block 256 (lanes threads a head of a row),
//          no shared memory.
// Limits   N H lanes < 2^31; the vector path needs D % 8 == 0 and y, dy aligned
//          to 16 bytes.
// Numerics f32 accumulation, then a tree over the lanes.
// Work     2NHD reads, NH writes; memory bound.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2, line 4.
template <typename T> DEVICE void attention_delta(const DeltaArgs& a) {
    const int at = (blockIdx.x * 256 + threadIdx.x) / a.lanes, lane = threadIdx.x % a.lanes;
    const bool there = at < *a.n * a.heads;
    const T* y = static_cast<const T*>(a.y) + (there ? int64_t(at) * a.head_dim : 0);
    const T* dy = static_cast<const T*>(a.dy) + (there ? int64_t(at) * a.head_dim : 0);
    const int end = there ? a.head_dim : 0;
    float sum = 0.0f;
    if (a.vector) {
        for (int d = 8 * lane; d < end; d += 8 * a.lanes) {
            float u[8], v[8];
            load8(u, y + d);
            load8(v, dy + d);
            UNROLL
            for (int i = 0; i < 8; i++) sum = fmaf(u[i], v[i], sum);
        }
    } else {
        for (int d = lane; d < end; d += a.lanes) sum = fmaf(to_float(y[d]), to_float(dy[d]), sum);
    }
    for (int d = a.lanes / 2; d > 0; d >>= 1) sum += __shfl_xor_sync(kAllLanes, sum, d);
    if (there && lane == 0) a.delta[at] = sum;
}
KERNEL(attention_delta_f32, DeltaArgs, 256) { attention_delta<float>(a); }
KERNEL(attention_delta_bf16, DeltaArgs, 256) { attention_delta<bf16>(a); }

// attention_backward_kv: dk and dv, and dq of sequences of up to 64 keys.
//
//   q, dy        [NQ,H*D]   bf16, aligned to 16 bytes; dq likewise, or absent
//   k, v, dk, dv [NK,HKV*D] bf16, aligned to 16 bytes
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//
// Queries pass by in tiles of 32, one query head of the group after the other.
// The products are transposed, keys by queries, so that p and ds are operands
// of the sums as they are; for dq, ds crosses shared memory.
//
// Launched by internal/gpu/attention.go.
// Launch   grid (HKV, ceil(max keys/64), B), block 128, dynamic shared memory
//          256 D + (128 D + 256) stages + 4096 bytes, stages 2 for D = 128 and
//          3 below.
// Limits   D 32, 64, 128; scale > 0; HKV divides H; B < 65,536.
// Numerics f32 accumulation; p and ds are rounded to bf16 as operands.
// Work     8 D flops a visible pair on mma.sync, 10 D where it has dq; reads k
//          and v once, q and dy once a 64 keys, writes dk, dv.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <int D> DEVICE void attention_backward_kv(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    if (int(blockIdx.z) >= *a.sequences) return;
    const Sequence s = sequence(a, blockIdx.z);
    const int kv_head = blockIdx.x, stride = a.heads * D, kv_stride = a.kv_heads * D;
    const int first = kStay * blockIdx.y;
    if (first >= s.keys) return;

    const int rows = min(kStay, s.keys - first);
    const int group = a.heads / a.kv_heads;
    const bool whole = s.keys <= kStay && a.dq != nullptr;
    // The first tile with a query that sees any of the keys; but all have a dq.
    const int from = whole || !a.causal ? 0 : max(0, first + 1 - s.shift) / kPass * kPass;
    const int steps = max(0, (s.queries - from + kPass - 1) / kPass) * group;
    const int64_t kv_at = int64_t(s.k0 + first) * kv_stride + kv_head * D;
    const bf16* q = static_cast<const bf16*>(a.q);
    const bf16* dy = static_cast<const bf16*>(a.dy);

    bf16* k_tile = reinterpret_cast<bf16*>(shared);
    bf16* v_tile = k_tile + kStay * D;
    bf16* passing = v_tile + kStay * D;
    bf16* ds_tile = passing + kStages<D> * (2 * kPass * D); // [64 keys, 32 queries]
    float* stats = reinterpret_cast<float*>(ds_tile + kStay * kPass);
    auto q_tile = [&](int step) { return passing + step % kStages<D> * (2 * kPass * D); };
    auto dy_tile = [&](int step) { return q_tile(step) + kPass * D; };
    auto stat = [&](int step) { return stats + step % kStages<D> * (2 * kPass); };
    // Passing names the tile of a step: first query, and head.
    struct Passing {
        int i, head;
    } now{from, kv_head * group}, ahead = now;
    auto advance = [&](Passing& at) {
        at.i += kPass;
        if (at.i < s.queries) return;
        at.i = from;
        at.head++;
    };
    auto load = [&](int step) {
        if (step < steps) {
            const int64_t at = int64_t(s.q0 + ahead.i) * stride + ahead.head * D;
            load_tile<D, kPass, false>(q_tile(step), q + at, stride, s.queries - ahead.i);
            load_tile<D, kPass, false>(dy_tile(step), dy + at, stride, s.queries - ahead.i);
        }
        cp_async_commit();
    };
    // The first 32 threads read lse, the next delta.
    auto read_stat = [&](int step) {
        const int i = ahead.i + threadIdx.x % kPass;
        if (threadIdx.x >= 2 * kPass || step >= steps || i >= s.queries) return 0.0f;
        const int64_t at = int64_t(s.q0 + i) * a.heads + ahead.head;
        return threadIdx.x < kPass ? finite_lse(a.lse[at]) : a.delta[at];
    };
    load_tile<D, kStay, false>(k_tile, static_cast<const bf16*>(a.k) + kv_at, kv_stride, rows);
    load_tile<D, kStay, false>(v_tile, static_cast<const bf16*>(a.v) + kv_at, kv_stride, rows);
    UNROLL
    for (int step = 0; step < kStages<D> - 1; step++) {
        load(step);
        if (threadIdx.x < 2 * kPass) stat(step)[threadIdx.x] = read_stat(step);
        advance(ahead);
    }

    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int top = threadIdx.x / 32 * 16; // of the warp's keys in the tile
    const int j0 = first + top;
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    Mask mask(a, 0);
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};

    for (int step = 0; step < steps; step++, advance(now)) {
        cp_async_wait<kStages<D> - 2>();
        __syncthreads();
        load(step + kStages<D> - 1);
        const float next = read_stat(step + kStages<D> - 1);
        advance(ahead);
        const int i0 = now.i;
        const bool any = top < rows && j0 < s.seen(i0 + kPass - 1);
        float p[4][4] = {}, ds[4][4] = {};
        if (any) {
            multiply_transposed<D>(p, k_tile, top, q_tile(step));
            multiply_transposed<D>(ds, v_tile, top, dy_tile(step));
        }
        if (threadIdx.x < 2 * kPass) stat(step + kStages<D> - 1)[threadIdx.x] = next;
        if (any) {
            mask.head = now.head;
            uint32_t bits[4] = {kAllLanes, kAllLanes, kAllLanes, kAllLanes};
            if (mask.active()) {
                UNROLL
                for (int n = 0; n < 4; n += 2) {
                    // Lane l draws 8 of the warp's keys, l%2, for query l/2 of
                    // 16. Then lane 4 x has them all for queries 2x and 2x + 1.
                    uint32_t b = mask.bits(mask.draw(s.q0 + i0 + 8 * n + lane / 2, j0 / 8 + lane % 2)) << (8 * (lane % 2));
                    b |= __shfl_xor_sync(kAllLanes, b, 1);
                    b |= __shfl_down_sync(kAllLanes, b, 2) << 16;
                    bits[n] = __shfl_sync(kAllLanes, b, 4 * t) >> g;
                    bits[n + 1] = __shfl_sync(kAllLanes, b, 16 + 4 * t) >> g;
                }
            }
            // Rows are keys g and g + 8 of the warp, columns queries x and x + 1.
            if (i0 + kPass > s.queries || j0 + 16 > s.seen(i0)) {
                UNROLL
                for (int n = 0; n < 4; n++) {
                    UNROLL
                    for (int e = 0; e < 4; e++) {
                        if (!s.sees(i0 + 8 * n + 2 * t + e % 2, j0 + g + 8 * (e / 2))) p[n][e] = negative_infinity();
                    }
                }
            }
            UNROLL
            for (int n = 0; n < 4; n++) {
                const float* x = stat(step) + 8 * n + 2 * t;
                const float lse[2] = {x[0], x[1]}, delta[2] = {x[kPass], x[kPass + 1]};
                UNROLL
                for (int e = 0; e < 4; e++) {
                    const float y = power2(fmaf(p[n][e], c, -lse[e % 2]));
                    const bool keep = bits[n] & (1u << (8 * (e / 2) + 16 * (e % 2)));
                    ds[n][e] = y * fmaf(keep ? kept : 0.0f, ds[n][e], -delta[e % 2]);
                    p[n][e] = keep ? y : 0.0f;
                }
            }
            multiply_add<D>(dv, p, dy_tile(step));
            multiply_add<D>(dk, ds, q_tile(step));
        }
        if (whole) {
            UNROLL
            for (int n = 0; n < 4; n++) {
                *reinterpret_cast<uint32_t*>(cell<kPass>(ds_tile, top + g, n) + 2 * t) = pack_bf16(ds[n][0], ds[n][1]);
                *reinterpret_cast<uint32_t*>(cell<kPass>(ds_tile, top + g + 8, n) + 2 * t) = pack_bf16(ds[n][2], ds[n][3]);
            }
            __syncthreads();
            // A warp has 16 of the queries and half of the columns.
            const int x = threadIdx.x / 64 * 16, half = threadIdx.x / 32 % 2 * (D / 16);
            float dq[D / 16][4] = {};
            UNROLL
            for (int kk = 0; kk < kStay / 16; kk++) {
                if (16 * kk >= rows) break;
                uint32_t left[4];
                ldmatrix_x4_trans(left, cell<kPass>(ds_tile, 16 * kk + lane % 8 + 8 * (lane / 16), x / 8 + lane / 8 % 2));
                UNROLL
                for (int n = 0; n < D / 16; n += 2) {
                    uint32_t right[4];
                    ldmatrix_x4_trans(right, cell<D>(k_tile, 16 * kk + lane % 16, half + n + lane / 16));
                    mma_bf16(dq[n], left, {right[0], right[1]});
                    mma_bf16(dq[n + 1], left, {right[2], right[3]});
                }
            }
            UNROLL
            for (int r = 0; r < 2; r++) {
                const int i = i0 + x + g + 8 * r;
                if (i >= s.queries) continue;
                bf16* row = static_cast<bf16*>(a.dq) + int64_t(s.q0 + i) * stride + now.head * D + 8 * half + 2 * t;
                UNROLL
                for (int n = 0; n < D / 16; n++) {
                    *reinterpret_cast<uint32_t*>(row + 8 * n) = pack_bf16(dq[n][2 * r] * a.scale, dq[n][2 * r + 1] * a.scale);
                }
            }
        }
    }
    cp_async_wait<0>();
    __syncthreads(); // k_tile and v_tile become room for the results
    if (top >= rows) return;
    const int64_t at = kv_at + int64_t(top) * kv_stride;
    store_rows<D>(static_cast<bf16*>(a.dk) + at, kv_stride, rows - top, dk, a.scale, a.scale, k_tile, top);
    store_rows<D>(static_cast<bf16*>(a.dv) + at, kv_stride, rows - top, dv, kept, kept, v_tile, top);
}
KERNEL_RESIDENT(attention_backward_kv_d32_bf16, AttentionArgs, 128, 4) { attention_backward_kv<32>(a); }
KERNEL_RESIDENT(attention_backward_kv_d64_bf16, AttentionArgs, 128, 3) { attention_backward_kv<64>(a); }
KERNEL_RESIDENT(attention_backward_kv_d128_bf16, AttentionArgs, 128, 2) { attention_backward_kv<128>(a); }

// attention_backward_q: dq of sequences of no key or more than 64.
//
//   q, dy, dq    [NQ,H*D]   bf16, aligned to 16 bytes
//   k, v         [NK,HKV*D] bf16, aligned to 16 bytes
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//
// Keys pass by in tiles of 32, as in attention_forward.
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/64), B), block 128, dynamic shared memory
//          256 D + 128 D stages bytes, stages 2 for D = 128 and 3 below.
// Limits   D 32, 64, 128; scale > 0; HKV divides H; B < 65,536.
// Numerics f32 accumulation; ds is rounded to bf16 as an operand.
// Work     6 D flops a visible pair on mma.sync; reads q and dy once, k and v
//          once a 64 queries, writes dq.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <int D> DEVICE void attention_backward_q(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    if (int(blockIdx.z) >= *a.sequences) return;
    const Sequence s = sequence(a, blockIdx.z);
    const int head = blockIdx.x, stride = a.heads * D, kv_stride = a.kv_heads * D;
    const int first = kStay * (gridDim.y - 1 - blockIdx.y);
    if (first >= s.queries || (s.keys > 0 && s.keys <= kStay)) return;

    const int rows = min(kStay, s.queries - first);
    const int steps = (s.seen(first + rows - 1) + kPass - 1) / kPass;
    const int64_t kv_at = int64_t(s.k0) * kv_stride + head * a.kv_heads / a.heads * D;
    const bf16* k = static_cast<const bf16*>(a.k) + kv_at;
    const bf16* v = static_cast<const bf16*>(a.v) + kv_at;
    const int64_t q_at = int64_t(s.q0 + first) * stride + head * D;

    bf16* q_tile = reinterpret_cast<bf16*>(shared);
    bf16* dy_tile = q_tile + kStay * D;
    bf16* passing = dy_tile + kStay * D;
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
    load_tile<D, kStay, false>(dy_tile, static_cast<const bf16*>(a.dy) + q_at, stride, rows);
    UNROLL
    for (int step = 0; step < kStages<D> - 1; step++) load(step);

    const int lane = threadIdx.x % 32, t = lane % 4;
    const int top = threadIdx.x / 32 * 16;
    const int i[2] = {first + top + lane / 4, first + top + lane / 4 + 8};
    const int seen = top < rows ? s.seen(min(first + top + 15, s.queries - 1)) : 0;
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    const Mask mask(a, head);
    float lse[2], delta[2];
    UNROLL
    for (int r = 0; r < 2; r++) {
        const int64_t at = int64_t(s.q0 + i[r]) * a.heads + head;
        lse[r] = i[r] < s.queries ? finite_lse(a.lse[at]) : 0.0f;
        delta[r] = i[r] < s.queries ? a.delta[at] : 0.0f;
    }
    float dq[D / 8][4] = {};

    for (int step = 0; step < steps; step++) {
        cp_async_wait<kStages<D> - 2>();
        __syncthreads();
        load(step + kStages<D> - 1);
        const int j0 = step * kPass, j = j0 + 8 * t;
        if (j0 >= seen) continue;

        float p[4][4] = {}, ds[4][4] = {};
        multiply_transposed<D>(p, q_tile, top, k_tile(step));
        multiply_transposed<D>(ds, dy_tile, top, v_tile(step));
        // The key of p[n][0] and p[n][2] is j + 2n, that of the others one more.
        if (j0 + kPass > s.seen(first + top)) {
            UNROLL
            for (int n = 0; n < 4; n++) {
                UNROLL
                for (int e = 0; e < 4; e++) {
                    if (!s.sees(i[e / 2], j + 2 * n + e % 2)) p[n][e] = negative_infinity();
                }
            }
        }
        UNROLL
        for (int r = 0; r < 2; r++) {
            Words lots = {{kAllLanes, kAllLanes, kAllLanes, kAllLanes}};
            if (mask.active()) lots = mask.draw(s.q0 + i[r], j / 8);
            UNROLL
            for (int n = 0; n < 4; n++) {
                UNROLL
                for (int e = 0; e < 2; e++) {
                    float& x = ds[n][2 * r + e];
                    x = power2(fmaf(p[n][2 * r + e], c, -lse[r])) * fmaf(mask.keeps(lots, 2 * n + e) ? kept : 0.0f, x, -delta[r]);
                }
            }
        }
        multiply_add<D>(dq, ds, k_tile(step));
    }
    cp_async_wait<0>();
    if (steps == 0) __syncthreads(); // as in attention_forward
    if (top >= rows) return;
    store_rows<D>(static_cast<bf16*>(a.dq) + q_at + int64_t(top) * stride, stride, rows - top, dq, a.scale, a.scale, q_tile, top);
}
KERNEL_RESIDENT(attention_backward_q_d32_bf16, AttentionArgs, 128, 4) { attention_backward_q<32>(a); }
KERNEL_RESIDENT(attention_backward_q_d64_bf16, AttentionArgs, 128, 3) { attention_backward_q<64>(a); }
KERNEL_RESIDENT(attention_backward_q_d128_bf16, AttentionArgs, 128, 2) { attention_backward_q<128>(a); }
