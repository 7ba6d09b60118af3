// This file finds races by happens-before. Two accesses to the same memory race
// if two threads make them, one of them writes, and nothing orders them.
//
// What orders accesses is what the CUDA model promises, and no more:
//   - The accesses of a thread are in order, but a cp.async may write at any time
//     until its thread has waited for its group.
//   - __syncthreads orders the threads of a block, also those that have ended,
//     and __syncwarp the lanes of its mask. Shuffles, votes, ldmatrix and mma order nothing.
//   - Nothing orders two blocks of a launch. A launch comes after the one before.
// So whether a race is found depends on the sizes of a launch, and not on the
// order in which the fibers run.
//
// Kernels with mbarriers and named barriers have the clocks of order.cpp, and shadow.cpp compares the accesses of wgmma
// and of bulk copies with those of this file.
//
// In all other kernels a thread has a vector clock with an entry for each lane of its warp. Barriers
// are for all threads of a block, so the number of barriers stands for the
// entries of all other warps. A cell of memory stores one writer, as in Flanagan
// and Freund 2009, "FastTrack: efficient and precise dynamic race detection".
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "order.h"
#include "watch.h"

namespace host {

namespace {

constexpr int kMostThreads = 1024;
constexpr uint32_t kNobody = ~0u;

// Who is an access as a cell remembers it.
struct Who {
    uint32_t thread = kNobody;
    uint32_t block;   // number in the grid
    uint32_t barrier; // number of barriers of the block before it
    uint32_t clock;   // of its lane
    Site site;
};

// Cell is the history of two bytes since the last write. Of all readers it
// stores the two that are furthest apart: in different blocks, else in different
// warps, else in different lanes. A write that is ordered after these two is
// ordered after all of them, unless a __syncwarp has a partial mask.
struct Cell {
    uint32_t era; // block or launch in which the history began
    bool flying;  // whether a cp.async may write at any time
    Who write, read[2];
};

constexpr uintptr_t kCell = 2, kCells = 512; // bytes of a cell, cells of a page
struct Page {
    Cell cells[kCells];
};

class Races : public Watcher {
public:
    void launch() override {
        launches_++;
        // The histories of a launch are of no use to the next one.
        if (pages_.size() > 4096) pages_.clear(), last_ = nullptr;
    }

    void block_begin() override {
        blocks_++;
        barriers_ = 0;
        memset(clocks_, 0, sizeof clocks_);
        for (int t = 0; t < kMostThreads; t++) clocks_[t][t % 32] = 1;
    }

    void barrier() override { barriers_++; }

    void syncwarp(int warp, uint32_t mask) override {
        uint32_t joint[32] = {};
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 32 && (mask >> lane & 1) != 0; i++)
                joint[i] = std::max(joint[i], clocks_[warp * 32 + lane][i]);
        for (int lane = 0; lane < 32; lane++) {
            if ((mask >> lane & 1) == 0) continue;
            memcpy(clocks_[warp * 32 + lane], joint, sizeof joint);
            clocks_[warp * 32 + lane][lane]++;
        }
    }

    void access(const Access& a) override {
        each(a, [&](Cell& c) { a.write ? write(c, a) : read(c, a); });
    }

    void copy_issued(const Access& a) override {
        each(a, [&](Cell& c) { write(c, a), c.flying = true; });
    }

    void copy_landed(const Access& a) override {
        each(a, [&](Cell& c) { c.flying = false, c.write = who(a); });
    }

private:
    template <typename F> void each(const Access& a, F f) {
        const uint32_t era = a.shared ? 2 * blocks_ + 1 : 2 * launches_;
        for (uintptr_t i = a.at / kCell; i <= (a.at + a.size - 1) / kCell; i++) {
            Cell& c = page(i / kCells).cells[i % kCells];
            if (c.era != era) c = Cell{era, false, {}, {}};
            f(c);
        }
    }

    Page& page(uintptr_t number) {
        if (last_ != nullptr && number == last_number_) return *last_;
        std::unique_ptr<Page>& p = pages_[number];
        if (p == nullptr) p.reset(new Page());
        last_number_ = number;
        return *(last_ = p.get());
    }

    Who who(const Access& a) const {
        const uint32_t number = (block.index.z * block.grid.y + block.index.y) * block.grid.x + block.index.x;
        const uint32_t clock = order::on() ? order::now(a.thread) : clocks_[a.thread][a.thread % 32];
        return Who{uint32_t(a.thread), number, barriers_, clock, a.site};
    }

    // before reports whether an access is ordered before what a thread does now.
    bool before(const Who& a, const Who& now) const {
        if (a.thread == kNobody) return true;
        if (a.block != now.block) return false;
        if (order::on()) return order::knows(int(now.thread), a.thread, a.clock);
        if (a.thread == now.thread || a.barrier < now.barrier) return true;
        return a.thread / 32 == now.thread / 32 && clocks_[now.thread][a.thread % 32] >= a.clock;
    }

    void read(Cell& c, const Access& a) {
        const Who me = who(a);
        if (c.flying) race(c.write, me, a, "copies with cp.async, without a wait,");
        if (!before(c.write, me)) race(c.write, me, a, "writes");
        Who &x = c.read[0], &y = c.read[1];
        if (before(x, me)) std::swap(x, y);
        if (before(x, me)) x = Who{};
        if (x.thread == kNobody || before(y, me) || apart(x, me) > apart(x, y)) y = me;
    }

    void write(Cell& c, const Access& a) {
        const Who me = who(a);
        if (c.flying) race(c.write, me, a, "copies with cp.async, without a wait,");
        if (!before(c.write, me)) race(c.write, me, a, "writes");
        for (Who& r : c.read) {
            if (!before(r, me)) race(r, me, a, "reads");
            r = Who{};
        }
        c.write = me;
    }

    static int apart(const Who& a, const Who& b) {
        return a.block != b.block ? 3 : a.thread / 32 != b.thread / 32 ? 2 : a.thread != b.thread;
    }

    [[noreturn]] void race(const Who& first, const Who& second, const Access& a, const char* does) const {
        fprintf(stderr,
                "host: kernel %s: a race on %s memory: block %u, thread %u %s at %s; "
                "block %u, thread %u %s at %s; nothing orders the two\n",
                block.kernel->name, a.shared ? "shared" : "global", first.block, first.thread, does,
                describe(first.site).c_str(), second.block, second.thread, a.write ? "writes" : "reads",
                describe(second.site).c_str());
        abort();
    }

    uint32_t launches_ = 0, blocks_ = 0, barriers_ = 0;
    uint32_t clocks_[kMostThreads][32];
    std::unordered_map<uintptr_t, std::unique_ptr<Page>> pages_;
    uintptr_t last_number_ = 0;
    Page* last_ = nullptr;
};

} // namespace

Watcher* watch_races() { return new Races; }

} // namespace host
