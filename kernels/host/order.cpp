#include "order.h"

#include <algorithm>

namespace host {
namespace order {

namespace {

int threads_ = 0; // of the block; 0 if nothing is recorded
size_t entries;
std::vector<uint32_t> known_, fenced_; // [threads][entries]

uint32_t* row(std::vector<uint32_t>& all, int thread) { return all.data() + size_t(thread) * entries; }

void join(uint32_t* to, const uint32_t* from) {
    for (size_t i = 0; i < entries; i++) to[i] = std::max(to[i], from[i]);
}

// advance begins a new value of a thread's clock.
void advance(int thread) { row(known_, thread)[thread]++; }

// join_all gives the threads for which `in` is true all that any of them knows.
template <typename F> void join_all(F in) {
    Clocks joint{std::vector<uint32_t>(entries), std::vector<uint32_t>(entries)};
    for (int t = 0; t < threads_; t++) {
        if (!in(t)) continue;
        join(joint.known.data(), row(known_, t));
        join(joint.fenced.data(), row(fenced_, t));
    }
    for (int t = 0; t < threads_; t++) {
        if (!in(t)) continue;
        std::copy(joint.known.begin(), joint.known.end(), row(known_, t));
        std::copy(joint.fenced.begin(), joint.fenced.end(), row(fenced_, t));
        advance(t);
    }
}

} // namespace

void begin(int threads, bool on) {
    threads_ = on ? threads : 0;
    if (!on) return;
    entries = size_t(threads) + kMostMbarriers;
    known_.assign(size_t(threads) * entries, 0);
    fenced_.assign(size_t(threads) * entries, 0);
    for (int t = 0; t < threads; t++) advance(t);
}

bool on() { return threads_ != 0; }

uint32_t now(int thread) { return row(known_, thread)[thread]; }
uint32_t entry_of_mbarrier(int number) { return uint32_t(threads_ + number); }

bool knows(int thread, uint32_t entry, uint32_t clock) { return row(known_, thread)[entry] >= clock; }
bool fenced(int thread, uint32_t entry, uint32_t clock) { return row(fenced_, thread)[entry] >= clock; }

void proxy_fence(int thread) {
    join(row(fenced_, thread), row(known_, thread));
    advance(thread);
}

void release(int thread, Clocks& to) {
    to.known.resize(entries);
    to.fenced.resize(entries);
    join(to.known.data(), row(known_, thread));
    join(to.fenced.data(), row(fenced_, thread));
    advance(thread);
}

void acquire(int thread, const Clocks& from) {
    if (from.known.empty()) return;
    const uint32_t mine = now(thread);
    join(row(known_, thread), from.known.data());
    join(row(fenced_, thread), from.fenced.data());
    row(known_, thread)[thread] = mine;
}

void complete(int thread, int mbarrier, uint32_t phases) {
    uint32_t& entry = row(known_, thread)[entry_of_mbarrier(mbarrier)];
    entry = std::max(entry, phases);
}

void warp_barrier(int warp, uint32_t lanes) {
    if (on()) join_all([=](int t) { return t / 32 == warp && (lanes >> t % 32 & 1) != 0; });
}

void block_barrier() {
    if (on()) join_all([](int) { return true; });
}

} // namespace order
} // namespace host
