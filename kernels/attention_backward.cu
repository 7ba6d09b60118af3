// The gradient of attention in bf16 for head sizes 32, 64 and 128. See compute.AttentionGrad. attention_general.cu has
// the other head sizes, and f32.
//
//   p[i,j]  = 2^(log2(e) (scale q[i].k[j] + bias[buckets[P-1+j-i]] - lse[i]))
//   ds[i,j] = p[i,j] (mask[i,j] dy[i].v[j] - delta[i])
//   dv[j]   = sum_i mask[i,j] p[i,j] dy[i]
//   dk[j]   = scale sum_i ds[i,j] q[i]
//   dq[i]   = scale sum_j ds[i,j] k[j]
//
// A block owns the sums that it computes, so each sum has one order: dk and dv belong to blocks of keys, dq to blocks
// of queries, and both compute p and ds again. If a sequence has no more keys than a block, the first kernel computes
// dq too. attention_backward_q.cu has the second kernel.
#include "attention_tiles.cuh"

struct DeltaArgs {
    const void *y, *dy;
    float* delta;
    const int32_t* n; // NQ
    int32_t heads, head_dim;
    int32_t lanes;  // a power of 2 up to 32
    int32_t vector; // rows may be read 16 bytes at a time
};

// attention_delta: the term that the gradient of softmax subtracts.
//
//   delta[n,h] = sum_d dy[n,h,d] y[n,h,d]
//
//   y, dy  [N,H*D] f32 or bf16
//   delta  [N,H]   f32, out
//
// Launched by internal/gpu/attention.go.
// Launch   grid ceil(N H lanes/256), block 256: `lanes` threads per head and row; no shared memory.
// Limits   N H lanes < 2^31. 16-byte accesses need D % 8 == 0, and y and dy aligned to 16 bytes.
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

namespace {

// Pair is a tile of 32 queries of one head.
struct Pair {
    int i, head; // first query, query head
};

// QueryRing passes the queries, their gradients and their lse and delta to a block of keys, one query head of the group
// after the other.
template <int D> struct QueryRing {
    Ring<D> ring;
    float* stats; // [stages][2][32]: lse / ln 2, delta
    const bf16 *q, *dy;
    int from, steps;
    Pair ahead; // the tile that is loaded next

    DEVICE QueryRing(bf16* stages, float* stats, const AttentionArgs& a, const KeyBlock& b, int from)
        : ring{stages}, stats(stats), q(static_cast<const bf16*>(a.q)), dy(static_cast<const bf16*>(a.dy)), from(from),
          steps(max(0, (b.s.queries - from + kPass - 1) / kPass) * b.group), ahead{from, b.head * b.group} {}

    DEVICE float* stat(int step) const { return stats + step % kStages<D> * (2 * kPass); }

    // advance moves to the next tile: the next queries of the head, or the first of the next head.
    DEVICE void advance(Pair& at, const Sequence& s) const {
        at.i += kPass;
        if (at.i < s.queries) return;
        at.i = from;
        at.head++;
    }

    // load starts to copy the tiles of a step.
    DEVICE void load(int step, const KeyBlock& b) const {
        if (step < steps) {
            const int64_t at = int64_t(b.s.q0 + ahead.i) * b.stride + ahead.head * D;
            ring.template load<false>(step, q, dy, at, b.stride, b.s.queries - ahead.i);
        }
        cp_async_commit();
    }

    // read_stat returns the thread's number of those of a step: the first 32 threads read lse, the next 32 delta.
    DEVICE float read_stat(int step, const AttentionArgs& a, const KeyBlock& b) const {
        const int i = ahead.i + threadIdx.x % kPass;
        if (threadIdx.x >= 2 * kPass || step >= steps || i >= b.s.queries) return 0.0f;
        const int64_t at = int64_t(b.s.q0 + i) * a.heads + ahead.head;
        return threadIdx.x < kPass ? finite_lse(a.lse[at]) : a.delta[at];
    }

    DEVICE void write_stat(int step, float x) const {
        if (threadIdx.x < 2 * kPass) stat(step)[threadIdx.x] = x;
    }

    // begin loads the tiles of the first steps.
    DEVICE void begin(const AttentionArgs& a, const KeyBlock& b) {
        UNROLL
        for (int step = 0; step < kStages<D> - 1; step++) {
            load(step, b);
            write_stat(step, read_stat(step, a, b));
            advance(ahead, b.s);
        }
    }
};

// draw_keys sets bits so that a lane finds its keys g and g + 8 of the warp for queries x and x + 1 of block n of 8:
// the bits of bits[n] at 0, 8, 16 and 24 are (g, x), (g + 8, x), (g, x + 1) and (g + 8, x + 1). i0 is the first packed
// query and octet the number of the warp's first 8 keys.
DEVICE void draw_keys(uint32_t (&bits)[4], const Mask& mask, int i0, int octet) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    UNROLL
    for (int n = 0; n < 4; n += 2) {
        // Lane l draws 8 of the warp's 16 keys, the first or the last by l%2, for query l/2 of 16. After the exchange
        // lane 4 x has all 16 keys of queries 2x and 2x + 1.
        uint32_t b = mask.bits(mask.draw(i0 + 8 * n + lane / 2, octet + lane % 2)) << (8 * (lane % 2));
        b |= __shfl_xor_sync(kAllLanes, b, 1);
        b |= __shfl_down_sync(kAllLanes, b, 2) << 16;
        bits[n] = __shfl_sync(kAllLanes, b, 4 * t) >> g;
        bits[n + 1] = __shfl_sync(kAllLanes, b, 16 + 4 * t) >> g;
    }
}

