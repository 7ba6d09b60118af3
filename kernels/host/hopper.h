// What kernels for sm_90a use beside the names of cuda.h: the shared window, mbarriers, bulk copies, proxy fences,
// wgmma, named barriers, and registers that a warpgroup takes and gives back. hopper.cuh has the same functions in PTX
// and says what each does. A kernel that uses them begins with KERNEL_HOPPER.
//
// What PTX leaves undefined ends the process with the line of the kernel. The checks need no other build than that
// which runs the kernel, except those of ordinary loads and stores to shared memory, which only mode races sees:
//
//   proxies     wgmma and bulk copies do not see what the generic proxy (stores, cp.async) has written, unless a
//               fence.proxy.async is on the way from the writer to them
//   order       a copy into memory that a wgmma in progress reads, or that was read and nothing orders the two; a read
//               of memory into which a copy is in flight, or has landed without the reader's wait for its mbarrier
//   mbarriers   use before initialisation or without an order after it, too many arrivals, more bytes than expected, a
//               wait for a phase that the thread has waited for before, or in which it has missed one (a wrong parity)
//   wgmma       descriptors that are misaligned or leave shared memory, accumulators that are used before their wait or
//               without wgmma.fence, warps that do not take part
//   deadlocks   with the mbarrier, its phase, missing arrivals and bytes
//
// Copies land at times that the seed draws, and wgmma reads its operands at its issue or at the wait, by the seed.
#pragma once
#include "block.h"

namespace host {

// ---- what block.cpp calls -------------------------------------------------------

void async_block_begin();
void async_block_end();
void async_thread_end();
// async_shared gives a range its addresses in the shared window.
void async_shared(Range& r);
// async_pending reports whether a bulk copy is in flight, and async_step lets one land.
bool async_pending();
void async_step();
// elected returns the leader of elect.sync, which is the same for equal masks of a launch.
int elected(uint32_t mask);

// ---- the shared window ----------------------------------------------------------

// buffer returns the name of a variable in shared memory and the offset of an address in it.
std::string buffer(uint32_t window);
// bytes_at returns the memory at an address of the window, and fails if n bytes from it are not in one variable.
unsigned char* bytes_at(uint32_t window, size_t n, const char* what, Place place);

// ---- warpgroups -------------------------------------------------------------------

constexpr int kGroup = 128; // threads of a warpgroup
// group_join waits for all threads of the warpgroup to call it from one place with one value. It returns true in the
// last thread to come, which then calls group_open, and false in the others after that.
bool group_join(const char* what, uint64_t value, Place place);
void group_open();

// ---- hopper.cuh -------------------------------------------------------------------

uint32_t window_of(const void* p, Place place);
void mbarrier_init(uint64_t* b, int count, Place place);
void mbarrier_arrive(uint64_t* b, uint32_t expect, Place place);
void mbarrier_wait(uint64_t* b, int parity, Place place);
void fence_init(Place place);
void fence_proxy(Place place);
void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* b, Place place);
void named_barrier(int id, int threads, bool wait, Place place);
void set_registers(int n, bool take, Place place);
void wgmma_fence(Place place);
void wgmma(float* d, int n, uint64_t a, uint64_t b, bool a_across, bool b_across, bool add, Place place);
void wgmma_commit(Place place);
void wgmma_wait(int pending, Place place);

} // namespace host

inline uint32_t shared_address(const void* p, LOR2C_HOST_PLACE) { return host::window_of(p, place); }
inline void mbarrier_init(uint64_t* b, int count, LOR2C_HOST_PLACE) { host::mbarrier_init(b, count, place); }
inline void fence_mbarrier_init(LOR2C_HOST_PLACE) { host::fence_init(place); }
inline void mbarrier_arrive(uint64_t* b, LOR2C_HOST_PLACE) { host::mbarrier_arrive(b, 0, place); }
inline void mbarrier_arrive_expect(uint64_t* b, uint32_t bytes, LOR2C_HOST_PLACE) {
    host::mbarrier_arrive(b, bytes, place);
}
inline void mbarrier_wait(uint64_t* b, int parity, LOR2C_HOST_PLACE) { host::mbarrier_wait(b, parity, place); }
inline void bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* b, LOR2C_HOST_PLACE) {
    host::bulk_copy(shared, global, bytes, b, place);
}
inline void fence_proxy_async(LOR2C_HOST_PLACE) { host::fence_proxy(place); }
inline void named_barrier_sync(int id, int threads, LOR2C_HOST_PLACE) {
    host::named_barrier(id, threads, true, place);
}
inline void named_barrier_arrive(int id, int threads, LOR2C_HOST_PLACE) {
    host::named_barrier(id, threads, false, place);
}
template <int n> inline void registers_give(LOR2C_HOST_PLACE) { host::set_registers(n, false, place); }
template <int n> inline void registers_take(LOR2C_HOST_PLACE) { host::set_registers(n, true, place); }
inline bool elect(LOR2C_HOST_PLACE) { return host::join(host::Op::elect, 0xffffffffu, 0, 0, place) != 0; }
inline void wgmma_fence(LOR2C_HOST_PLACE) { host::wgmma_fence(place); }
template <int n, bool a_across, bool b_across>
inline void wgmma(float (&d)[n / 2], uint64_t a, uint64_t b, bool add, LOR2C_HOST_PLACE) {
    static_assert(n % 8 == 0 && n >= 8 && n <= 256, "the columns of a wgmma");
    host::wgmma(d, n, a, b, a_across, b_across, add, place);
}
inline void wgmma_commit(LOR2C_HOST_PLACE) { host::wgmma_commit(place); }
template <int pending> inline void wgmma_wait(LOR2C_HOST_PLACE) { host::wgmma_wait(pending, place); }
template <int n> inline void keep_order(float (&)[n]) {}
