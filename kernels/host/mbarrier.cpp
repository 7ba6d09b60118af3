// This file implements mbarriers, bulk copies and named barriers (PTX ISA, "Parallel synchronization and communication
// instructions: mbarrier" and "Data movement and conversion instructions: cp.async.bulk").
#include <stdio.h>
#include <string.h>

#include <map>

#include "async.h"
#include "hopper.h"
#include "order.h"
#include "places.h"
#include "shadow.h"

#ifdef LOR2C_HOST_ASAN
extern "C" void* __asan_region_is_poisoned(void* begin, size_t size);
#endif

namespace host {

namespace {

constexpr int kMostBytes = (1 << 20) - 1; // that a phase can expect
constexpr int kMostCount = (1 << 20) - 1;
constexpr uint64_t kMark = 0x6d62617272696572; // what memory holds while it is an mbarrier

struct Mbarrier {
    uint32_t window;
    Place place; // of its initialisation
    int number, by;
    uint32_t clock; // of the thread that initialised it
    int expected, pending, bytes;
    uint32_t phases; // that are complete
    bool proxied;    // whether bulk copies see the initialisation
    order::Clocks arriving, done;
    std::map<int, uint32_t> waited; // for each thread, the phases that were complete at its last wait
    struct Waiter {
        Thread* thread;
        int parity;
    };
    std::vector<Waiter> waiters;
};

std::map<uint32_t, Mbarrier> mbarriers; // by address

struct Flight {
    unsigned char* to;
    uint32_t window, bytes;
    const void* from;
    Mbarrier* mbarrier;
    uint32_t phase; // of the mbarrier, in which it began
    Place place;
};
std::vector<Flight> flights;

struct Named {
    int id, threads, arrived;
    order::Clocks clocks;
    std::vector<Thread*> waiters;
} named[16];

std::string title(const Mbarrier& m) {
    const char* slash = strrchr(m.place.file, '/');
    char text[160];
    snprintf(text, sizeof text, "mbarrier %s of %s:%d", buffer(m.window).c_str(),
             slash == nullptr ? m.place.file : slash + 1, m.place.line);
    return text;
}

std::string state(const Mbarrier& m) {
    char text[160];
    snprintf(text, sizeof text, "%u phases are complete, and the next one needs %d of %d arrivals and %d bytes",
             m.phases, m.pending, m.expected, m.bytes);
    return text;
}

std::string missing(const void* object) {
    const Mbarrier& m = *static_cast<const Mbarrier*>(object);
    return " for " + title(m) + ": " + state(m) + "; no copy is in flight";
}

std::string missing_threads(const void* object) {
    const Named& n = *static_cast<const Named*>(object);
    char text[96];
    snprintf(text, sizeof text, ", barrier %d, for %d threads, of which %d have come", n.id, n.threads, n.arrived);
    return text;
}

// find returns the mbarrier at an address, which must be initialised before what the running thread does.
Mbarrier& find(const char* what, const uint64_t* b, Place place) {
    const uint32_t window = window_of(b, place);
    const auto found = mbarriers.find(window);
    if (found == mbarriers.end()) fail(place, "%s of %s, which is no mbarrier", what, buffer(window).c_str());
    Mbarrier& m = found->second;
    if (*b != kMark) fail(place, "%s of %s, whose memory was overwritten", what, title(m).c_str());
    if (!order::knows(self->number, uint32_t(m.by), m.clock))
        fail(place, "%s of %s, which thread %d has initialised, and nothing orders the two", what, title(m).c_str(),
             m.by);
    return m;
}

// ready reports whether a wait with a parity ends.
bool ready(const Mbarrier& m, int parity) { return (m.phases & 1) != unsigned(parity); }

// settle ends the phase of an mbarrier if nothing is missing.
void settle(Mbarrier& m, Place place) {
    if (m.pending == 0 && m.bytes < 0)
        fail(place, "%s: %d bytes more than the phase expects; %s", title(m).c_str(), -m.bytes, state(m).c_str());
    if (m.pending != 0 || m.bytes != 0) return;
    m.phases++;
    m.pending = m.expected;
    m.done = m.arriving;
    std::vector<Mbarrier::Waiter> still;
    for (const Mbarrier::Waiter& w : m.waiters) ready(m, w.parity) ? rouse(*w.thread) : still.push_back(w);
    m.waiters = still;
}

} // namespace

namespace async {

void mbarriers_begin() {
    mbarriers.clear();
    flights.clear();
    for (int i = 0; i < 16; i++) named[i] = Named{i, 0, 0, {}, {}};
}

void mbarriers_end() {
    if (!flights.empty())
        fail(flights.front().place, "the block ends while %zu bulk copies are in flight", flights.size());
}

} // namespace async

void mbarrier_init(uint64_t* b, int count, Place place) {
    const uint32_t window = window_of(b, place);
    if (window % 8 != 0) fail(place, "mbarrier_init of %s, which is not aligned to 8 bytes", buffer(window).c_str());
    bytes_at(window, 8, "mbarrier_init takes", place);
    if (count < 1 || count > kMostCount) fail(place, "mbarrier_init with %d arrivals; want 1 to %d", count, kMostCount);
    if (mbarriers.count(window) != 0)
        fail(place, "mbarrier_init of %s, which is initialised already", title(mbarriers[window]).c_str());
    const int number = int(mbarriers.size());
    if (number == order::kMostMbarriers) fail(place, "more than %d mbarriers in a block", order::kMostMbarriers);
    *b = kMark;
    Mbarrier& m = mbarriers[window];
    m.window = window;
    m.place = place;
    m.number = number;
    m.by = self->number;
    m.clock = order::now(self->number);
    m.expected = m.pending = count;
    m.bytes = 0;
    m.phases = 0;
    m.proxied = false;
}

// show makes the mbarriers that the running thread has initialised visible to bulk copies.
static void show() {
    for (auto& m : mbarriers) m.second.proxied |= m.second.by == self->number;
}

void fence_init(Place place) {
    if (!passes(place)) show();
}

void fence_proxy(Place place) {
    if (passes(place)) return;
    order::proxy_fence(self->number);
    show();
}

void mbarrier_arrive(uint64_t* b, uint32_t expect, Place place) {
    Mbarrier& m = find("mbarrier_arrive", b, place);
    if (m.pending == 0)
        fail(place, "mbarrier_arrive of %s: all of its arrivals have come; %s", title(m).c_str(), state(m).c_str());
    if (expect > uint32_t(kMostBytes) || m.bytes + int(expect) > kMostBytes)
        fail(place, "mbarrier_arrive of %s expects %u bytes more; a phase has at most %d", title(m).c_str(), expect,
             kMostBytes);
    m.bytes += int(expect);
    order::release(self->number, m.arriving);
    m.pending--;
    settle(m, place);
}

void mbarrier_wait(uint64_t* b, int parity, Place place) {
    if (passes(place)) return;
    Mbarrier& m = find("mbarrier_wait", b, place);
    if (parity != 0 && parity != 1) fail(place, "mbarrier_wait with parity %d; want 0 or 1", parity);
    // A thread waits for each phase once. A first wait with parity 1 is for a buffer that is free from the start.
    const auto before = m.waited.find(self->number);
    const auto wrong = [&] {
        fail(place,
             "mbarrier_wait of %s with parity %d, a wrong one: the thread has waited for %u phases of it before; %s",
             title(m).c_str(), parity, before->second, state(m).c_str());
    };
    if (before != m.waited.end() && unsigned(parity) != (before->second & 1)) wrong();
    if (!ready(m, parity)) {
        m.waiters.push_back({self, parity});
        sleep(Sleep{place, "mbarrier_wait", &m, missing});
    }
    if (before != m.waited.end() && m.phases != before->second + 1) wrong();
    m.waited[self->number] = m.phases;
    order::acquire(self->number, m.done);
    order::complete(self->number, m.number, m.phases);
}

void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* b, Place place) {
    Mbarrier& m = find("bulk_copy with", b, place);
    const uint32_t window = window_of(to, place);
    if (bytes == 0 || bytes % 16 != 0) fail(place, "bulk_copy of %u bytes; want a multiple of 16", bytes);
    if (window % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0)
        fail(place, "bulk_copy from %p to %s; both must be aligned to 16 bytes", from, buffer(window).c_str());
    if (!m.proxied)
        fail(place, "bulk_copy with %s, which the async proxy does not see without fence_mbarrier_init or "
             "fence_proxy_async in thread %d", title(m).c_str(), m.by);
    unsigned char* target = bytes_at(window, bytes, "bulk_copy writes", place);
#ifdef LOR2C_HOST_ASAN
    if (const void* bad = __asan_region_is_poisoned(const_cast<void*>(from), bytes))
        fail(place, "bulk_copy reads %u bytes from %p, but %p is not in an allocation", bytes, from, bad);
#endif
    if (watcher != nullptr) watched(from, bytes, false, self->number, site(place));
    shadow::bulk_begins(window, bytes, order::entry_of_mbarrier(m.number), m.phases + 1, place);
    memset(target, 0xFF, bytes);
    flights.push_back(Flight{target, window, bytes, from, &m, m.phases, place});
}