// add_bias_of_queries adds the bias to scores. Rows of p are keys j and j + 8, and columns are queries from i on.
template <bool biased>
DEVICE void add_bias_of_queries(float (&p)[4][4], const Bias<biased>& bias, int i, int j) {
    UNROLL
    for (int n = 0; n < 4; n++) {
        UNROLL
        for (int e = 0; e < 4; e++) bias.add(p[n][e], i + 8 * n + e % 2, j + 8 * (e / 2));
    }
}

// hide_queries sets the scores of queries that do not see a key to -Inf. Rows of p are keys j and j + 8, and columns
// are queries from i on.
DEVICE void hide_queries(float (&p)[4][4], const Sequence& s, int i, int j) {
    UNROLL
    for (int n = 0; n < 4; n++) {
        UNROLL
        for (int e = 0; e < 4; e++) {
            if (!s.sees(i + 8 * n + e % 2, j + 8 * (e / 2))) p[n][e] = negative_infinity();
        }
    }
}

// slopes replaces the scores p by probabilities, and the products ds = dy vT by the gradient of the scores. stat has
// lse and delta from the lane's first query on, c is scale log2(e), and kept the factor of kept probabilities.
DEVICE void slopes(float (&p)[4][4], float (&ds)[4][4], const uint32_t (&bits)[4], const float* stat, float c,
                   float kept) {
    UNROLL
    for (int n = 0; n < 4; n++) {
        const float* x = stat + 8 * n;
        const float lse[2] = {x[0], x[1]}, delta[2] = {x[kPass], x[kPass + 1]};
        UNROLL
        for (int e = 0; e < 4; e++) {
            const float y = power2(fmaf(p[n][e], c, -lse[e % 2]));
            const bool keep = bits[n] & (1u << (8 * (e / 2) + 16 * (e % 2)));
            ds[n][e] = y * fmaf(keep ? kept : 0.0f, ds[n][e], -delta[e % 2]);
            p[n][e] = keep ? y : 0.0f;
        }
    }
}

// query_gradient computes dq of 32 queries from i0 on of a head, for a block that has all keys of the sequence. ds of
// all warps goes through ds_tile [64 keys, 32 queries]. `rows` is the number of keys.
template <int D>
DEVICE void query_gradient(bf16* dq_head, const float (&ds)[4][4], bf16* ds_tile, bf16* k_tile, const Sequence& s,
                           int i0, int rows, int stride, float scale) {
    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4, top = threadIdx.x / 32 * 16;
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
        bf16* row = dq_head + int64_t(s.q0 + i) * stride + 8 * half + 2 * t;
        UNROLL
        for (int n = 0; n < D / 16; n++) {
            *reinterpret_cast<uint32_t*>(row + 8 * n) = pack_bf16(dq[n][2 * r] * scale, dq[n][2 * r + 1] * scale);
        }
    }
}

} // namespace

