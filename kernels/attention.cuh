// The parts that all attention kernels share: the argument, the rows of a block, and the mask of the probabilities. See
// compute.Attention.
//
// A block works on one head of one sequence. The host knows only the longest sequence, so the grid counts the tiles of
// that one, and a block beyond the end of its own sequence returns.
#pragma once
#include "common.cuh"

struct AttentionArgs {
    const void *q, *k, *v;      // [NQ,H*D], [NK,HKV*D]
    void* y;                    // [NQ,H*D], written by the forward pass only
    float* lse;                 // [NQ,H], read by the gradient
    const void* dy;             // [NQ,H*D]
    const float* delta;         // [NQ,H] rowsum(dy y)
    void *dq, *dk, *dv;         // dq may be null
    const int32_t *cu_q, *cu_k; // [B+1]
    const int32_t* sequences;   // B
    const int32_t* table;       // [B,W] blocks of k and v, or null
    const void* bias;           // [K,H], or null
    const int32_t* buckets;     // [2P-1], the row of bias for each distance
    Dropout dropout;
    int32_t heads, kv_heads, head_dim;
    int32_t causal; // query i sees keys j <= i + (TK - TQ)
    float scale;
    int32_t vector;      // rows may be read 16 bytes at a time
    int32_t table_width; // W
    int32_t places;      // P
};

namespace { // each file has its own: other kernels use the same plain names

constexpr float kLog2e = 1.4426950408889634f;

// kBlockRows is the number of keys in a block of a table. Tiles of keys begin at multiples of 32, so a tile is in one
// block.
constexpr int kBlockRows = 64;

// Sequence has the rows of one sequence.
struct Sequence {
    int q0, queries; // first packed row, and number of rows
    int k0, keys;
    int shift; // query i sees keys j < i + shift, and j < keys
    const int32_t* table; // the blocks of the keys, or null if the keys follow each other from k0 on

    // key_row returns the row of k and v that has key j.
    DEVICE int64_t key_row(int j) const {
        return table ? int64_t(table[j / kBlockRows]) * kBlockRows + j % kBlockRows : k0 + j;
    }

    // seen returns the number of keys that query i sees.
    DEVICE int seen(int i) const { return max(0, min(keys, i + shift)); }
    // sees reports whether query i sees key j. Both may be beyond the end.
    DEVICE bool sees(int i, int j) const { return i < queries && j < keys && j < i + shift; }
};

DEVICE Sequence sequence(const AttentionArgs& a, int s) {
    Sequence r;
    r.q0 = a.cu_q[s];
    r.queries = a.cu_q[s + 1] - r.q0;
    r.k0 = a.cu_k[s];
    r.keys = a.cu_k[s + 1] - r.k0;
    r.shift = a.causal ? 1 + r.keys - r.queries : r.keys;
    r.table = a.table ? a.table + int64_t(s) * a.table_width : nullptr;
    return r;
}

// QueryBlock has the queries of a block, `stay` at most, of head blockIdx.x of sequence blockIdx.z, for heads of D
// columns.
struct QueryBlock {
    Sequence s;
    int head, stride, kv_stride;
    int first, rows; // the block's queries
    int64_t q_at;    // offset of the first of them in the columns of the head
    int kv_column;   // the first column of the head in a row of k

    // find returns false if the block has no query.
    DEVICE bool find(const AttentionArgs& a, int stay, int D) {
        if (int(blockIdx.z) >= *a.sequences) return false;
        // In causal attention the last queries see most keys, so their blocks begin first.
        return at(a, stay, D, blockIdx.z, stay * (gridDim.y - 1 - blockIdx.y));
    }

    // at takes the queries of a sequence from a given one on. It returns false if there are none.
    DEVICE bool at(const AttentionArgs& a, int stay, int D, int number, int from) {
        s = sequence(a, number);
        head = blockIdx.x;
        stride = a.heads * D;
        kv_stride = a.kv_heads * D;
        first = from;
        rows = min(stay, s.queries - first);
        q_at = int64_t(s.q0 + first) * stride + head * D;
        kv_column = head * a.kv_heads / a.heads * D;
        return rows > 0;
    }

