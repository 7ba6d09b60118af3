// Warpgroup products, bulk copies and mbarriers (PTX ISA 8.0, sm_90a). host/hopper.h defines each of these functions
// for the CPU too, where their misuse ends the process with a message.
//
// A warpgroup is 4 neighbouring warps, of which the first has a number that 4 divides. wgmma and bulk copies access
// shared memory through the async proxy, all other instructions through the generic proxy. What one has written, the
// other sees only after fence_proxy_async; the end of a bulk copy, seen through its mbarrier, is such a fence.
#pragma once
#include "mma.cuh"

#ifdef __CUDACC__

// KERNEL_HOPPER begins the definition of a kernel for sm_90a. It has a multiprocessor for itself.
#define KERNEL_HOPPER(name, Args, threads) KERNEL_RESIDENT(name, Args, threads, 1)

// ---- mbarriers --------------------------------------------------------------

// mbarrier_init makes 8 bytes of shared memory an mbarrier whose phases end after `count` arrivals, and after the bytes
// that these expect have been copied. Other threads may use it after a barrier, and bulk copies after the initialising
// thread has called fence_mbarrier_init.
DEVICE void mbarrier_init(uint64_t* b, int count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;\n" ::"r"(shared_address(b)), "r"(count) : "memory");
}
DEVICE void fence_mbarrier_init() { asm volatile("fence.mbarrier_init.release.cluster;\n" ::: "memory"); }

DEVICE void mbarrier_arrive(uint64_t* b) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];\n" ::"r"(shared_address(b)) : "memory");
}
// mbarrier_arrive_expect arrives, and the phase then waits for copies of this number of bytes too.
DEVICE void mbarrier_arrive_expect(uint64_t* b, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;\n" ::"r"(shared_address(b)), "r"(bytes)
                 : "memory");
}

// mbarrier_wait waits until the phase with the given parity is complete. Phases are 0, 1, 2 ..., and before the first
// is complete a wait with parity 1 does not wait. A thread waits for each phase once.
DEVICE void mbarrier_wait(uint64_t* b, int parity) {
    asm volatile(
        "{\n.reg .pred done;\nagain:\nmbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n}\n" ::"r"(shared_address(b)), "r"(parity)
        : "memory");
}

// bulk_copy starts to copy bytes to shared memory, in the name of an mbarrier. Both addresses and the number must be
// multiples of 16.
DEVICE void bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* b) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];\n" ::"r"(
                     shared_address(shared)),
                 "l"(global), "r"(bytes), "r"(shared_address(b))
                 : "memory");
}

DEVICE void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;\n" ::: "memory"); }

// ---- threads ----------------------------------------------------------------