// attention_backward_kv: dk and dv, and dq of sequences of up to 64 keys.
//
//   q, dy        [NQ,H*D]   bf16, aligned to 16 bytes; dq likewise, or absent
//   k, v, dk, dv [NK,HKV*D] bf16, aligned to 16 bytes
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//   bias         [K,H]      bf16, buckets [2P-1] int32, of the kernel with bias in its name
//
// Queries pass in tiles of 32, one query head of the group after the other. The products are transposed, keys by
// queries, so that p and ds are operands of the sums as they are. For dq, ds goes through shared memory.
//
// Launched by internal/gpu/attention.go.
// Launch   grid (HKV, ceil(max keys/64), B), block 128, dynamic shared memory 256 D + (128 D + 256) stages + 4096
//          bytes, where stages is 2 for D = 128 and 3 below, and 4 (max queries + 96) more with a bias.
// Limits   D 32, 64, 128, and 64 with a bias; scale > 0; HKV divides H; B < 65,536.
// Numerics f32 accumulation; p and ds are rounded to bf16 as operands.
// Work     8 D flops per visible pair on mma.sync, 10 D if it computes dq. Reads k and v once, and q and dy once per 64
//          keys; writes dk and dv.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <int D, bool biased> DEVICE void attention_backward_kv(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    KeyBlock b;
    if (!b.find(a, kStay, D)) return;
    const Sequence& s = b.s;
    const bool whole = s.keys <= kStay && a.dq != nullptr; // the block computes dq, and so reads every query
    bf16* k_tile = reinterpret_cast<bf16*>(shared);
    bf16* v_tile = k_tile + kStay * D;
    bf16* passing = v_tile + kStay * D;
    bf16* ds_tile = passing + Ring<D>::size;
    float* stats = reinterpret_cast<float*>(ds_tile + kStay * kPass);
    QueryRing<D> queries(passing, stats, a, b, whole ? 0 : b.first_tile(a, kPass));
    load_tile<D, kStay, false>(k_tile, static_cast<const bf16*>(a.k) + b.kv_at, b.kv_stride, b.rows);
    load_tile<D, kStay, false>(v_tile, static_cast<const bf16*>(a.v) + b.kv_at, b.kv_stride, b.rows);
    Pair now = queries.ahead;
    queries.begin(a, b);
    Bias<biased> bias(stats + kStages<D> * (2 * kPass));
    bias.template load<bf16>(a, b.head, b.first - (s.queries + kPass - 1), kStay + s.queries + kPass);

    const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const int top = threadIdx.x / 32 * 16; // of the warp's keys in the tile
    const int j0 = b.first + top;
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    Mask mask(a, 0);
    float dk[D / 8][4] = {}, dv[D / 8][4] = {};

    for (int step = 0; step < queries.steps; step++, queries.advance(now, s)) {
        const int later = step + kStages<D> - 1;
        cp_async_wait<kStages<D> - 2>();
        __syncthreads();
        queries.load(later, b);
        const float next = queries.read_stat(later, a, b);
        queries.advance(queries.ahead, s);
        const int i0 = now.i;
        const bool any = top < b.rows && j0 < s.seen(i0 + kPass - 1);
        float p[4][4] = {}, ds[4][4] = {};
        if (any) {
            multiply_transposed<D>(p, k_tile, top, queries.ring.first(step));
            multiply_transposed<D>(ds, v_tile, top, queries.ring.second(step));
        }
        queries.write_stat(later, next);
        if (any) {
            mask.head = now.head;
            uint32_t bits[4] = {kAllLanes, kAllLanes, kAllLanes, kAllLanes};
            if (mask.active()) draw_keys(bits, mask, s.q0 + i0, j0 / 8);
            add_bias_of_queries(p, bias, i0 + 2 * t, j0 + g);
            if (i0 + kPass > s.queries || j0 + 16 > s.seen(i0)) hide_queries(p, s, i0 + 2 * t, j0 + g);
            slopes(p, ds, bits, queries.stat(step) + 2 * t, c, kept);
            multiply_add<D>(dv, p, queries.ring.second(step));
            multiply_add<D>(dk, ds, queries.ring.first(step));
        }
        if (whole) {
            bf16* dq_head = static_cast<bf16*>(a.dq) + now.head * D;
            query_gradient<D>(dq_head, ds, ds_tile, k_tile, s, i0, b.rows, b.stride, a.scale);
        }
    }
    cp_async_wait<0>();
    __syncthreads(); // The results go through k_tile and v_tile.
    if (top >= b.rows) return;
    const int64_t at = b.kv_at + int64_t(top) * b.kv_stride;
    const int valid = b.rows - top;
    store_rows<D>(static_cast<bf16*>(a.dk) + at, b.kv_stride, valid, dk, a.scale, a.scale, k_tile, top);
    store_rows<D>(static_cast<bf16*>(a.dv) + at, b.kv_stride, valid, dv, kept, kept, v_tile, top);
}
KERNEL_RESIDENT(attention_backward_kv_d32_bf16, AttentionArgs, 128, 4) { attention_backward_kv<32, false>(a); }
KERNEL_RESIDENT(attention_backward_kv_d64_bf16, AttentionArgs, 128, 3) { attention_backward_kv<64, false>(a); }
KERNEL_RESIDENT(attention_backward_kv_bias_d64_bf16, AttentionArgs, 128, 2) { attention_backward_kv<64, true>(a); }
KERNEL_RESIDENT(attention_backward_kv_d128_bf16, AttentionArgs, 128, 2) { attention_backward_kv<128, false>(a); }
