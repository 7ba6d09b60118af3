// These kernels have one fault each. Those that compute a wrong result have a
// correct twin, which the flag `right` selects.
#include "mma.cuh"
#include "host/selftest/selftest.h"

struct FaultArgs {
    float* out;
    int right;
    int n;
};
typedef float Row[128];

// differs reports whether any of 20 seeds gives another result than want.
static bool differs(const char* kernel, int right, int n, float want, unsigned blocks = 1) {
    std::vector<float> out(size_t(n), 0.0f);
    bool any = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        host::seed(seed);
        out.assign(size_t(n), 0.0f);
        run(kernel, FaultArgs{out.data(), right, n}, blocks);
        for (const float v : out) any |= !(v == want);
    }
    return any;
}

// ---- wrong results ---------------------------------------------------------------------

KERNEL(no_barrier, FaultArgs, 128) {
    SHARED(Row, s);
    s[threadIdx.x] = 1.0f;
    if (a.right) __syncthreads();
    a.out[threadIdx.x] = s[(threadIdx.x + 64) % 128];
}
CASE(no_barrier) { CHECK(!differs("no_barrier", 1, 128, 1.0f) && differs("no_barrier", 0, 128, 1.0f)); }

// The barrier is missing before the row is written again.
KERNEL(no_second_barrier, FaultArgs, 128) {
    SHARED(Row, s);
    float worst = 1.0f;
    for (int round = 0; round < 4; round++) {
        s[threadIdx.x] = float(round);
        __syncthreads();
        if (s[(threadIdx.x + 32) % 128] != float(round)) worst = 2.0f;
        if (a.right) __syncthreads();
    }
    a.out[threadIdx.x] = worst;
}
CASE(no_second_barrier) {
    CHECK(!differs("no_second_barrier", 1, 128, 1.0f) && differs("no_second_barrier", 0, 128, 1.0f));
}

KERNEL(no_syncwarp, FaultArgs, 32) {
    SHARED(Row, s);
    s[threadIdx.x] = 1.0f;
    if (a.right) __syncwarp();
    a.out[threadIdx.x] = s[threadIdx.x ^ 1];
}
CASE(no_syncwarp) { CHECK(!differs("no_syncwarp", 1, 32, 1.0f) && differs("no_syncwarp", 0, 32, 1.0f)); }

// A sum over blocks depends on the order in which the blocks run.
KERNEL(sum_in_any_order, FaultArgs, 32) {
    if (threadIdx.x == 0) *a.out += a.right ? 1.0f : 1.0f / float(1 + blockIdx.x);
}
CASE(sum_in_any_order) {
    CHECK(!differs("sum_in_any_order", 1, 1, 9.0f, 9));
    float once = 0;
    host::seed(1);
    run("sum_in_any_order", FaultArgs{&once, 0, 1}, 9);
    CHECK(differs("sum_in_any_order", 0, 1, once, 9));
}

// A kernel reads shared memory that the block has not written.
KERNEL(uninitialized_shared, FaultArgs, 32) {
    SHARED(Row, s);
    if (a.right) s[threadIdx.x] = 0.0f;
    s[threadIdx.x] += 1.0f;
    a.out[threadIdx.x] = s[threadIdx.x];
}
CASE(uninitialized_shared) {
    CHECK(!differs("uninitialized_shared", 1, 32, 1.0f, 3) && differs("uninitialized_shared", 0, 32, 1.0f, 3));
}

struct CopyArgs {
    const float* from;
    float* out;
    int fault; // 0 none, 1 no wait, 2 waits for too few groups, 3 no barrier, 4 copies not waited for at the end
    uint32_t unused;
};
struct alignas(16) Quads {
    float x[2][128];
};

KERNEL(copies, CopyArgs, 32) {
    SHARED(Quads, s);
    const int lane = threadIdx.x;
    cp_async_16(&s.x[0][4 * lane], a.from + 4 * lane, true);
    cp_async_commit();
    cp_async_16(&s.x[1][4 * lane], a.from + 128 + 4 * lane, true);
    cp_async_commit();
    if (a.fault != 1 && a.fault != 2) cp_async_wait<0>();
    if (a.fault == 2) cp_async_wait<1>();
    if (a.fault != 3) __syncthreads();
    const int other = 31 - lane;
    for (int i = 0; i < 4; i++) a.out[4 * lane + i] = s.x[0][4 * other + i] + s.x[1][4 * other + i];
    if (a.fault != 4) cp_async_wait<0>();
    if (a.fault == 4) cp_async_16(&s.x[0][4 * lane], a.from, true);
}

static bool copies_differ(int fault) {
    alignas(16) float from[256];
    float out[128];
    for (float& v : from) v = 1.0f;
    bool any = false;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        host::seed(seed);
        run("copies", CopyArgs{from, out, fault, 0});
        for (const float v : out) any |= !(v == 2.0f);
    }
    return any;
}
CASE(copy_without_wait) { CHECK(!copies_differ(0) && copies_differ(1)); }
CASE(copy_with_short_wait) { CHECK(copies_differ(2)); }
CASE(copy_without_barrier) { CHECK(copies_differ(3)); }
CASE(copy_left_behind) { copies_differ(4); }

