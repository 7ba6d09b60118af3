// Kernels with mbarriers, bulk copies and wgmma. Fault 0 of each is right, and the others have one fault each.
#include "hopper.cuh"
#include "host/selftest/selftest.h"

#include <vector>

// ---- layouts -----------------------------------------------------------------------

constexpr int kLines = 64, kDepth = 64; // of a tile of either operand

// Layout is how a tile is stored: rows of `bytes` (a swizzle, or 16 without one) of terms, or of lines if across is
// set.
struct Layout {
    int bytes;
    bool across;

    // offset returns where an element is, in bytes. A box has rows of `bytes`; the 16 bytes of a row are XORed with the
    // number of the 128 bytes that the row is in.
    int offset(int line, int term) const {
        const int row = across ? term : line, col = across ? line : term, rows = 64;
        if (bytes == 16) return line / 8 * 128 + term / 8 * (kLines * 16) + row % 8 * 16 + col % 8 * 2;
        const int wide = bytes / 2, box = col / wide, within = col % wide * 2;
        const int group = (within / 16) ^ (row * bytes / 128 % (bytes / 16));
        return box * rows * bytes + row * bytes + group * 16 + within % 16;
    }
    Swizzle swizzle() const {
        return bytes == 128 ? kSwizzle128 : bytes == 64 ? kSwizzle64 : bytes == 32 ? kSwizzle32 : kNoSwizzle;
    }
    // descriptor returns that of the 16 terms from 16 step on of a tile.
    uint64_t descriptor(uint32_t at, int step) const {
        if (bytes == 16) return tile_descriptor(at + step * 2 * kLines * 16, kLines * 16, 128, kNoSwizzle);
        if (across) return tile_descriptor(at + step * 16 * bytes, kDepth * bytes, 8 * bytes, swizzle());
        const int wide = bytes / 2, term = 16 * step;
        return tile_descriptor(at + term / wide * kLines * bytes + term % wide * 2, 16, 8 * bytes, swizzle());
    }
};

static float element_of_a(int line, int term) { return float((line * 7 + term * 3) % 11 - 5); }
static float element_of_b(int line, int term) { return float((line * 5 + term * 13) % 9 - 4); }

// align returns the first bytes of dynamic shared memory at a multiple of 1,024 of the shared window.
static unsigned char* align(unsigned char* p) { return p + (1024 - shared_address(p) % 1024) % 1024; }

struct TileArgs {
    const uint16_t *a, *b; // tiles as they are in shared memory
    float* out;            // [64][64]
    int bytes_a, bytes_b, across_a, across_b;
    int fault, copies;
};

template <bool across_a, bool across_b>
static void multiply_tiles(float (&d)[32], const Layout& la, const Layout& lb, uint32_t a, uint32_t b) {
    for (int step = 0; step < 4; step++)
        wgmma<64, across_a, across_b>(d, la.descriptor(a, step), lb.descriptor(b, step), step > 0);
}

