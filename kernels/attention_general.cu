// Attention and its gradient for any head size up to 256, in f32 and bf16, with
// arithmetic in f32. See compute.Attention; attention_forward.cu and
// attention_backward.cu have the sizes that tensor cores take, and the formulas.
#include "attention.cuh"

namespace {

// A warp owns 4 rows of the 16 that stay with a block; 32 rows pass by, and a
// lane has one of them in a product, one column in 32 of a sum.
constexpr int kRows = 4;
constexpr int kStay = 4 * kRows;
constexpr int kPass = 32;
constexpr int kThreads = 128;
constexpr int kChunks = 8; // of 32 columns

// Widths are the strides of rows in shared memory, in floats.
struct Widths {
    int stay; // whole vectors
    int pass; // 4 more than a multiple of 8, so that lanes reading their rows meet no bank twice

    DEVICE explicit Widths(int head_dim) : stay((head_dim + 3) / 4 * 4), pass(stay + (stay % 8 == 0 ? 4 : 0)) {}
};

// load_rows copies rows of a [., stride] tensor, D columns of each, and zeros
// what is left of a row, and rows from `valid` on.
template <typename T>
DEVICE void load_rows(float* tile, int width, int rows, const T* src, int stride, int valid, int head_dim, bool vector) {
    if (vector) {
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

// multiply_add computes o[r] += sum_j p[r,j] y[j]; p [4,32] is the warp's own,
// filled from s. Lane l has column 32 n + l in o[r][n].
DEVICE void multiply_add(float (&o)[kRows][kChunks], float* p, const float (&s)[kRows], const float* y, const Widths& w, int head_dim) {
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

// store_rows writes the warp's rows, row r times factor[r], the first `valid`.
template <typename T>
DEVICE void store_rows(T* dst, int stride, int valid, const float (&o)[kRows][kChunks], const float (&factor)[kRows], int head_dim) {
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

// keep_rows tells for the warp's 4 queries from packed row n whether the lane's
// key, of 32 from j0, is kept: bit r.
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
// Launch   grid (H, ceil(max queries/16), B), block 128, dynamic shared memory
//          64 W + 256 P + 2048 bytes for W = D rounded up to 4 and P = W, or
//          W + 4 where 8 divides W.
// Limits   D <= 256; scale > 0; HKV divides H; B < 65,536; the vector path needs
//          D % 8 == 0 and tensors aligned to 16 bytes.
// Numerics f32 throughout; y is rounded to its type.
// Work     4 D flops a visible pair, half of them bound by shared memory; reads
//          q once, k and v once a 16 queries.
// Source   Dao 2023, arXiv:2307.08691, algorithm 1.
template <typename T> DEVICE void attention_forward(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    if (int(blockIdx.z) >= *a.sequences) return;
    const Sequence s = sequence(a, blockIdx.z);
    const int head = blockIdx.x, stride = a.heads * a.head_dim, kv_stride = a.kv_heads * a.head_dim;
    const int first = kStay * (gridDim.y - 1 - blockIdx.y);
    if (first >= s.queries) return;

    const Widths w(a.head_dim);
    float* q_tile = reinterpret_cast<float*>(shared);
    float* k_tile = q_tile + kStay * w.stay;
    float* v_tile = k_tile + kPass * w.pass;
    float* p_tile = v_tile + kPass * w.pass + threadIdx.x / 32 * (kRows * kPass);
    const int rows = min(kStay, s.queries - first), last = s.seen(first + rows - 1);
    const int64_t q_at = int64_t(s.q0 + first) * stride + head * a.head_dim;
    const int64_t kv_at = int64_t(s.k0) * kv_stride + head * a.kv_heads / a.heads * a.head_dim;
    load_rows(q_tile, w.stay, kStay, static_cast<const T*>(a.q) + q_at, stride, rows, a.head_dim, a.vector);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * kRows;
    const float c = a.scale * kLog2e;
    const Mask mask(a, head);
    float o[kRows][kChunks] = {}, m[kRows], sum[kRows] = {};
    UNROLL
    for (int r = 0; r < kRows; r++) m[r] = negative_infinity();

    for (int j0 = 0; j0 < last; j0 += kPass) {
        const int64_t at = kv_at + int64_t(j0) * kv_stride;
        __syncthreads();
        load_rows(k_tile, w.pass, kPass, static_cast<const T*>(a.k) + at, kv_stride, s.keys - j0, a.head_dim, a.vector);
        load_rows(v_tile, w.pass, kPass, static_cast<const T*>(a.v) + at, kv_stride, s.keys - j0, a.head_dim, a.vector);
        __syncthreads();
        float p[kRows];
        products(p, q_tile + top * w.stay, k_tile, w);
        const uint32_t keep = mask.active() ? keep_rows(mask, s.q0 + first + top, j0) : kAllLanes;
        UNROLL
        for (int r = 0; r < kRows; r++) {
            const bool sees = s.sees(first + top + r, j0 + lane);
            const float most = fmaxf(m[r], warp_max(sees ? p[r] : negative_infinity()));
            const float down = m[r] == negative_infinity() ? 0.0f : power2((m[r] - most) * c);
            p[r] = sees ? power2((p[r] - most) * c) : 0.0f;
            m[r] = most;
            sum[r] = sum[r] * down + p[r];
            if (!(keep >> r & 1)) p[r] = 0.0f;
            UNROLL
            for (int n = 0; n < kChunks; n++) o[r][n] *= down;
        }
        multiply_add(o, p_tile, p, v_tile, w, a.head_dim);
    }

    float factor[kRows];
    UNROLL
    for (int r = 0; r < kRows; r++) {
        const float total = warp_sum(sum[r]);
        const bool empty = total == 0.0f;
        factor[r] = empty ? 0.0f : kept_scale(a) / total;
        const int i = first + top + r;
        if (lane == 0 && i < s.queries) {
            a.lse[int64_t(s.q0 + i) * a.heads + head] = empty ? negative_infinity() : fmaf(m[r], a.scale, logf(total));
        }
    }
    store_rows(static_cast<T*>(a.y) + q_at + int64_t(top) * stride, stride, rows - top, o, factor, a.head_dim);
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
// Launch   grid (HKV, ceil(max keys/16), B), block 128, dynamic shared memory
//          128 W + 256 P + 2048 bytes, W and P as in attention_forward.
// Limits   as attention_forward.
// Numerics f32 throughout; dk and dv are rounded to their type.
// Work     8 D flops a visible pair; reads k and v once, q and dy once a 16
//          keys.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <typename T> DEVICE void attention_backward_kv(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    if (int(blockIdx.z) >= *a.sequences) return;
    const Sequence s = sequence(a, blockIdx.z);
    const int kv_head = blockIdx.x, stride = a.heads * a.head_dim, kv_stride = a.kv_heads * a.head_dim;
    const int first = kStay * blockIdx.y;
    if (first >= s.keys) return;

    const Widths w(a.head_dim);
    float* k_tile = reinterpret_cast<float*>(shared);
    float* v_tile = k_tile + kStay * w.stay;
    float* q_tile = v_tile + kStay * w.stay;
    float* dy_tile = q_tile + kPass * w.pass;
    float* p_tile = dy_tile + kPass * w.pass + threadIdx.x / 32 * (kRows * kPass);
    const int rows = min(kStay, s.keys - first);
    const int64_t kv_at = int64_t(s.k0 + first) * kv_stride + kv_head * a.head_dim;
    load_rows(k_tile, w.stay, kStay, static_cast<const T*>(a.k) + kv_at, kv_stride, rows, a.head_dim, a.vector);
    load_rows(v_tile, w.stay, kStay, static_cast<const T*>(a.v) + kv_at, kv_stride, rows, a.head_dim, a.vector);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * kRows;
    const int group = a.heads / a.kv_heads;
    const int from = a.causal ? max(0, first + 1 - s.shift) / kPass * kPass : 0;
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    float dk[kRows][kChunks] = {}, dv[kRows][kChunks] = {};

    for (int head = kv_head * group; head < (kv_head + 1) * group; head++) {
        const Mask mask(a, head);
        for (int i0 = from; i0 < s.queries; i0 += kPass) {
            const int64_t at = int64_t(s.q0 + i0) * stride + head * a.head_dim;
            __syncthreads();
            load_rows(q_tile, w.pass, kPass, static_cast<const T*>(a.q) + at, stride, s.queries - i0, a.head_dim, a.vector);
            load_rows(dy_tile, w.pass, kPass, static_cast<const T*>(a.dy) + at, stride, s.queries - i0, a.head_dim, a.vector);
            __syncthreads();
            float p[kRows], ds[kRows];
            products(p, k_tile + top * w.stay, q_tile, w);
            products(ds, v_tile + top * w.stay, dy_tile, w);
            const int i = i0 + lane;
            const int64_t row = int64_t(s.q0 + i) * a.heads + head;
            const float lse = i < s.queries ? a.lse[row] * kLog2e : 0.0f;
            const float delta = i < s.queries ? a.delta[row] : 0.0f;
            // The warp's keys are half an octet.
            const uint32_t keep = mask.active() ? mask.bits(mask.draw(s.q0 + i, (first + top) / 8)) >> (top % 8) : kAllLanes;
            UNROLL
            for (int r = 0; r < kRows; r++) {
                const float y = s.sees(i, first + top + r) ? power2(fmaf(p[r], c, -lse)) : 0.0f;
                const bool keeps = keep >> r & 1;
                ds[r] = y * ((keeps ? kept * ds[r] : 0.0f) - delta);
                p[r] = keeps ? y : 0.0f;
            }
            multiply_add(dv, p_tile, p, dy_tile, w, a.head_dim);
            multiply_add(dk, p_tile, ds, q_tile, w, a.head_dim);
        }
    }

    float factor[2][kRows];
    UNROLL
    for (int r = 0; r < kRows; r++) {
        factor[0][r] = a.scale;
        factor[1][r] = kept;
    }
    const int64_t at = kv_at + int64_t(top) * kv_stride;
    store_rows(static_cast<T*>(a.dk) + at, kv_stride, rows - top, dk, factor[0], a.head_dim);
    store_rows(static_cast<T*>(a.dv) + at, kv_stride, rows - top, dv, factor[1], a.head_dim);
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
// Launch   grid (H, ceil(max queries/16), B), block 128, dynamic shared memory
//          128 W + 256 P + 2048 bytes, W and P as in attention_forward.
// Limits   as attention_forward.
// Numerics f32 throughout; dq is rounded to its type.
// Work     6 D flops a visible pair; reads q and dy once, k and v once a 16
//          queries.
// Source   Dao 2023, arXiv:2307.08691, algorithm 2.
template <typename T> DEVICE void attention_backward_q(const AttentionArgs& a) {
    DYNAMIC_SHARED(shared);
    if (int(blockIdx.z) >= *a.sequences) return;
    const Sequence s = sequence(a, blockIdx.z);
    const int head = blockIdx.x, stride = a.heads * a.head_dim, kv_stride = a.kv_heads * a.head_dim;
    const int first = kStay * (gridDim.y - 1 - blockIdx.y);
    if (first >= s.queries) return;

    const Widths w(a.head_dim);
    float* q_tile = reinterpret_cast<float*>(shared);
    float* dy_tile = q_tile + kStay * w.stay;
    float* k_tile = dy_tile + kStay * w.stay;
    float* v_tile = k_tile + kPass * w.pass;
    float* p_tile = v_tile + kPass * w.pass + threadIdx.x / 32 * (kRows * kPass);
    const int rows = min(kStay, s.queries - first), last = s.seen(first + rows - 1);
    const int64_t q_at = int64_t(s.q0 + first) * stride + head * a.head_dim;
    const int64_t kv_at = int64_t(s.k0) * kv_stride + head * a.kv_heads / a.heads * a.head_dim;
    load_rows(q_tile, w.stay, kStay, static_cast<const T*>(a.q) + q_at, stride, rows, a.head_dim, a.vector);
    load_rows(dy_tile, w.stay, kStay, static_cast<const T*>(a.dy) + q_at, stride, rows, a.head_dim, a.vector);

    const int lane = threadIdx.x % 32, top = threadIdx.x / 32 * kRows;
    const float c = a.scale * kLog2e, kept = kept_scale(a);
    const Mask mask(a, head);
    float dq[kRows][kChunks] = {}, lse[kRows], delta[kRows], factor[kRows];
    UNROLL
    for (int r = 0; r < kRows; r++) {
        const int i = first + top + r;
        const int64_t row = int64_t(s.q0 + i) * a.heads + head;
        lse[r] = i < s.queries ? a.lse[row] * kLog2e : 0.0f;
        delta[r] = i < s.queries ? a.delta[row] : 0.0f;
        factor[r] = a.scale;
    }

    for (int j0 = 0; j0 < last; j0 += kPass) {
        const int64_t at = kv_at + int64_t(j0) * kv_stride;
        __syncthreads();
        load_rows(k_tile, w.pass, kPass, static_cast<const T*>(a.k) + at, kv_stride, s.keys - j0, a.head_dim, a.vector);
        load_rows(v_tile, w.pass, kPass, static_cast<const T*>(a.v) + at, kv_stride, s.keys - j0, a.head_dim, a.vector);
        __syncthreads();
        float p[kRows], ds[kRows];
        products(p, q_tile + top * w.stay, k_tile, w);
        products(ds, dy_tile + top * w.stay, v_tile, w);
        const uint32_t keep = mask.active() ? keep_rows(mask, s.q0 + first + top, j0) : kAllLanes;
        UNROLL
        for (int r = 0; r < kRows; r++) {
            const float y = s.sees(first + top + r, j0 + lane) ? power2(fmaf(p[r], c, -lse[r])) : 0.0f;
            ds[r] = y * ((keep >> r & 1 ? kept * ds[r] : 0.0f) - delta[r]);
        }
        multiply_add(dq, p_tile, ds, k_tile, w, a.head_dim);
    }
    store_rows(static_cast<T*>(a.dq) + q_at + int64_t(top) * stride, stride, rows - top, dq, factor, a.head_dim);
}
KERNEL_RESIDENT(attention_backward_q_f32, AttentionArgs, 128, 4) { attention_backward_q<float>(a); }
KERNEL_RESIDENT(attention_backward_q_bf16, AttentionArgs, 128, 4) { attention_backward_q<bf16>(a); }