// ---- what the sanitizers find ---------------------------------------------------------

KERNEL(overrun, FaultArgs, 128) {
    SHARED(Row, s);
    DYNAMIC_SHARED(bytes);
    float* p = a.right == 0 ? s : a.right == 1 ? reinterpret_cast<float*>(bytes) : a.out;
    p[threadIdx.x + a.n] = 1.0f;
}
static void overrun(int which) {
    std::vector<float> out(128);
    run("overrun", FaultArgs{out.data(), which, 0}, 1, 512);
    run("overrun", FaultArgs{out.data(), which, 1}, 1, 512);
}
CASE(shared_overrun) { overrun(0); }
CASE(dynamic_shared_overrun) { overrun(1); }
CASE(global_overrun) { overrun(2); }

KERNEL(misaligned, FaultArgs, 32) {
    float x[8];
    load8(x, a.out + a.n);
    a.out[threadIdx.x] = x[0];
}
CASE(misaligned) {
    alignas(16) float out[64] = {};
    run("misaligned", FaultArgs{out, 0, 4});
    run("misaligned", FaultArgs{out, 0, 2});
}

// ---- what the fibers find ----------------------------------------------------------------

KERNEL(divergent_barrier, FaultArgs, 64) {
    if (threadIdx.x < 40)
        __syncthreads();
    else
        __syncthreads();
}
CASE(divergent_barrier) { run("divergent_barrier", FaultArgs{nullptr, 0, 0}); }

KERNEL(absent_lane, FaultArgs, 64) {
    if (threadIdx.x == 37) return;
    a.out[threadIdx.x] = __shfl_xor_sync(kAllLanes, 1.0f, 1);
}
CASE(absent_lane) {
    float out[64];
    run("absent_lane", FaultArgs{out, 0, 0});
}

KERNEL(barrier_in_warp, FaultArgs, 32) {
    if (threadIdx.x < 16)
        __syncthreads();
    else
        __syncwarp();
}
CASE(barrier_in_warp) { run("barrier_in_warp", FaultArgs{nullptr, 0, 0}); }

KERNEL(mask_without_caller, FaultArgs, 32) { __syncwarp(0xfffffff0u); }
CASE(mask_without_caller) { run("mask_without_caller", FaultArgs{nullptr, 0, 0}); }

KERNEL(source_outside_mask, FaultArgs, 32) {
    if (threadIdx.x < 16) a.out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.0f, 20);
}
CASE(source_outside_mask) {
    float out[32];
    run("source_outside_mask", FaultArgs{out, 0, 0});
}

KERNEL(collectives_meet, FaultArgs, 32) {
    if (threadIdx.x % 2 == 0)
        __ballot_sync(kAllLanes, 1);
    else
        __shfl_sync(kAllLanes, 1.0f, 0);
}
CASE(collectives_meet) { run("collectives_meet", FaultArgs{nullptr, 0, 0}); }

KERNEL(misplaced, FaultArgs, 32) {
    SHARED(Quads, s);
    uint32_t r[4];
    const unsigned char* p = reinterpret_cast<const unsigned char*>(s.x[0]) + 16 * threadIdx.x;
    if (a.n == 0) ldmatrix_x4(r, p + 8);
    if (a.n == 1) ldmatrix_x4(r, a.out);
    if (a.n == 2) cp_async_16(const_cast<unsigned char*>(p) + 4, a.out, true);
    if (a.n == 3) cp_async_16(const_cast<unsigned char*>(p), a.out + 1, true);
    if (a.n == 4) cp_async_16(a.out, a.out, true);
}
static void misplaced(int how) {
    alignas(16) float out[32] = {};
    run("misplaced", FaultArgs{out, 0, how});
}
CASE(ldmatrix_misaligned) { misplaced(0); }
CASE(ldmatrix_of_global) { misplaced(1); }
CASE(copy_to_misaligned) { misplaced(2); }
CASE(copy_from_misaligned) { misplaced(3); }
CASE(copy_to_global) { misplaced(4); }

struct Large {
    unsigned char x[48 << 10];
};
KERNEL(too_much_shared, FaultArgs, 32) {
    SHARED(Large, s);
    DYNAMIC_SHARED(bytes);
    s.x[threadIdx.x] = bytes[threadIdx.x];
}
CASE(too_much_shared) { run("too_much_shared", FaultArgs{nullptr, 0, 0}, 1, 52 << 10); }

CASE(wrong_block) {
    const FaultArgs args{nullptr, 0, 0};
    host::launch(*host::Kernel::find("misaligned"), {1, 1, 1}, {64, 1, 1}, 0, &args);
}
