// What the attention kernels share: the argument, the rows of a block, and how
// the mask of the probabilities is drawn. See compute.Attention.
//
// A block takes one head of one sequence. Of the lengths it knows only what
// cu_seqlens says, so grids count the tiles of the longest sequence and blocks
// behind the end of theirs return.
#pragma once
#include "common.cuh"

struct AttentionArgs {
    const void *q, *k, *v;      // [NQ,H*D], [NK,HKV*D]
    void* y;                    // [NQ,H*D], of the forward pass only
    float* lse;                 // [NQ,H], read by the gradient
    const void* dy;             // [NQ,H*D]
    const float* delta;         // [NQ,H] rowsum(dy y)
    void *dq, *dk, *dv;         // dq may be null
    const int32_t *cu_q, *cu_k; // [B+1]
    const int32_t* sequences;   // B
    Dropout dropout;
    int32_t heads, kv_heads, head_dim;
    int32_t causal; // query i sees keys j <= i + (TK - TQ)
    float scale;
    int32_t vector; // rows may be read 16 bytes at a time
};

namespace { // each file has its own: other kernels use the same plain names

constexpr float kLog2e = 1.4426950408889634f;

// Sequence is the rows of one sequence.
struct Sequence {
    int q0, queries; // first packed row, and how many
    int k0, keys;
    int shift; // query i sees keys j < i + shift, and j < keys

    // seen counts the keys that query i sees.
    DEVICE int seen(int i) const { return max(0, min(keys, i + shift)); }
    // sees tells whether it sees key j; both may lie behind the end.
    DEVICE bool sees(int i, int j) const { return i < queries && j < keys && j < i + shift; }
};

DEVICE Sequence sequence(const AttentionArgs& a, int s) {
    Sequence r;
    r.q0 = a.cu_q[s];
    r.queries = a.cu_q[s + 1] - r.q0;
    r.k0 = a.cu_k[s];
    r.keys = a.cu_k[s + 1] - r.k0;
    r.shift = a.causal ? 1 + r.keys - r.queries : r.keys;
    return r;
}

// power2 is 2^x to within 2 units in the last place, and 0 below 2^-126: exp2f
// without what that does for subnormal results.
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
    DEVICE Words draw(int n, int octet) const { return philox(key0, key1, octet, (row + n) * heads + head, site, step); }

    // keeps tells whether lot i of 8 keeps its key. Lots are compared in the upper
    // half of a word, where the lower half of one cannot tip the balance.
    DEVICE bool keeps(const Words& lots, int i) const {
        return (i % 2 ? lots.w[i / 2] : lots.w[i / 2] << 16) >= threshold << 16;
    }

    // bits has bit i set where lot i keeps its key.
    DEVICE uint32_t bits(const Words& lots) const {
        uint32_t b = 0;
        UNROLL
        for (int i = 0; i < 8; i++) b |= uint32_t(keeps(lots, i)) << i;
        return b;
    }
};

// kept_scale is 1/(1-p), what kept probabilities are multiplied by.
DEVICE float kept_scale(const AttentionArgs& a) { return a.dropout.threshold > 0 ? a.dropout.scale : 1.0f; }

} // namespace
