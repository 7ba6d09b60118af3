// These are correct kernels. Every collective is compared with plain loops.
#include "mma.cuh"
#include "host/selftest/selftest.h"

struct OutArgs {
    uint32_t* out;
};

// ---- warps ------------------------------------------------------------------------

KERNEL(shuffles, OutArgs, 64) {
    const uint32_t x = threadIdx.x * 3 + 1, n = blockDim.x;
    uint32_t* out = a.out + threadIdx.x;
    int row = 0;
    for (int width = 32; width > 0; width /= 2)
        for (int by = 0; by < 32; by++) {
            out[n * row++] = __shfl_sync(kAllLanes, x, by, width);
            out[n * row++] = __shfl_up_sync(kAllLanes, x, by, width);
            out[n * row++] = __shfl_down_sync(kAllLanes, x, by, width);
            out[n * row++] = __shfl_xor_sync(kAllLanes, x, by, width);
        }
}

CASE(shuffles) {
    std::vector<uint32_t> got(64 * 6 * 32 * 4);
    run("shuffles", OutArgs{got.data()});
    int row = 0;
    const auto value = [](int thread) { return uint32_t(thread * 3 + 1); };
    for (int width = 32; width > 0; width /= 2)
        for (int by = 0; by < 32; by++, row += 4)
            for (int i = 0; i < 64; i++) {
                const int begin = i / width * width, end = begin + width;
                CHECK(got[size_t(64 * row + i)] == value(begin + by % width));
                CHECK(got[size_t(64 * (row + 1) + i)] == value(i - by < begin ? i : i - by));
                CHECK(got[size_t(64 * (row + 2) + i)] == value(i + by >= end ? i : i + by));
                // A lane beyond the segment is not read, but a lane before it
                // is (PTX ISA, shfl.bfly).
                CHECK(got[size_t(64 * (row + 3) + i)] == value((i ^ by) >= end ? i : i ^ by));
            }
}

struct WideArgs {
    double* d;
    int64_t* i;
};

KERNEL(wide_shuffles, WideArgs, 32) {
    a.d[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1e300 * threadIdx.x, 1);
    a.i[threadIdx.x] = __shfl_sync(kAllLanes, int64_t(threadIdx.x) << 40, 31 - threadIdx.x);
}

CASE(wide_shuffles) {
    double d[32];
    int64_t i[32];
    run("wide_shuffles", WideArgs{d, i});
    for (int l = 0; l < 32; l++) CHECK(d[l] == 1e300 * (l ^ 1) && i[l] == int64_t(31 - l) << 40);
}

// The halves of each warp take different branches, each with its own mask.
KERNEL(votes, OutArgs, 64) {
    const int lane = threadIdx.x % 32;
    uint32_t* out = a.out + 4 * threadIdx.x;
    if (lane < 16) {
        out[0] = __ballot_sync(0x0000ffffu, lane % 3 == 0);
        out[1] = __any_sync(0x0000ffffu, lane == 7);
        out[2] = __all_sync(0x0000ffffu, lane < 16);
    } else {
        out[0] = __ballot_sync(0xffff0000u, lane % 5 == 0);
        out[1] = __any_sync(0xffff0000u, lane == 7);
        out[2] = __all_sync(0xffff0000u, lane != 20);
    }
    __syncwarp();
    out[3] = __ballot_sync(kAllLanes, threadIdx.x == 40);
}

CASE(votes) {
    uint32_t got[64][4];
    run("votes", OutArgs{got[0]});
    for (int i = 0; i < 64; i++) {
        const bool low = i % 32 < 16;
        CHECK(got[i][0] == (low ? 0x00009249u : 0x42100000u));
        CHECK(got[i][1] == low && got[i][2] == low);
        CHECK(got[i][3] == (i < 32 ? 0u : 1u << 8));
    }
}

// ---- blocks ------------------------------------------------------------------------

struct SumArgs {
    const float* x;
    float* sum;
    float* first; // content of shared memory at the start of the block
    int n;
    uint32_t unused;
};
typedef float Scratch[8];

