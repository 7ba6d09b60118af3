// What orders the accesses of the threads of a block, for kernels that use mbarriers: vector clocks with an entry for
// each thread and for each mbarrier.
//
// A thread knows of another what that thread did before its clock had the value of the entry. An entry of an mbarrier
// is the number of its phases that the thread knows to be complete, and so which bulk copies have landed.
//
// A thread has two such clocks. `known` has what is ordered before it. `fenced` has the part of it that a
// fence.proxy.async has made visible to the async proxy: the fence may stand anywhere on the path from the write to
// whoever reads (PTX ISA, "Causality order").
#pragma once
#include <stdint.h>

#include <vector>

namespace host {
namespace order {

constexpr int kMostMbarriers = 64; // of a block

// Clocks is what an mbarrier or a named barrier passes from threads that arrive to threads that wait.
struct Clocks {
    std::vector<uint32_t> known, fenced;
};

// begin starts a block. Nothing is recorded for a block in which it is not on.
void begin(int threads, bool on);
bool on();

// now returns the clock of a thread, and entry_of_mbarrier the entry of an mbarrier.
uint32_t now(int thread);
uint32_t entry_of_mbarrier(int number);
// knows reports whether what had the given clock of an entry is ordered before what a thread does now, and fenced
// whether a proxy fence is on the way.
bool knows(int thread, uint32_t entry, uint32_t clock);
bool fenced(int thread, uint32_t entry, uint32_t clock);

void proxy_fence(int thread);
void release(int thread, Clocks& to);
void acquire(int thread, const Clocks& from);
// complete records that a thread knows of the complete phases of an mbarrier.
void complete(int thread, int mbarrier, uint32_t phases);
void warp_barrier(int warp, uint32_t lanes);
void block_barrier();

} // namespace order
} // namespace host
