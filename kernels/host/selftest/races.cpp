// Kernels with races, each with a correct twin: fault 0.
#include "mma.cuh"
#include "host/selftest/selftest.h"

struct RaceArgs {
    float* out;
    const float* in;
    int fault, unused;
};
struct alignas(16) RaceRows {
    float x[2][128];
};

static void run_race(const char* kernel, int fault, unsigned blocks = 1) {
    void* memory = nullptr;
    CHECK(posix_memalign(&memory, 16, 1024 * sizeof(float)) == 0);
    float* out = static_cast<float*>(memory);
    for (int i = 0; i < 1024; i++) out[i] = 0.0f;
    run(kernel, RaceArgs{out, out + 512, fault, 0}, blocks);
    free(memory);
}

// ---- barriers ------------------------------------------------------------------------

KERNEL(race_barrier, RaceArgs, 64) {
    SHARED(RaceRows, s);
    s.x[0][threadIdx.x] = 1.0f;
    if (a.fault != 1) __syncthreads();
    a.out[threadIdx.x] = s.x[0][63 - threadIdx.x];
    if (a.fault != 2) __syncthreads();
    s.x[0][threadIdx.x] = 2.0f;
}
CASE(race_after_write) { run_race("race_barrier", 1); }
CASE(race_after_read) { run_race("race_barrier", 2); }

KERNEL(race_everyone, RaceArgs, 64) {
    SHARED(RaceRows, s);
    if (a.fault == 1 || threadIdx.x == 0) s.x[0][0] = 1.0f;
}
CASE(race_of_writes) { run_race("race_everyone", 1); }

// All threads read the word that a lane of the first warp, which has waited for
// the lanes of its warp, then writes.
KERNEL(race_readers, RaceArgs, 96) {
    SHARED(RaceRows, s);
    if (threadIdx.x == 0) s.x[0][0] = 1.0f;
    __syncthreads();
    if (a.fault == 1 || threadIdx.x < 32) a.out[threadIdx.x] = s.x[0][0];
    __syncwarp();
    if (threadIdx.x == 5) s.x[0][0] = 2.0f;
}
CASE(race_of_a_far_reader) { run_race("race_readers", 1); }

// ---- warps ---------------------------------------------------------------------------

KERNEL(race_warp, RaceArgs, 32) {
    SHARED(RaceRows, s);
    const int lane = threadIdx.x;
    s.x[0][lane] = 1.0f;
    if (a.fault == 0) __syncwarp();
    if (a.fault == 1) a.out[lane] = __shfl_xor_sync(kAllLanes, 1.0f, 1);
    if (a.fault >= 2) __syncwarp(lane < 16 ? 0x0000ffffu : 0xffff0000u);
    a.out[lane] = s.x[0][a.fault == 3 ? lane ^ 1 : 31 - lane];
}
CASE(race_without_syncwarp) { run_race("race_warp", -1); }
CASE(race_shuffle_as_fence) { run_race("race_warp", 1); }
CASE(race_of_halves) { run_race("race_warp", 2); }

// Lanes 0 and 2 are ordered through lane 1. The shuffle makes them meet, and
// orders nothing.
KERNEL(race_chain, RaceArgs, 32) {
    SHARED(RaceRows, s);
    const int lane = threadIdx.x;
    if (lane == 0) s.x[0][0] = 1.0f;
    if (lane < 2) __syncwarp(3u);
    a.out[lane] = __shfl_sync(kAllLanes, 1.0f, 0);
    if (a.fault == 0 && (lane == 1 || lane == 2)) __syncwarp(6u);
    if (lane == 2) a.out[64] = s.x[0][0];
}
CASE(race_of_a_broken_chain) { run_race("race_chain", 1); }

// ---- blocks and launches ---------------------------------------------------------------

KERNEL(race_blocks, RaceArgs, 32) {
    const int i = blockIdx.x * 32 + threadIdx.x;
    if (a.fault == 1 && threadIdx.x == 0) *a.out += 1.0f;
    if (a.fault == 2) a.out[i] = a.out[i ^ 32];
    if (a.fault == 0) a.out[i] = a.in[i ^ 32] + a.in[0];
}
CASE(race_of_two_blocks) { run_race("race_blocks", 1, 2); }
CASE(race_of_a_neighbour) { run_race("race_blocks", 2, 2); }

// ---- copies --------------------------------------------------------------------------

KERNEL(race_copy, RaceArgs, 32) {
    SHARED(RaceRows, s);
    const int lane = threadIdx.x;
    cp_async_16(&s.x[0][4 * lane], a.in + 4 * lane, true);
    cp_async_commit();
    cp_async_16(&s.x[1][4 * lane], a.in + 128 + 4 * lane, false);
    cp_async_commit();
    if (a.fault == 1) a.out[lane] = s.x[0][4 * lane];
    if (a.fault == 2) cp_async_wait<1>();
    if (a.fault != 2) cp_async_wait<0>();
    if (a.fault != 3) __syncthreads();
    a.out[lane] = s.x[0][124 - 4 * lane] + s.x[1][124 - 4 * lane];
    if (a.fault != 4) __syncthreads();
    cp_async_16(&s.x[0][4 * lane], a.in, true);
    cp_async_commit();
    cp_async_wait<0>();
}
CASE(race_copy_before_wait) { run_race("race_copy", 1); }
CASE(race_copy_with_short_wait) { run_race("race_copy", 2); }
CASE(race_copy_without_barrier) { run_race("race_copy", 3); }
CASE(race_refill) { run_race("race_copy", 4); }

KERNEL(race_tiles, RaceArgs, 32) {
    SHARED(RaceRows, s);
    s.x[0][threadIdx.x] = s.x[0][32 + threadIdx.x] = s.x[0][64 + threadIdx.x] = s.x[0][96 + threadIdx.x] = 0.0f;
    if (a.fault == 0) __syncwarp();
    uint32_t r[4];
    ldmatrix_x4(r, &s.x[0][4 * threadIdx.x]);
    a.out[threadIdx.x] = float(r[0]);
}
CASE(race_ldmatrix) { run_race("race_tiles", 1); }

// ---- no races ------------------------------------------------------------------------

CASE(race_free) {
    for (int round = 0; round < 2; round++) { // a launch is ordered after the one before
        for (const char* kernel : {"race_barrier", "race_everyone", "race_readers", "race_warp", "race_chain"})
            run_race(kernel, 0);
        run_race("race_warp", 3);
        run_race("race_copy", 0);
        run_race("race_tiles", 0);
        run_race("race_blocks", 0, 8);
    }
}
