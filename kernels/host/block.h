// This file runs a grid of blocks on the CPU. It defines what the names in
// cuda.h do.
//
// Blocks run one after the other, in an order drawn from the seed. The threads
// of a block are fibers: one runs until it reaches a barrier, reaches a
// collective of its warp, or ends; then the next one is drawn. For a while the
// next thread is drawn from the same warp, so that warps run far ahead of each
// other, as they do on a GPU. A missing barrier therefore shows as a result
// that is wrong or that changes with the seed.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "fiber.h"

namespace host {

struct Index {
    unsigned int x, y, z;
};

// Kernel is a kernel that the macro KERNEL registered.
struct Kernel {
    Kernel(const char* name, size_t size, int threads, void (*run)(const void* args), bool hopper = false);
    static const Kernel* find(const char* name);
    static const Kernel* first();

    const char* name;
    size_t size; // of the argument, in bytes
    int threads; // of a block
    void (*run)(const void* args);
    bool hopper; // compiled for sm_90a only; see hopper.h
    const Kernel* next;
};

enum class Op : uint8_t {
    barrier, syncwarp, shfl, shfl_up, shfl_down, shfl_xor, ballot, ldmatrix, ldmatrix_trans, mma, elect, wgmma,
};

// name returns what the source of a kernel calls it.
const char* name(Op op);

// Place is a line in the source of a kernel.
struct Place {
    const char* file;
    int line;
};
// The watcher is told of what such a function does, or need not know.
#define LOR2C_HOST_UNWATCHED __attribute__((no_sanitize("thread")))
#define LOR2C_HOST_PLACE \
    ::host::Place place = { __builtin_FILE(), __builtin_LINE() }

// Wait is the input of a lane to a collective that it has joined, and its
// result.
struct Wait {
    Op op;
    uint32_t mask, arg;
    uint64_t value;
    Place place;
};

struct Warp {
    uint32_t runnable;   // lanes, one bit each
    uint32_t joined;     // lanes that wait in a collective of the warp
    uint32_t at_barrier; // lanes that wait in __syncthreads
    Wait wait[32];
};

// Copy is a cp.async that has not been completed.
struct Copy {
    void* to;
    Place place;
    uint64_t data[2];
    uint64_t group;
};

// Sleep says for what a thread waits, if it is neither a barrier of the block nor a collective of its warp.
struct Sleep {
    Place place;
    const char* what; // null if it does not
    const void* object;
    std::string (*say)(const void* object); // what the object is missing, for a deadlock
};

struct Thread {
    Index index;
    int number; // in the block
    int lane;
    Warp* warp;
    Fiber fiber;
    std::vector<Copy> copies; // oldest first
    uint64_t groups;          // groups closed so far
    Sleep sleep;
};

// Range is a part of a block's shared memory.
struct Range {
    unsigned char* begin;
    size_t size;
    const char* name;
    uint32_t window; // address of the first byte in the shared window
};

struct Block {
    const Kernel* kernel;
    const void* args;
    Index index, dim, grid;
    uint64_t serial; // different for every block
    Range dynamic;
    std::vector<Range> shared; // including dynamic shared memory
};

extern Thread* self; // the running thread
extern Block block;  // the running block

// launch runs a grid and returns when it is done. It copies args. A fault in
// the kernel ends the process with a message that names kernel, block and
// thread.
void launch(const Kernel& kernel, Index grid, Index dim, size_t dynamic, const void* args);
// seed restarts the sequence from which all orders are drawn. Its initial value
// is LOR2C_HOST_SEED, or 1.
void seed(uint64_t value);

[[noreturn]] void fail(Place place, const char* format, ...) __attribute__((format(printf, 2, 3)));

void barrier(Place place);
// sleep runs other threads until rouse makes this one runnable.
void sleep(const Sleep& why);
void rouse(Thread& t);
// thread returns a thread of the running block.
Thread& thread(int number);
// lot returns the next number of the sequence from which orders are drawn.
uint64_t lot();
bool same(Place a, Place b);
// join waits for the lanes of mask and returns the result of the collective for
// this lane.
uint64_t join(Op op, uint32_t mask, uint64_t value, uint32_t arg, Place place);

// SharedSite is the state of a SHARED declaration. Its memory is reused for the
// next block. It is filled with 0xFF before each block, which makes every float
// a NaN.
struct SharedSite {
    const char* name;
    uint64_t serial;
    Range memory;
};
void* shared_begin(SharedSite& site, size_t size);
template <typename T> LOR2C_HOST_UNWATCHED T& shared(SharedSite& site) {
    if (site.serial == block.serial) return *reinterpret_cast<T*>(site.memory.begin);
    return *static_cast<T*>(shared_begin(site, sizeof(T)));
}

// Fragments has one lane's operands of mma_bf16.
struct Fragments {
    float* d;
    const uint32_t *a, *b;
};

void ldmatrix(Warp& w, bool transposed);
void mma(Warp& w);
// copy_begin returns the buffer for the 16 bytes. The code of the kernel copies
// them, because the sanitizers check only that code.
uint64_t* copy_begin(void* to, const void* from, bool valid, Place place);
void copy_close();
void copy_wait(uint64_t pending, Place place);
// copy_end reports a fault if the running thread ends before its copies are
// complete.
void copy_end();
// need_shared reports a fault unless p points to 16 aligned bytes in the
// block's shared memory.
void need_shared(const char* what, const void* p, Place place);

} // namespace host
