// Parts that the row kernels of the low-rank residual share. A segment of a factor is in shared memory, and each lane
// has eight of its columns.
#pragma once
#include "common.cuh"

// kSegment is the number of columns of a factor in shared memory at a time, 8 per lane.
constexpr int kSegment = 256;

// Segment has kSegment columns of a factor W [ranks, kSegment]. Ranks that the factor does not have are zero. The first
// four of a lane's eight columns are in one half of a row and the last four in the other, and a row is padded. So
// neither reads nor transposed writes have bank conflicts.
template <int ranks> struct Segment {
    float w[ranks][kSegment + 4];
};

DEVICE int segment_index(int c) { return c % 8 / 4 * (kSegment / 2) + c / 8 * 4 + c % 4; }

// stage fills the segment with the columns from c0 on. w is [rank, cols], or [cols, rank] if transposed is set. All 256
// threads must call it, and a barrier must follow.
template <int ranks, typename T>
DEVICE void stage(Segment<ranks>& s, const T* w, int c0, int cols, int rank, bool transposed, bool aligned) {
    if (transposed) {
        for (int i = threadIdx.x; i < ranks * kSegment; i += 256) {
            const int r = i % ranks, c = i / ranks;
            s.w[r][segment_index(c)] = r < rank && c0 + c < cols ? to_float(w[int64_t(c0 + c) * rank + r]) : 0.0f;
        }
        return;
    }
    for (int i = threadIdx.x; i < ranks * (kSegment / 8); i += 256) {
        const int r = i / (kSegment / 8), lane = i % (kSegment / 8);
        float x[8] = {};
        if (r < rank) load_cols(x, w + int64_t(r) * cols, c0 + lane * 8, cols, aligned);
        store_vec(&s.w[r][lane * 4], Vec<float>{{x[0], x[1], x[2], x[3]}});
        store_vec(&s.w[r][kSegment / 2 + lane * 4], Vec<float>{{x[4], x[5], x[6], x[7]}});
    }
}

// lane_cols reads a lane's eight columns of rank r.
template <int ranks> DEVICE void lane_cols(float (&x)[8], const Segment<ranks>& s, int r, int lane) {
    const Vec<float> lo = load_vec(&s.w[r][lane * 4]), hi = load_vec(&s.w[r][kSegment / 2 + lane * 4]);
    UNROLL
    for (int i = 0; i < 4; i++) {
        x[i] = lo.v[i];
        x[i + 4] = hi.v[i];
    }
}

// fold sums each of 8, 16 or 32 values over the lanes of a warp, with about one exchange per value. In the end, v[0] of
// lane l is the sum of value l % values.
template <int values, int half = values / 2> DEVICE void fold(float (&v)[values], int lane) {
    const bool upper = lane & half;
    UNROLL
    for (int i = 0; i < half; i++) {
        const float keep = upper ? v[i + half] : v[i], send = upper ? v[i] : v[i + half];
        v[i] = keep + __shfl_xor_sync(kAllLanes, send, half);
    }
    if constexpr (half > 1) {
        fold<values, half / 2>(v, lane);
    } else {
        UNROLL
        for (int d = values; d < 32; d *= 2) v[0] += __shfl_xor_sync(kAllLanes, v[0], d);
    }
}