bool async_pending() { return !flights.empty(); }

void async_step() {
    const size_t i = lot() % flights.size();
    const Flight f = flights[i];
    flights.erase(flights.begin() + long(i));
    memcpy(f.to, f.from, f.bytes);
    shadow::bulk_lands(f.window, f.bytes);
    if (f.mbarrier->phases != f.phase)
        fail(f.place,
             "bulk_copy: phase %u of %s has ended before the copy of %u bytes; it expects fewer bytes than are copied",
             f.phase, title(*f.mbarrier).c_str(), f.bytes);
    f.mbarrier->bytes -= int(f.bytes);
    if (f.mbarrier->bytes < -kMostBytes)
        fail(f.place, "bulk_copy: %s has more than %d bytes too many", title(*f.mbarrier).c_str(), kMostBytes);
    settle(*f.mbarrier, f.place);
}

void named_barrier(int id, int threads, bool wait, Place place) {
    if (wait && passes(place)) return;
    static const char kSync[] = "named_barrier_sync";
    const char* what = wait ? kSync : "named_barrier_arrive";
    if (id < 1 || id > 15) fail(place, "%s: barrier %d; want 1 to 15, because __syncthreads uses 0", what, id);
    if (threads < 32 || threads % 32 != 0) fail(place, "%s: %d threads; want whole warps", what, threads);
    if (!order::on()) fail(place, "%s in a kernel that does not begin with KERNEL_HOPPER", what);
    Named& n = named[id];
    if (n.arrived == 0) n.threads = threads;
    else if (n.threads != threads)
        fail(place, "%s: barrier %d for %d threads; the threads before wait for %d", what, id, threads, n.threads);
    order::release(self->number, n.clocks);
    if (wait) n.waiters.push_back(self);
    if (++n.arrived < n.threads) {
        if (wait) sleep(Sleep{place, kSync, &n, missing_threads});
        return;
    }
    for (Thread* t : n.waiters) {
        order::acquire(t->number, n.clocks);
        if (t != self) rouse(*t);
    }
    n = Named{id, 0, 0, {}, {}};
}

} // namespace host
