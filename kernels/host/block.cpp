#include "block.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>

#include "hopper.h"
#include "order.h"
#include "places.h"
#include "random.h"
#include "watch.h"

namespace host {

Thread* self;
Block block;

bool same(Place a, Place b) { return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0); }

namespace {

constexpr int kMostThreads = 1024;
// kMostShared is the shared memory in bytes that a block can request on sm_86,
// which has the least of all targets.
constexpr size_t kMostShared = 99 << 10;
// kMostSharedHopper is the same on sm_90.
constexpr size_t kMostSharedHopper = 227 << 10;

const Kernel* kernels;

// Schedule is the state of the threads of the running block.
struct Schedule {
    int count, live; // number of threads, and of those that have not ended
    Warp warps[kMostThreads / 32];
    uint32_t runnable; // warps with a runnable lane
    int warp;          // the warp from which the next lane is drawn
    int arrived;       // threads at the barrier
    Place barrier;     // position of that barrier in the source
    Fiber caller;
} schedule;

// Fibers and their stacks are reused: each one runs a thread of every later
// block.
Thread threads[kMostThreads];

uint64_t seed_value = seed_at_start();
uint64_t launches;
Random lots;

// draw returns the index of a random set bit of mask.
int draw(uint32_t mask, uint32_t random) {
    const int turn = random % 32;
    const uint32_t turned = mask >> turn | mask << (32 - turn) % 32;
    return (__builtin_ctz(turned) + turn) % 32;
}

void say(const Thread& t) {
    fprintf(stderr, "thread (%u,%u,%u)", t.index.x, t.index.y, t.index.z);
}

// sleeps_like_the_last reports whether a thread waits for the same as the one before it, which has been reported.
bool sleeps_like_the_last(int i) {
    if (i == 0) return false;
    const Sleep &a = threads[i].sleep, &b = threads[i - 1].sleep;
    return b.what != nullptr && a.object == b.object && same(a.place, b.place);
}

// stuck reports that no thread can go on.
[[noreturn]] void stuck() {
    fprintf(stderr, "host: kernel %s, block (%u,%u,%u): no thread can go on; %d of %d have ended\n",
            block.kernel->name, block.index.x,
            block.index.y, block.index.z, schedule.count - schedule.live, schedule.count);
    int said = 0;
    for (int i = 0; i < schedule.count && said < 8; i++) {
        const Thread& t = threads[i];
        const uint32_t bit = 1u << t.lane;
        if (t.warp->at_barrier & bit) {
            fputs("  ", stderr), say(t);
            fprintf(stderr, " waits in __syncthreads at %s:%d\n", schedule.barrier.file, schedule.barrier.line);
            said++;
        } else if (t.warp->joined & bit) {
            const Wait& w = t.warp->wait[t.lane];
            fputs("  ", stderr), say(t);
            fprintf(stderr, " waits in %s at %s:%d for lanes 0x%08x, of which 0x%08x are missing\n", name(w.op),
                    w.place.file,
                    w.place.line, w.mask, w.mask & ~t.warp->joined);
            said++;
        } else if (t.sleep.what != nullptr && !sleeps_like_the_last(i)) {
            fputs("  ", stderr), say(t);
            fprintf(stderr, " waits in %s at %s:%d%s\n", t.sleep.what, t.sleep.place.file, t.sleep.place.line,
                    t.sleep.say(t.sleep.object).c_str());
            said++;
        }
    }
    abort();
}

void run_on(Fiber& from, Thread* to) {
    self = to;
    Fiber::go(from, to->fiber);
}

Thread* next() {
    Schedule& s = schedule;
    if (async_pending() && (lots.next() & 15) == 0) async_step();
    while (s.runnable == 0) {
        if (!async_pending()) stuck();
        async_step();
    }
    const uint64_t r = lots.next();
    if ((s.runnable >> s.warp & 1) == 0 || (r & 63) == 0) s.warp = draw(s.runnable, r >> 32);
    Warp& w = s.warps[s.warp];
    const int lane = draw(w.runnable, r >> 8);
    w.runnable &= ~(1u << lane);
    if (w.runnable == 0) s.runnable &= ~(1u << s.warp);
    return &threads[s.warp * 32 + lane];
}

// wait runs other threads until one of them makes this thread runnable.
void wait() {
    Thread* me = self;
    Thread* to = next();
    if (to != me) run_on(me->fiber, to);
}

void wake(Warp& w, uint32_t lanes) {
    w.runnable |= lanes;
    if (w.runnable != 0) schedule.runnable |= 1u << (&w - schedule.warps);
}

void open_barrier() {
    Schedule& s = schedule;
    s.arrived = 0;
    if (watcher != nullptr) watcher->barrier();
    order::block_barrier();
    for (int i = 0; i < (s.count + 31) / 32; i++) {
        wake(s.warps[i], s.warps[i].at_barrier);
        s.warps[i].at_barrier = 0;
    }
}

// thread_main runs a thread of one block, then one of the next block, and so
// on.
void thread_main() {
    Fiber::arrived();
    for (;;) {
        block.kernel->run(block.args);
        copy_end();
        async_thread_end();
        Schedule& s = schedule;
        s.live--;
        Thread* me = self;
        if (s.live == 0) {
            Fiber::go(me->fiber, s.caller);
            continue;
        }
        if (s.arrived == s.live) open_barrier();
        run_on(me->fiber, next());
    }
}

void run_block() {
    Schedule& s = schedule;
    s.live = s.count;
    s.runnable = 0;
    s.arrived = 0;
    for (int i = 0; i < s.count; i += 32) {
        Warp& w = s.warps[i / 32];
        w.joined = w.at_barrier = w.runnable = 0;
        const int lanes = std::min(32, s.count - i);
        wake(w, lanes == 32 ? ~0u : (1u << lanes) - 1);
    }
    s.warp = draw(s.runnable, uint32_t(lots.next()));
    run_on(s.caller, next());
}

void prepare_threads(int count, Index dim) {
    for (int i = 0; i < count; i++) {
        Thread& t = threads[i];
        if (t.warp == nullptr) t.fiber.start(thread_main);
        t.number = i;
        t.index = {i % dim.x, i / dim.x % dim.y, i / (dim.x * dim.y)};
        t.lane = i % 32;
        t.warp = &schedule.warps[i / 32];
        t.groups = 0;
        t.sleep = {};
    }
}

void check_shared() {
    size_t total = 0;
    for (const Range& r : block.shared) total += r.size;
    const size_t most = block.kernel->hopper ? kMostSharedHopper : kMostShared;
    if (total <= most) return;
    fprintf(stderr, "host: kernel %s uses %zu bytes of shared memory; a block has at most %zu on %s\n",
            block.kernel->name, total, most, block.kernel->hopper ? "sm_90" : "sm_86");
    abort();
}

} // namespace

