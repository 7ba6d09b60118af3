// Attention and its gradient for any head size up to 256, in f32 and bf16, with arithmetic in f32. See
// compute.Attention. attention_forward.cu and attention_backward.cu have the formulas, and the kernels for the head
// sizes that tensor cores take.
#include "attention.cuh"

namespace {

// 16 rows stay with a block, 4 for each warp, and the rows of the other side pass in tiles of 32. In a product a lane
// has one of the 32 rows, and in a sum one of 32 columns.
constexpr int kRows = 4;
constexpr int kStay = 4 * kRows;
constexpr int kPass = 32;
constexpr int kThreads = 128;
constexpr int kChunks = 8; // of 32 columns

// Widths are the strides of rows in shared memory, in floats.
struct Widths {
    int stay; // a multiple of 4
    int pass; // 4 more than a multiple of 8, so that lanes that read their own rows use different banks

    DEVICE explicit Widths(int head_dim) : stay((head_dim + 3) / 4 * 4), pass(stay + (stay % 8 == 0 ? 4 : 0)) {}
};

// load_rows copies rows of a [., stride] tensor, D columns of each. The rest of a row becomes zeros, and so do rows
// from `valid` on.
template <typename T>
DEVICE void load_rows(float* tile, int width, int rows, const T* src, int stride, int valid, const AttentionArgs& a) {
    const int head_dim = a.head_dim;
    if (a.vector) {
        const int chunks = head_dim / 8;
        for (int i = threadIdx.x; i < rows * chunks; i += kThreads) {
            const int row = i / chunks, c = i % chunks * 8;
            float x[8] = {};
            if (row < valid) load8(x, src + int64_t(row) * stride + c);
            store8(tile + row * width + c, x);
        }
    } else {
        for (int i = threadIdx.x; i < rows * width; i += kThreads) {
            const int row = i / width, c = i % width;
            tile[i] = row < valid && c < head_dim ? to_float(src[int64_t(row) * stride + c]) : 0.0f;
        }
    }
}

// Tiles are the parts of a block's shared memory: one or two tensors whose rows stay, two whose rows pass, and the
// probabilities of the warp [4,32].
template <int stays> struct Tiles {
    Widths w;
    float *stay[stays], *pass[2], *p;

    DEVICE Tiles(unsigned char* shared, int head_dim) : w(head_dim) {
        float* at = reinterpret_cast<float*>(shared);
        UNROLL
        for (int i = 0; i < stays; i++, at += kStay * w.stay) stay[i] = at;
        UNROLL
        for (int i = 0; i < 2; i++, at += kPass * w.pass) pass[i] = at;
        p = at + threadIdx.x / 32 * (kRows * kPass);
    }

    // load_stay loads the rows of a tensor that stay.
    template <typename T>
    DEVICE void load_stay(int i, const void* x, int64_t at, int stride, int valid, const AttentionArgs& a) const {
        load_rows(stay[i], w.stay, kStay, static_cast<const T*>(x) + at, stride, valid, a);
    }

    // load_pass loads the next 32 rows of two tensors, when all warps have finished with the rows before.
    template <typename T>
    DEVICE void load_pass(const void* x, const void* y, int64_t at, int stride, int valid,
                          const AttentionArgs& a) const {
        __syncthreads();
        load_rows(pass[0], w.pass, kPass, static_cast<const T*>(x) + at, stride, valid, a);
        load_rows(pass[1], w.pass, kPass, static_cast<const T*>(y) + at, stride, valid, a);
        __syncthreads();
    }
};

// products computes s[r] = x[r] . y[lane] for the warp's rows of x.
DEVICE void products(float (&s)[kRows], const float* x, const float* y, const Widths& w) {
    const float* row = y + threadIdx.x % 32 * w.pass;
    UNROLL
    for (int r = 0; r < kRows; r++) s[r] = 0.0f;
    ROLL
    for (int d = 0; d < w.stay; d += 4) {
        const Vec<float> b = load_vec(row + d);
        UNROLL
        for (int r = 0; r < kRows; r++) {
            const Vec<float> a = load_vec(x + r * w.stay + d);
            UNROLL
            for (int i = 0; i < 4; i++) s[r] = fmaf(a.v[i], b.v[i], s[r]);
        }
    }
}

// multiply_add computes o[r] += sum_j s[r,j] y[j]. s goes through p [4,32], which belongs to the warp. Lane l has
// column 32 n + l in o[r][n].
DEVICE void multiply_add(float (&o)[kRows][kChunks], float* p, const float (&s)[kRows], const float* y, const Widths& w,
                         int head_dim) {
    const int lane = threadIdx.x % 32;
    __syncwarp();
    UNROLL
    for (int r = 0; r < kRows; r++) p[r * kPass + lane] = s[r];
    __syncwarp();
    ROLL
    for (int j = 0; j < kPass; j += 4) {
        Vec<float> a[kRows];
        UNROLL
        for (int r = 0; r < kRows; r++) a[r] = load_vec(p + r * kPass + j);
        UNROLL
        for (int n = 0; n < kChunks; n++) {
            if (32 * n >= head_dim) break;
            const float* column = y + j * w.pass + min(32 * n + lane, head_dim - 1);
            UNROLL
            for (int i = 0; i < 4; i++) {
                const float b = column[i * w.pass];
                UNROLL
                for (int r = 0; r < kRows; r++) o[r][n] = fmaf(a[r].v[i], b, o[r][n]);
            }
        }
    }
}

// store_rows writes the first `valid` of the warp's rows, row r times factor[r].
template <typename T>
DEVICE void store_rows(T* dst, int stride, int valid, const float (&o)[kRows][kChunks], const float (&factor)[kRows],
                       int head_dim) {
    UNROLL
    for (int n = 0; n < kChunks; n++) {
        const int d = 32 * n + threadIdx.x % 32;
        if (d >= head_dim) break;
        UNROLL
        for (int r = 0; r < kRows; r++) {
            if (r < valid) dst[int64_t(r) * stride + d] = from_float<T>(o[r][n] * factor[r]);
        }
    }
}

// keep_rows returns a word in which bit r is set if the lane's key, of the 32 from j0 on, is kept for query r of the
// warp's 4. n is the packed row of the first.
DEVICE uint32_t keep_rows(const Mask& mask, int n, int j0) {
    const int lane = threadIdx.x % 32;
    // Lane 4 r + i draws octet i of row r; lanes from 16 on repeat them.
    const uint32_t drawn = mask.bits(mask.draw(n + lane / 4 % kRows, j0 / 8 + lane % 4));
    uint32_t keep = 0;
    UNROLL
    for (int r = 0; r < kRows; r++) {
        keep |= (__shfl_sync(kAllLanes, drawn, 4 * r + lane / 8) >> (lane % 8) & 1) << r;
    }
    return keep;
}

} // namespace