// hopper_tiles multiplies a tile of each operand. Fault 1 leaves out the proxy fence, 2 makes it too early, 3 leaves
// out the barrier, 4 writes while the product runs, 5 reads an accumulator before the wait.
KERNEL_HOPPER(hopper_tiles, TileArgs, 128) {
    DYNAMIC_SHARED(memory);
    unsigned char* tiles = align(memory);
    const uint32_t at = shared_address(tiles);
    if (a.fault == 2) fence_proxy_async();
    for (int i = int(threadIdx.x); i < 1024; i += 128) {
        const uint16_t* from = i < 512 ? a.a + 8 * i : a.b + 8 * (i - 512);
        if (a.copies) cp_async_16(tiles + 16 * i, from, true);
        else copy16(tiles + 16 * i, from);
    }
    cp_async_commit();
    cp_async_wait<0>();
    if (a.fault != 1 && a.fault != 2) fence_proxy_async();
    if (a.fault != 3) __syncthreads();
    const Layout la{a.bytes_a, a.across_a != 0}, lb{a.bytes_b, a.across_b != 0};
    float d[32];
    wgmma_fence();
    if (a.across_a && a.across_b) multiply_tiles<true, true>(d, la, lb, at, at + 8192);
    if (a.across_a && !a.across_b) multiply_tiles<true, false>(d, la, lb, at, at + 8192);
    if (!a.across_a && a.across_b) multiply_tiles<false, true>(d, la, lb, at, at + 8192);
    if (!a.across_a && !a.across_b) multiply_tiles<false, false>(d, la, lb, at, at + 8192);
    wgmma_commit();
    if (a.fault == 4) copy16(tiles + 16 * threadIdx.x, a.a);
    float early = 0.0f;
    if (a.fault == 5) early = d[3];
    wgmma_wait<0>();
    const int lane = int(threadIdx.x) % 32, row = int(threadIdx.x) / 32 * 16 + lane / 4;
    for (int i = 0; i < 32; i++)
        a.out[(row + i / 2 % 2 * 8) * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i] + 0.0f * early;
}

// product runs hopper_tiles with tiles in one layout that are described as another, and returns the largest error.
static float product(Layout la, Layout lb, Layout said_a, Layout said_b, int fault, int copies) {
    alignas(16) static uint16_t a[4096], b[4096];
    static float out[64 * 64];
    for (int line = 0; line < 64; line++)
        for (int term = 0; term < 64; term++) {
            a[la.offset(line, term) / 2] = from_float<bf16>(element_of_a(line, term)).bits;
            b[lb.offset(line, term) / 2] = from_float<bf16>(element_of_b(line, term)).bits;
        }
    run("hopper_tiles", TileArgs{a, b, out, said_a.bytes, said_b.bytes, said_a.across, said_b.across, fault, copies}, 1,
        16384 + 1024);
    float worst = 0.0f;
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < 64; j++) {
            float want = 0.0f;
            for (int k = 0; k < 64; k++) want += element_of_a(i, k) * element_of_b(j, k);
            const float off = fabsf(out[i * 64 + j] - want);
            worst = off <= worst ? worst : off; // a NaN counts
        }
    return worst;
}

CASE(hopper_layouts) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        host::seed(seed);
        for (int x = 0; x < 8; x++)
            for (int y = 0; y < 8; y++) {
                const Layout la{16 << x % 4, x >= 4}, lb{16 << y % 4, y >= 4};
                CHECK(product(la, lb, la, lb, 0, int(seed % 2)) == 0.0f);
            }
    }
}
// A product whose operands have another swizzle than its descriptors say is wrong.
CASE(hopper_wrong_swizzle) {
    for (int x = 0; x < 4; x++)
        for (int y = 0; y < 4; y++) {
            const Layout la{16 << x, false}, said{16 << y, false}, lb{128, true};
            const float off = product(la, lb, said, lb, 0, 1);
            CHECK((off == 0.0f) == (x == y));
        }
}
static const Layout kSame{128, false};
CASE(hopper_copy_without_fence) { product(kSame, kSame, kSame, kSame, 1, 1); }
CASE(hopper_copy_with_early_fence) { product(kSame, kSame, kSame, kSame, 2, 1); }
CASE(hopper_copy_without_barrier) { product(kSame, kSame, kSame, kSame, 3, 1); }
CASE(hopper_store_without_fence) { product(kSame, kSame, kSame, kSame, 1, 0); }
CASE(hopper_store_with_early_fence) { product(kSame, kSame, kSame, kSame, 2, 0); }
CASE(hopper_store_without_barrier) { product(kSame, kSame, kSame, kSame, 3, 0); }
CASE(hopper_store_while_read) { product(kSame, kSame, kSame, kSame, 4, 0); }
CASE(hopper_early_accumulator) { product(kSame, kSame, kSame, kSame, 5, 1); }

// ---- a pipeline ----------------------------------------------------------------------