KERNEL(sum_blocks, SumArgs, 256) {
    SHARED(Scratch, scratch);
    if (threadIdx.x == 0) a.first[blockIdx.x] = scratch[3];
    __syncthreads();
    float sum = 0;
    for (int i = threadIdx.x; i < a.n; i += blockDim.x) sum += block_sum(a.x[i], scratch);
    if (threadIdx.x == blockIdx.x) a.sum[blockIdx.x] = sum;
}

CASE(sum_blocks) {
    std::vector<float> x(1024), sum(5), first(5);
    for (int i = 0; i < 1024; i++) x[size_t(i)] = float(i % 37);
    float want = 0;
    for (const float v : x) want += v;
    for (uint64_t seed = 1; seed < 20; seed++) {
        host::seed(seed);
        run("sum_blocks", SumArgs{x.data(), sum.data(), first.data(), 1024, 0}, 5);
        for (int b = 0; b < 5; b++) CHECK(sum[size_t(b)] == want && first[size_t(b)] != first[size_t(b)]);
    }
}

// A barrier does not wait for threads that have ended.
KERNEL(leave_early, OutArgs, 96) {
    for (uint32_t i = 0; i < 96; i++) {
        if (threadIdx.x == i) return;
        __syncthreads();
        if (threadIdx.x == i + 1) a.out[i] = i;
    }
}

CASE(leave_early) {
    uint32_t got[96] = {};
    run("leave_early", OutArgs{got});
    for (uint32_t i = 0; i < 95; i++) CHECK(got[i] == i);
}

KERNEL(indices, OutArgs, 24) {
    const uint32_t block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const uint32_t thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    a.out[block * 24 + thread]++;
}

CASE(indices) {
    std::vector<uint32_t> got(30 * 24);
    const OutArgs args{got.data()};
    host::launch(*host::Kernel::find("indices"), {2, 3, 5}, {4, 3, 2}, 0, &args);
    for (const uint32_t count : got) CHECK(count == 1);
}

struct OrderArgs {
    uint32_t* order;
    uint32_t* next;
};

KERNEL(note_order, OrderArgs, 64) { a.order[(*a.next)++] = blockIdx.x * 64 + threadIdx.x; }

// The seed determines the order of threads and blocks, and every launch has
// another order.
CASE(orders) {
    const auto order = [] {
        std::vector<uint32_t> got(640);
        uint32_t next = 0;
        run("note_order", OrderArgs{got.data(), &next}, 10);
        return got;
    };
    host::seed(3);
    const std::vector<uint32_t> a = order(), b = order();
    host::seed(3);
    CHECK(order() == a && order() == b && a != b);
    host::seed(4);
    CHECK(order() != a);
}

// ---- tensor cores and copies -----------------------------------------------------------

struct TileArgs {
    const uint16_t* x;
    uint32_t* plain;
    uint32_t* transposed;
};
struct Square {
    uint16_t x[16][24];
};

KERNEL(tiles, TileArgs, 32) {
    SHARED(Square, s);
    for (int i = threadIdx.x; i < 256; i += 32) s.x[i / 16][i % 16] = a.x[i];
    __syncwarp();
    uint32_t r[4];
    const int lane = threadIdx.x;
    ldmatrix_x4(r, &s.x[lane % 16][lane / 16 * 8]);
    for (int i = 0; i < 4; i++) a.plain[4 * lane + i] = r[i];
    ldmatrix_x4_trans(r, &s.x[lane % 16][lane / 16 * 8]);
    for (int i = 0; i < 4; i++) a.transposed[4 * lane + i] = r[i];
}