// attention_forward (any head size): see attention_forward.cu.
//
//   q, y         [NQ,H*D]   f32 or bf16
//   k, v         [NK,HKV*D] likewise
//   lse          [NQ,H]     f32, out
//   cu_q, cu_k   [B+1]      int32
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/16), B), block 128, dynamic shared memory 64 W + 256 P + 2048 bytes, where W is D
//          rounded up to 4, and P is W + 4 if 8 divides W, and W otherwise.
// Limits   D <= 256; scale > 0; HKV divides H; B < 65,536. 16-byte accesses need D % 8 == 0 and tensors aligned to 16
//          bytes.
// Numerics f32 throughout; y is rounded to its type.
// Work     4 D flops per visible pair, half of them bound by shared memory. Reads q once, and k and v once per 16
//          queries.
// Source   Dao 2023, arXiv:2307.08691, algorithm 1.
template <typename T> DEVICE void attention_forward(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    QueryBlock b;
    if (!b.find(a, kStay, a.head_dim)) return;
    const Sequence& s = b.s;
    const Tiles<1> tiles(shared, a.head_dim);
    tiles.template load_stay<T>(0, a.q, b.q_at, b.stride, b.rows, a);

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
KERNEL_RESIDENT(attention_forward_f32, AttentionArgs, 128, 4) { attention_forward<float>(a); }
KERNEL_RESIDENT(attention_forward_bf16, AttentionArgs, 128, 4) { attention_forward<bf16>(a); }

// attention_backward_kv (any head size): dk and dv, see attention_backward.cu.
//
//   q, dy        [NQ,H*D]   f32 or bf16
//   k, v, dk, dv [NK,HKV*D] likewise
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//
// Launched by internal/gpu/attention.go.
// Launch   grid (HKV, ceil(max keys/16), B), block 128, dynamic shared memory 128 W + 256 P + 2048 bytes, with W and P
//          as in attention_forward.
// Limits   as attention_forward.
// Numerics f32 throughout; dk and dv are rounded to their type.
// Work     8 D flops per visible pair. Reads k and v once, and q and dy once per 16 keys.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <typename T> DEVICE void attention_backward_kv(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    KeyBlock b;
    if (!b.find(a, kStay, a.head_dim)) return;
    const Sequence& s = b.s;
    const Tiles<2> tiles(shared, a.head_dim);
    tiles.template load_stay<T>(0, a.k, b.kv_at, b.kv_stride, b.rows, a);
    tiles.template load_stay<T>(1, a.v, b.kv_at, b.kv_stride, b.rows, a);

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
KERNEL_RESIDENT(attention_backward_kv_f32, AttentionArgs, 128, 3) { attention_backward_kv<float>(a); }
KERNEL_RESIDENT(attention_backward_kv_bf16, AttentionArgs, 128, 3) { attention_backward_kv<bf16>(a); }

// attention_backward_q (any head size): dq, see attention_backward.cu.
//
//   q, dy, dq    [NQ,H*D]   f32 or bf16
//   k, v         [NK,HKV*D] likewise
//   lse, delta   [NQ,H]     f32
//   cu_q, cu_k   [B+1]      int32
//
// Launched by internal/gpu/attention.go.
// Launch   grid (H, ceil(max queries/16), B), block 128, dynamic shared memory 128 W + 256 P + 2048 bytes, with W and P
//          as in attention_forward.
// Limits   as attention_forward.
// Numerics f32 throughout; dq is rounded to its type.
// Work     6 D flops per visible pair. Reads q and dy once, and k and v once per 16 queries.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <typename T> DEVICE void attention_backward_q(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    QueryBlock b;
    if (!b.find(a, kStay, a.head_dim)) return;
    const Sequence& s = b.s;
    const Tiles<2> tiles(shared, a.head_dim);
    tiles.template load_stay<T>(0, a.q, b.q_at, b.stride, b.rows, a);
    tiles.template load_stay<T>(1, a.dy, b.q_at, b.stride, b.rows, a);

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
            const float y = s.sees(b.first + top + r, j0 + lane) ? power2(fmaf(p[r], c, -lse[r])) : 0.0f;
            ds[r] = y * ((keep >> r & 1 ? kept * ds[r] : 0.0f) - delta[r]);
        }
        multiply_add(dq, tiles.p, ds, tiles.pass[0], tiles.w, a.head_dim);
    }
    T* to = static_cast<T*>(a.dq) + b.q_at + int64_t(top) * b.stride;
    store_rows(to, b.stride, b.rows - top, dq, factor, a.head_dim);
}
KERNEL_RESIDENT(attention_backward_q_f32, AttentionArgs, 128, 4) { attention_backward_q<float>(a); }
KERNEL_RESIDENT(attention_backward_q_bf16, AttentionArgs, 128, 4) { attention_backward_q<bf16>(a); }