const char* name(Op op) {
    static const char* const names[] = {
        "__syncthreads",   "__syncwarp",    "__shfl_sync", "__shfl_up_sync",    "__shfl_down_sync",
        "__shfl_xor_sync", "__ballot_sync", "ldmatrix_x4", "ldmatrix_x4_trans", "mma_bf16",
        "elect",           "wgmma",
    };
    return names[int(op)];
}

Kernel::Kernel(const char* name, size_t size, int threads, void (*run)(const void*), bool hopper)
    : name(name), size(size), threads(threads), run(run), hopper(hopper), next(kernels) {
    if (find(name) != nullptr) {
        fprintf(stderr, "host: two kernels are called %s\n", name);
        abort();
    }
    kernels = this;
}

const Kernel* Kernel::first() { return kernels; }

const Kernel* Kernel::find(const char* name) {
    for (const Kernel* k = kernels; k != nullptr; k = k->next)
        if (strcmp(k->name, name) == 0) return k;
    return nullptr;
}

void seed(uint64_t value) {
    seed_value = value;
    launches = 0;
}

void launch(const Kernel& kernel, Index grid, Index dim, size_t dynamic, const void* args) {
    const int count = int(dim.x * dim.y * dim.z);
    if (count != kernel.threads || count < 1 || count > kMostThreads) {
        fprintf(stderr, "host: kernel %s: launch with %d threads per block; it is declared with %d\n", kernel.name,
                count, kernel.threads);
        abort();
    }
    lots.at = seed_value * 0xD1342543DE82EF95u + launches++;
    // The buffers have exact sizes, so that the sanitizer reports any access
    // beyond them.
    const std::unique_ptr<uint64_t[]> copy(new uint64_t[kernel.size / 8]);
    memcpy(copy.get(), args, kernel.size);
    void* memory = nullptr;
    if (posix_memalign(&memory, 1024, dynamic) != 0) abort();
    block.kernel = &kernel;
    block.args = copy.get();
    block.dim = dim;
    block.grid = grid;
    block.dynamic = {static_cast<unsigned char*>(memory), dynamic, "dynamic shared memory", 0};
    schedule.count = count;
    prepare_threads(count, dim);
    runs(kernel);
    if (watcher != nullptr) watcher->launch();
    std::vector<uint32_t> order(size_t(grid.x) * grid.y * grid.z);
    for (size_t i = 0; i < order.size(); i++) order[i] = uint32_t(i);
    for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[lots.next() % i]);
    for (const uint32_t i : order) {
        block.index = {i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y};
        block.serial++;
        block.shared.assign(1, block.dynamic);
        memset(memory, 0xFF, dynamic);
        if (watcher != nullptr) watcher->block_begin();
        async_block_begin();
        run_block();
        async_block_end();
        if (watcher != nullptr) watcher->block_end();
        check_shared();
    }
    self = nullptr;
    free(memory);
}

void* shared_begin(SharedSite& site, size_t size) {
    if (site.memory.begin == nullptr) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 16, size) != 0) abort();
        site.memory = {static_cast<unsigned char*>(memory), size, site.name, 0};
    }
    memset(site.memory.begin, 0xFF, size);
    site.serial = block.serial;
    block.shared.push_back(site.memory);
    async_shared(block.shared.back());
    return site.memory.begin;
}