struct PipeArgs {
    const uint16_t *a, *b; // [steps] tiles with a swizzle of 128 bytes
    float* out;            // [64][64]
    int steps, fault;
};
struct alignas(8) Ring {
    uint64_t full[2], empty[2];
};

enum PipeFault {
    kRight, kConstantParity, kShiftedParity, kNoEmptyWait, kEarlyRelease, kTooFewBytes, kTooManyBytes, kNeverComplete,
    kNoInitFence, kNoInitBarrier, kNoFullWait, kNotAligned, kWritesEarly, kNoWgmmaFence, kNoCommit, kRegistersKept,
    kOtherCount, kTooManyArrivals, kWarpMissing, kCopyBeyond, kInitTwice, kOddBytes, kOtherDescriptor,
};

// hopper_pipeline has a warpgroup that copies tiles, at most two ahead of one that multiplies them, and one that
// leaves.
KERNEL_HOPPER(hopper_pipeline, PipeArgs, 384) {
    SHARED(Ring, ring);
    DYNAMIC_SHARED(memory);
    unsigned char* tiles = align(memory) + (a.fault == kNotAligned ? 256 : 0);
    const int group = int(threadIdx.x) / 128, warp = int(threadIdx.x) / 32;
    if (warp == 0 && elect()) {
        for (int i = 0; i < 2; i++) {
            mbarrier_init(&ring.full[i], a.fault == kNeverComplete ? 2 : 1);
            mbarrier_init(&ring.empty[i], a.fault == kTooManyArrivals ? 3 : 4);
        }
        if (a.fault == kInitTwice) mbarrier_init(&ring.full[0], 1);
        if (a.fault != kNoInitFence) fence_mbarrier_init();
    }
    if (a.fault != kNoInitBarrier) __syncthreads();
    if (group == 2) return;
    if (group == 0) {
        if (a.fault != kRegistersKept) registers_give<40>();
        if (warp != 0 || !elect()) return;
        for (int i = 0; i < a.steps; i++) {
            const int at = i % 2, round = i / 2;
            if (a.fault != kNoEmptyWait) mbarrier_wait(&ring.empty[at], (round & 1) ^ 1);
            const uint32_t bytes = a.fault == kTooFewBytes ? 8192 : a.fault == kTooManyBytes ? 32768 : 16384;
            mbarrier_arrive_expect(&ring.full[at], bytes);
            bulk_copy(tiles + at * 16384, a.a + i * 4096, a.fault == kOddBytes ? 8200 : 8192, &ring.full[at]);
            bulk_copy(tiles + at * 16384 + 8192, a.b + i * 4096 + (a.fault == kCopyBeyond ? 8 * a.steps : 0), 8192,
                      &ring.full[at]);
        }
        return;
    }
    registers_take<240>();
    float d[32];
    const Layout layout{128, false};
    for (int i = 0; i < a.steps; i++) {
        const int at = i % 2, round = i / 2;
        const uint32_t from = shared_address(tiles) + at * 16384;
        const int parity = a.fault == kConstantParity ? 0 : a.fault == kShiftedParity ? (round & 1) ^ 1 : round & 1;
        if (a.fault != kNoFullWait) mbarrier_wait(&ring.full[at], parity);
        if (a.fault != kNoWgmmaFence) wgmma_fence();
        if (a.fault == kWarpMissing && warp == 7) break;
        for (int step = 0; step < 4; step++) {
            const int other = a.fault == kOtherDescriptor && warp == 6 ? 1 : 0;
            wgmma<64, false, false>(d, layout.descriptor(from, step ^ other), layout.descriptor(from + 8192, step),
                                    i + step > 0);
        }
        if (a.fault != kNoCommit) wgmma_commit();
        if (a.fault == kWritesEarly) d[5] = 1.0f;
        if (a.fault != kEarlyRelease) wgmma_wait<0>();
        if (threadIdx.x % 32 == 0) mbarrier_arrive(&ring.empty[at]);
    }
    if (a.fault == kEarlyRelease) wgmma_wait<0>();
    named_barrier_sync(1, a.fault == kOtherCount ? 256 : 128);
    if (a.fault == kNoCommit) return;
    const int lane = int(threadIdx.x) % 32, row = (warp - 4) * 16 + lane / 4;
    for (int i = 0; i < 32; i++) a.out[(row + i / 2 % 2 * 8) * 64 + i / 4 * 8 + lane % 4 * 2 + i % 2] = d[i];
}