// named_barrier_sync waits until the given number of threads have come to barrier 1 to 15, with those that called
// named_barrier_arrive, which does not wait.
DEVICE void named_barrier_sync(int id, int threads) {
    asm volatile("bar.sync %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}
DEVICE void named_barrier_arrive(int id, int threads) {
    asm volatile("bar.arrive %0, %1;\n" ::"r"(id), "r"(threads) : "memory");
}

// registers_give reduces the registers of each thread of a warpgroup to n, and registers_take waits until each can have
// n.
template <int n> DEVICE void registers_give() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;\n" ::"n"(n)); }
template <int n> DEVICE void registers_take() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;\n" ::"n"(n)); }

// elect returns true in one lane of a warp, always the same.
DEVICE bool elect() {
    int leads;
    asm volatile("{\n.reg .pred leads;\nelect.sync _|leads, 0xffffffff;\nselp.b32 %0, 1, 0, leads;\n}\n" : "=r"(leads));
    return leads;
}

// ---- products of a warpgroup --------------------------------------------------

// wgmma_fence is called before a wgmma whose accumulators the threads have accessed since the last wait.
DEVICE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;\n" ::: "memory"); }
// wgmma_commit closes a group of products, and wgmma_wait waits until all groups except the last `pending` are
// complete.
DEVICE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;\n" ::: "memory"); }
template <int pending> DEVICE void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;\n" ::"n"(pending) : "memory");
}

// keep_order keeps the compiler from moving accesses of accumulators across this place. It is called before a
// wgmma_fence and after a wgmma_wait, which do not name the registers.
template <int n> DEVICE void keep_order(float (&d)[n]) {
    UNROLL
    for (int i = 0; i < n; i++) asm volatile("" : "+f"(d[i])::"memory");
}

#define ACCUMULATORS_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define ACCUMULATORS_16(i) ACCUMULATORS_4(i), ACCUMULATORS_4(i + 4), ACCUMULATORS_4(i + 8), ACCUMULATORS_4(i + 12)
#define ACCUMULATORS_32(i) ACCUMULATORS_16(i), ACCUMULATORS_16(i + 16)

template <bool a_across, bool b_across> DEVICE void wgmma_64(float (&d)[32], uint64_t a, uint64_t b, bool add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
        "%32, %33, add, 1, 1, %35, %36;\n}\n"
        : ACCUMULATORS_32(0)
        : "l"(a), "l"(b), "r"(int(add)), "n"(int(a_across)), "n"(int(b_across)));
}
template <bool a_across, bool b_across> DEVICE void wgmma_128(float (&d)[64], uint64_t a, uint64_t b, bool add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
        "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, "
        "%64, %65, add, 1, 1, %67, %68;\n}\n"
        : ACCUMULATORS_32(0), ACCUMULATORS_32(32)
        : "l"(a), "l"(b), "r"(int(add)), "n"(int(a_across)), "n"(int(b_across)));
}
template <bool a_across, bool b_across> DEVICE void wgmma_256(float (&d)[128], uint64_t a, uint64_t b, bool add) {
    asm volatile(
        "{\n.reg .pred add;\nsetp.ne.b32 add, %130, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 "
        "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
        "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
        "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63,"
        "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,"
        "%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%92,%93,%94,%95,"
        "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,"
        "%112,%113,%114,%115,%116,%117,%118,%119,%120,%121,%122,%123,%124,%125,%126,%127}, "
        "%128, %129, add, 1, 1, %131, %132;\n}\n"
        : ACCUMULATORS_32(0), ACCUMULATORS_32(32), ACCUMULATORS_32(64), ACCUMULATORS_32(96)
        : "l"(a), "l"(b), "r"(int(add)), "n"(int(a_across)), "n"(int(b_across)));
}
#undef ACCUMULATORS_32
#undef ACCUMULATORS_16
#undef ACCUMULATORS_4

// wgmma starts d = a b, or d += a b if add is set, for a [64,16] and b [16,n] bf16 in shared memory. A descriptor says
// where an operand is (see tile_descriptor). If a_across is set, the rows of a are adjacent in memory, otherwise its
// terms; likewise the columns of b. Lane l of warp w has columns 2(l%4) and 2(l%4) + 1 of every 8 in d, of rows
// 16w + l/4 and, in the next two registers, 16w + l/4 + 8.
template <int n, bool a_across, bool b_across> DEVICE void wgmma(float (&d)[n / 2], uint64_t a, uint64_t b, bool add) {
    static_assert(n == 64 || n == 128 || n == 256, "the columns of a wgmma");
    if constexpr (n == 64) wgmma_64<a_across, b_across>(d, a, b, add);
    if constexpr (n == 128) wgmma_128<a_across, b_across>(d, a, b, add);
    if constexpr (n == 256) wgmma_256<a_across, b_across>(d, a, b, add);
}

#endif

// Swizzle is the layout of an operand: the number of bytes after which a row of it continues elsewhere. The place of 16
// bytes within that is XORed with the row, so that neighbouring rows are in different banks.
enum Swizzle { kNoSwizzle = 0, kSwizzle128 = 1, kSwizzle64 = 2, kSwizzle32 = 3 };

// tile_descriptor returns the descriptor of an operand of wgmma at an address of the shared window. `stride` is the
// distance in bytes between groups of 8 lines, or of 8 terms if the lines are adjacent; `leading` that between the
// parts of a row, if it has several. With kNoSwizzle `stride` is always for groups of 8 lines and `leading` for groups
// of 8 terms.
// Source: PTX ISA, "Shared memory matrix layout" and "Matrix descriptor format".
DEVICE uint64_t tile_descriptor(uint32_t at, int leading, int stride, Swizzle swizzle) {
    return uint64_t(at >> 4) | uint64_t(leading >> 4) << 16 | uint64_t(stride >> 4) << 32 | uint64_t(swizzle) << 62;
}