    // key_at returns the offset of key j in the columns of the head.
    DEVICE int64_t key_at(int j) const { return s.key_row(j) * kv_stride + kv_column; }
};

// KeyBlock has the keys of a block, `stay` at most, of key head blockIdx.x of sequence blockIdx.z, for heads of D
// columns.
struct KeyBlock {
    Sequence s;
    int head, group; // the key head, and the number of query heads that share it
    int stride, kv_stride;
    int first, rows; // the block's keys
    int64_t kv_at;   // offset of the first of them in the columns of the head

    // find returns false if the block has no key.
    DEVICE bool find(const AttentionArgs& a, int stay, int D) {
        if (int(blockIdx.z) >= *a.sequences) return false;
        s = sequence(a, blockIdx.z);
        head = blockIdx.x;
        group = a.heads / a.kv_heads;
        stride = a.heads * D;
        kv_stride = a.kv_heads * D;
        first = stay * blockIdx.y;
        rows = min(stay, s.keys - first);
        kv_at = int64_t(s.k0 + first) * kv_stride + head * D;
        return rows > 0;
    }

    // first_tile returns the first query of the first tile of `pass` queries that sees one of the block's keys.
    DEVICE int first_tile(const AttentionArgs& a, int pass) const {
        return a.causal ? max(0, first + 1 - s.shift) / pass * pass : 0;
    }
};

// Bias is the bias of the scores of a block's head by distance, divided by the scale, which the scores are multiplied
// by later. Kernels without a bias have an empty one.
template <bool biased> struct Bias {
    float* near;
    int lowest;

    DEVICE explicit Bias(float* shared) : near(shared), lowest(0) {}

    // load reads the bias of `count` distances from the lowest on. Distances beyond the table are those of its ends; no
    // pair has them. The block must pass a barrier before `add`.
    template <typename T> DEVICE void load(const AttentionArgs& a, int head, int from, int count) {
        if (!biased) return;
        lowest = from;
        const T* table = static_cast<const T*>(a.bias) + head;
        for (int x = threadIdx.x; x < count; x += blockDim.x) {
            const int at = min(max(from + x + a.places - 1, 0), 2 * a.places - 2);
            near[x] = to_float(table[int64_t(a.buckets[at]) * a.heads]) / a.scale;
        }
    }

    // add adds the bias of query i and key j to their score.
    DEVICE void add(float& score, int i, int j) const {
        if (biased) score += near[j - i - lowest];
    }
};

// power2 returns 2^x with an error of at most 2 units in the last place, and 0 below 2^-126. It is exp2f without the
// instructions for subnormal results.
DEVICE float power2(float x) {
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

// negative_infinity is the lse of a query that sees no key.
DEVICE float negative_infinity() { return __uint_as_float(0xff800000u); }

// Mask draws which probabilities of a head are kept.
struct Mask {
    uint32_t threshold, key0, key1, site, step, row, heads, head;

    DEVICE Mask(const AttentionArgs& a, int head)
        : threshold(a.dropout.threshold), key0(a.dropout.key0), key1(a.dropout.key1), site(a.dropout.site),
          step(a.dropout.at[0]), row(a.dropout.at[1]), heads(a.heads), head(head) {}

    DEVICE bool active() const { return threshold > 0; }

    // draw returns the lots of keys 8 octet to 8 octet + 7 for packed query n.
    DEVICE Words draw(int n, int octet) const {
        return philox(key0, key1, octet, (row + n) * heads + head, site, step);
    }

    // keeps reports whether lot i of 8 keeps its key. Lots are compared in the upper half of a word, where the lower
    // half does not change the result.
    DEVICE bool keeps(const Words& lots, int i) const {
        return (i % 2 ? lots.w[i / 2] : lots.w[i / 2] << 16) >= threshold << 16;
    }

    // bits returns a word in which bit i is set if lot i keeps its key.
    DEVICE uint32_t bits(const Words& lots) const {
        uint32_t b = 0;
        UNROLL
        for (int i = 0; i < 8; i++) b |= uint32_t(keeps(lots, i)) << i;
        return b;
    }
};

// kept_scale returns 1/(1-p), the factor of kept probabilities.
DEVICE float kept_scale(const AttentionArgs& a) { return a.dropout.threshold > 0 ? a.dropout.scale : 1.0f; }

} // namespace