static void pipeline(int steps, int fault) {
    const Layout layout{128, false};
    void* memory = nullptr;
    CHECK(posix_memalign(&memory, 16, size_t(steps) * 16384) == 0);
    uint16_t *a = static_cast<uint16_t*>(memory), *b = a + steps * 4096;
    for (int i = 0; i < steps; i++)
        for (int line = 0; line < 64; line++)
            for (int term = 0; term < 64; term++) {
                a[i * 4096 + layout.offset(line, term) / 2] = from_float<bf16>(element_of_a(line, term + i)).bits;
                b[i * 4096 + layout.offset(line, term) / 2] = from_float<bf16>(element_of_b(line, term + 2 * i)).bits;
            }
    std::vector<float> out(64 * 64, -1.0f);
    run("hopper_pipeline", PipeArgs{a, b, out.data(), steps, fault}, 1, 2 * 16384 + 2048);
    for (int i = 0; i < 64; i++)
        for (int j = 0; j < 64; j++) {
            float want = 0.0f;
            for (int s = 0; s < steps; s++)
                for (int k = 0; k < 64; k++) want += element_of_a(i, k + s) * element_of_b(j, k + 2 * s);
            CHECK(out[size_t(i * 64 + j)] == want);
        }
    free(memory);
}

CASE(hopper_pipeline) {
    for (uint64_t seed = 1; seed <= 5; seed++) {
        host::seed(seed);
        for (int steps = 1; steps <= 9; steps++) pipeline(steps, kRight);
    }
}
CASE(hopper_constant_parity) { pipeline(6, kConstantParity); }
CASE(hopper_shifted_parity) { pipeline(6, kShiftedParity); }
CASE(hopper_no_empty_wait) { pipeline(6, kNoEmptyWait); }
CASE(hopper_early_release) { pipeline(6, kEarlyRelease); }
CASE(hopper_too_few_bytes) { pipeline(6, kTooFewBytes); }
CASE(hopper_too_many_bytes) { pipeline(6, kTooManyBytes); }
CASE(hopper_never_complete) { pipeline(6, kNeverComplete); }
CASE(hopper_no_init_fence) { pipeline(6, kNoInitFence); }
CASE(hopper_no_init_barrier) { pipeline(6, kNoInitBarrier); }
CASE(hopper_no_full_wait) { pipeline(6, kNoFullWait); }
CASE(hopper_not_aligned) { pipeline(6, kNotAligned); }
CASE(hopper_writes_early) { pipeline(6, kWritesEarly); }
CASE(hopper_no_wgmma_fence) { pipeline(6, kNoWgmmaFence); }
CASE(hopper_no_commit) { pipeline(1, kNoCommit); }
CASE(hopper_registers_kept) { pipeline(6, kRegistersKept); }
CASE(hopper_other_count) { pipeline(6, kOtherCount); }
CASE(hopper_too_many_arrivals) { pipeline(6, kTooManyArrivals); }
CASE(hopper_warp_missing) { pipeline(6, kWarpMissing); }
CASE(hopper_copy_beyond) { pipeline(6, kCopyBeyond); }
CASE(hopper_init_twice) { pipeline(6, kInitTwice); }
CASE(hopper_odd_bytes) { pipeline(6, kOddBytes); }
CASE(hopper_other_descriptor) { pipeline(6, kOtherDescriptor); }
