// The history of shared memory in kernels with mbarriers, in pieces of 16 bytes of the shared window: who wrote a piece
// last, whether a copy into it is in flight, and which wgmma reads it or has read it. A fault ends the process.
#pragma once
#include "block.h"
#include "watch.h"

namespace host {
namespace shadow {

constexpr uint32_t kPiece = 16;

void begin(int threads);

// copy_begins records a copy into memory. A bulk copy can be seen by those who know the phases of an mbarrier; a
// cp.async is written by the generic proxy in the name of its thread.
void bulk_begins(uint32_t at, uint32_t size, uint32_t entry, uint32_t phases, Place place);
void copy_begins(uint32_t at, uint32_t size, Place place);
void bulk_lands(uint32_t at, uint32_t size);
void copy_lands(uint32_t at, uint32_t size);

// stored and loaded record accesses of the running thread that mode races sees.
void stored(uint32_t at, uint32_t size, Site site);
void loaded(uint32_t at, uint32_t size, Site site);

// Reader checks that the threads of a warpgroup may read pieces with a wgmma.
class Reader {
public:
    Reader(int first_thread, Place place) : first_(first_thread), place_(place) {}
    // read begins to read a piece with the given content.
    void read(uint32_t at, const unsigned char* content);

private:
    bool all(bool fenced, uint32_t entry, uint32_t clock);
    int first_;
    Place place_;
    std::vector<uint32_t> known_, fenced_; // clocks that all threads know
};
// read_ends ends what Reader::read began: each warp has waited for it.
void read_ends(uint32_t at, int first_thread);

} // namespace shadow
} // namespace host
