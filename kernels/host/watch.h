// A watcher sees every access of a kernel to memory, and everything that orders
// accesses. Kernels that are compiled with -fsanitize=thread report their
// accesses to the functions in watch.cpp, which replace the run-time library of
// that sanitizer; ldmatrix and cp.async report theirs in tensorcore.cpp.
//
// LOR2C_HOST_MODE selects the watcher of a process:
//
//   races     ends the process at two accesses that nothing orders (races.cpp)
//   accesses  counts sectors, wavefronts and collectives (accesses.cpp)
//   card      no watcher; for arithmetic as on a card (numerics.h)
//   launches  no watcher; for LOR2C_HOST_LAUNCHES (driver.h)
#pragma once
#include <stdint.h>

#include <string>

#include "block.h"

namespace host {

// Site is the place of an access: an address in the code of a kernel, or the
// line of a call of ldmatrix or cp.async.
typedef uint32_t Site;
Site site(Place place);
// describe returns the lines of a site, that of the innermost function first.
std::string describe(Site site);
// address returns a site as an address in this library, for addr2line, or as a line.
std::string address(Site site);

struct Access {
    uintptr_t at;
    uint32_t size;
    int thread; // number in the block
    Site site;
    bool write, shared;
};

struct Watcher {
    virtual ~Watcher() = default;
    virtual void launch() {}
    virtual void block_begin() {}
    virtual void block_end() {}
    virtual void barrier() {}                    // all threads of the block
    virtual void syncwarp(int, uint32_t) {}      // warp, lanes
    virtual void collective(Op) {}               // of a warp, also __syncwarp
    virtual void access(const Access& a) = 0;
    virtual void copy_issued(const Access&) {}   // a cp.async may write from now on
    virtual void copy_landed(const Access&) {}   // its thread has waited for it
};

// watcher is null if the process watches nothing.
extern Watcher* watcher;
Watcher* watch_races();
Watcher* watch_accesses();

// watched reports an access of the running thread, or of another one of its
// block.
void watched(const void* at, uint32_t size, bool write, int thread, Site site);

} // namespace host