// Tile t contains rows from 8(t%2) and columns from 8(t/2) of the matrix.
CASE(tiles) {
    uint16_t x[16][16];
    for (int i = 0; i < 256; i++) x[i / 16][i % 16] = uint16_t(i * 257 + 3);
    uint32_t plain[32][4], transposed[32][4];
    run("tiles", TileArgs{x[0], plain[0], transposed[0]});
    for (int lane = 0; lane < 32; lane++)
        for (int t = 0; t < 4; t++) {
            const int row = 8 * (t % 2), col = 8 * (t / 2), i = lane / 4, j = 2 * (lane % 4);
            CHECK(plain[lane][t] == (x[row + i][col + j] | uint32_t(x[row + i][col + j + 1]) << 16));
            CHECK(transposed[lane][t] == (x[row + j][col + i] | uint32_t(x[row + j + 1][col + i]) << 16));
        }
}

struct ProductArgs {
    const bf16* a;
    const bf16* b;
    float* d;
    int stage; // number of copies in progress
    uint32_t unused;
};
struct Stages {
    bf16 a[4][16][24], b[4][16][24];
};

// The kernel computes d [16,16] = a [16,128] b^T [128,16] and copies two groups
// ahead.
KERNEL(product, ProductArgs, 32) {
    SHARED(Stages, s);
    const int lane = threadIdx.x;
    float d[2][4] = {};
    const auto fetch = [&](int k) {
        if (k < 8) {
            const int row = lane / 2, col = lane % 2 * 8;
            cp_async_16(&s.a[k % 4][row][col], a.a + row * 128 + k * 16 + col, true);
            cp_async_16(&s.b[k % 4][row][col], a.b + row * 128 + k * 16 + col, row < 15);
        }
        cp_async_commit();
    };
    fetch(0);
    fetch(1);
    for (int k = 0; k < 8; k++) {
        fetch(k + 2);
        cp_async_wait<2>();
        __syncthreads();
        uint32_t fa[4], fb[4];
        ldmatrix_x4(fa, &s.a[k % 4][lane % 16][lane / 16 * 8]);
        ldmatrix_x4(fb, &s.b[k % 4][lane % 8 + lane / 16 * 8][lane / 8 % 2 * 8]);
        const uint32_t b0[2] = {fb[0], fb[1]}, b1[2] = {fb[2], fb[3]};
        mma_bf16(d[0], fa, b0);
        mma_bf16(d[1], fa, b1);
        __syncthreads();
    }
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 4; i++) a.d[(lane / 4 + i / 2 * 8) * 16 + n * 8 + lane % 4 * 2 + i % 2] = d[n][i];
}

// The copy fills row 15 of b with zeros.
CASE(product) {
    alignas(16) bf16 x[16][128], y[16][128];
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 128; k++) {
            x[i][k] = from_float<bf16>(float((i * 131 + k * 17) % 61) / 8 - 3);
            y[i][k] = from_float<bf16>(float((i * 37 + k * 29) % 53) / 4 - 6);
        }
    float d[16][16];
    for (uint64_t seed = 1; seed < 6; seed++) {
        host::seed(seed);
        run("product", ProductArgs{x[0], y[0], d[0], 2, 0});
        for (int i = 0; i < 16; i++)
            for (int j = 0; j < 16; j++) {
                float want = 0; // exact, because the numbers have few bits and the sums are small
                for (int k = 0; k < 128 && j < 15; k++) want += to_float(x[i][k]) * to_float(y[j][k]);
                CHECK(d[i][j] == want);
            }
    }
}

// ---- arithmetic ----------------------------------------------------------------------

CASE(arithmetic) {
    CHECK(__umulhi(0xffffffffu, 0xffffffffu) == 0xfffffffeu);
    CHECK(__float_as_uint(1.0f) == 0x3f800000u && __uint_as_float(0x40000000u) == 2.0f);
    CHECK(__popc(0xf0f0u) == 8 && __ffs(0) == 0 && __ffs(0x80) == 8 && __clz(0) == 32 && __clz(1) == 31);
    CHECK(rsqrtf(0.25f) == 2.0f && __fdividef(1.0f, 4.0f) == 0.25f && __expf(0.0f) == 1.0f);
    CHECK(min(-1, 2) == -1 && max(3u, 2u) == 3u && min(1.0f, float(NAN)) == 1.0f &&
          max(int64_t(1) << 40, int64_t(5)) == int64_t(1) << 40);
}