void fail(Place place, const char* format, ...) {
    fprintf(stderr, "host: kernel %s, block (%u,%u,%u), ", block.kernel->name, block.index.x, block.index.y,
            block.index.z);
    say(*self);
    if (place.file != nullptr) fprintf(stderr, ", %s:%d", place.file, place.line);
    fputs(": ", stderr);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    abort();
}

Thread& thread(int number) { return threads[number]; }
uint64_t lot() { return lots.next(); }

void sleep(const Sleep& why) {
    self->sleep = why;
    wait();
    self->sleep = {};
}

void rouse(Thread& t) { wake(*t.warp, 1u << t.lane); }

void barrier(Place place) {
    if (passes(place)) return;
    Schedule& s = schedule;
    if (s.arrived == 0) s.barrier = place;
    else if (!same(s.barrier, place))
        fail(place, "__syncthreads in a branch that some threads do not take: %d wait at %s:%d", s.arrived,
             s.barrier.file, s.barrier.line);
    s.arrived++;
    self->warp->at_barrier |= 1u << self->lane;
    if (s.arrived == s.live) open_barrier();
    wait();
}

// source returns the lane that a shuffle reads from.
static int source(const Wait& w, int lane) {
    const int width = int(w.arg & 0xff), arg = int(w.arg >> 8), first = lane & ~(width - 1), last = first + width - 1;
    int from = lane;
    switch (w.op) {
    case Op::shfl: from = first | (arg & (width - 1)); break;
    case Op::shfl_up: from = lane - arg < first ? lane : lane - arg; break;
    case Op::shfl_down: from = lane + arg > last ? lane : lane + arg; break;
    default: from = (lane ^ arg) > last ? lane : lane ^ arg;
    }
    return from;
}

// collect gives every lane of a collective its result, in value.
static void collect(Warp& w, uint32_t mask, const Wait& mine) {
    uint64_t result[32];
    switch (mine.op) {
    case Op::shfl:
    case Op::shfl_up:
    case Op::shfl_down:
    case Op::shfl_xor:
        for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
            const int lane = __builtin_ctz(rest), from = source(w.wait[lane], lane);
            if ((mask >> from & 1) == 0)
                fail(mine.place, "%s: lane %d reads lane %d, which is not in the mask 0x%08x", name(mine.op), lane,
                     from, mask);
            result[lane] = w.wait[from].value;
        }
        for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
            w.wait[__builtin_ctz(rest)].value = result[__builtin_ctz(rest)];
        }
        break;
    case Op::ballot: {
        uint64_t votes = 0;
        for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
            votes |= w.wait[__builtin_ctz(rest)].value << __builtin_ctz(rest);
        }
        for (uint32_t rest = mask; rest != 0; rest &= rest - 1) w.wait[__builtin_ctz(rest)].value = votes;
        break;
    }
    case Op::ldmatrix: ldmatrix(w, false); break;
    case Op::ldmatrix_trans: ldmatrix(w, true); break;
    case Op::mma: mma(w); break;
    case Op::elect: {
        const int leader = elected(mask);
        for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
            w.wait[__builtin_ctz(rest)].value = __builtin_ctz(rest) == leader;
        }
        break;
    }
    case Op::wgmma:
    case Op::syncwarp:
    case Op::barrier: break;
    }
}

uint64_t join(Op op, uint32_t mask, uint64_t value, uint32_t arg, Place place) {
    if (op == Op::syncwarp && passes(place)) return 0;
    Thread& t = *self;
    Warp& w = *t.warp;
    const uint32_t bit = 1u << t.lane;
    if ((mask & bit) == 0) {
        fail(place, "%s: the mask 0x%08x does not include the calling lane %d", name(op), mask, t.lane);
    }
    Wait& mine = w.wait[t.lane];
    mine = Wait{op, mask, arg, value, place};
    w.joined |= bit;
    if ((w.joined & mask) != mask) {
        wait();
        return mine.value;
    }
    for (uint32_t rest = mask; rest != 0; rest &= rest - 1) {
        const Wait& other = w.wait[__builtin_ctz(rest)];
        if (other.op != op || other.mask != mask || !same(other.place, place))
            fail(place, "%s of lanes 0x%08x meets lane %d in %s of lanes 0x%08x at %s:%d", name(op), mask,
                 __builtin_ctz(rest),
                 name(other.op), other.mask, other.place.file, other.place.line);
    }
    w.joined &= ~mask;
    if (op == Op::syncwarp) order::warp_barrier(t.number / 32, mask);
    if (watcher != nullptr) {
        if (op == Op::syncwarp) watcher->syncwarp(t.number / 32, mask);
        watcher->collective(op);
    }
    collect(w, mask, mine);
    wake(w, mask);
    wait();
    return mine.value;
}

} // namespace host
