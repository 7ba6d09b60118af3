// This file implements the shared window, warpgroups, elect.sync and setmaxnreg.
#include "hopper.h"

#include <stdio.h>

#include <algorithm>

#include "async.h"
#include "order.h"
#include "random.h"
#include "shadow.h"

namespace host {

namespace {

constexpr int kMostGroups = 8;
constexpr int kRegistersOfCard = 64 << 10;

// Group is a warpgroup and the threads of it that have come to one of its instructions.
struct Group {
    int number;
    int arrived;
    const char* what;
    uint64_t value;
    Place place;
    int registers; // of each thread
    int wanted;    // registers that it waits for, or 0
} groups[kMostGroups];

int free_registers; // of the block
uint32_t window_end;
uint64_t leader_lot;

Group& group() { return groups[self->number / kGroup]; }
int threads_of_block() { return int(block.dim.x * block.dim.y * block.dim.z); }

std::string missing(const void* object) {
    const Group& g = *static_cast<const Group*>(object);
    char text[96];
    if (g.wanted != 0)
        snprintf(text, sizeof text, " for %d registers a thread instead of %d; the block has %d free", g.wanted,
                 g.registers, free_registers);
    else snprintf(text, sizeof text, " for all %d threads of its warpgroup, of which %d have come", kGroup, g.arrived);
    return text;
}

void rouse_group(const Group& g) {
    for (int t = g.number * kGroup; t < (g.number + 1) * kGroup; t++)
        if (&thread(t) != self) rouse(thread(t));
}

// grant gives registers to the groups that wait for them.
void grant() {
    for (Group& g : groups) {
        if (g.wanted == 0 || (g.wanted - g.registers) * kGroup > free_registers) continue;
        free_registers -= (g.wanted - g.registers) * kGroup;
        g.registers = g.wanted;
        g.wanted = 0;
        rouse_group(g);
    }
}

} // namespace

// ---- blocks -----------------------------------------------------------------------

void async_block_begin() {
    const bool on = block.kernel->hopper;
    const int threads = threads_of_block();
    order::begin(threads, on);
    if (!on) return;
    shadow::begin(threads);
    async::mbarriers_begin();
    async::products_begin();
    const int each = std::min(255, kRegistersOfCard / threads) / 8 * 8;
    for (int i = 0; i < kMostGroups; i++) groups[i] = Group{i, 0, nullptr, 0, {nullptr, 0}, each, 0};
    free_registers = 0;
    leader_lot = lot();
    window_end = 0;
    async_shared(block.shared.front());
    block.dynamic = block.shared.front();
}

void async_block_end() {
    if (order::on()) async::mbarriers_end();
}

void async_thread_end() {
    if (order::on()) async::products_end();
}

// ---- the shared window --------------------------------------------------------------

// Dynamic shared memory begins at a multiple of 128 bytes, as DYNAMIC_SHARED promises, and often at no more.
void async_shared(Range& r) {
    if (!order::on()) return;
    const bool dynamic = &r == &block.shared.front();
    r.window = dynamic ? 128 * uint32_t(1 + lot() % 16) : (window_end + 31) / 16 * 16;
    window_end = r.window + uint32_t(r.size);
}

uint32_t window_of(const void* p, Place place) {
    if (!order::on()) fail(place, "shared_address in a kernel that does not begin with KERNEL_HOPPER");
    const unsigned char* at = static_cast<const unsigned char*>(p);
    for (const Range& r : block.shared)
        if (at >= r.begin && at <= r.begin + r.size) return r.window + uint32_t(at - r.begin);
    fail(place, "shared_address of %p, which is not in the shared memory of the block", p);
}

std::string buffer(uint32_t window) {
    char text[128];
    for (const Range& r : block.shared)
        if (window >= r.window && window < r.window + r.size) {
            snprintf(text, sizeof text, "%s + %u", r.name, window - r.window);
            return text;
        }
    snprintf(text, sizeof text, "shared address %u", window);
    return text;
}

unsigned char* bytes_at(uint32_t window, size_t n, const char* what, Place place) {
    for (const Range& r : block.shared)
        if (window >= r.window && window + n <= r.window + r.size) return r.begin + (window - r.window);
    fail(place, "%s %zu bytes from shared address %u, which are not in one variable of the block", what, n, window);
}

// ---- warpgroups ---------------------------------------------------------------------

bool group_join(const char* what, uint64_t value, Place place) {
    Group& g = group();
    if (!order::on() || threads_of_block() % kGroup != 0)
        fail(place, "%s in a block that is no KERNEL_HOPPER of whole warpgroups of %d threads", what, kGroup);
    if (g.arrived == 0) g.what = what, g.value = value, g.place = place;
    else if (g.what != what || g.value != value || !same(g.place, place))
        fail(place, "%s meets %s at %s:%d in a thread of the same warpgroup%s", what, g.what, g.place.file,
             g.place.line, g.what == what && same(g.place, place) ? ", with another descriptor or number" : "");
    if (++g.arrived == kGroup) return true;
    sleep(Sleep{place, what, &g, missing});
    return false;
}

void group_open() {
    Group& g = group();
    g.arrived = 0;
    rouse_group(g);
}

void set_registers(int n, bool take, Place place) {
    static const char kTake[] = "registers_take", kGive[] = "registers_give";
    if (!group_join(take ? kTake : kGive, uint64_t(n), place)) return;
    Group& g = group();
    if (n < 24 || n > 256 || n % 8 != 0)
        fail(place, "%s: %d registers; want a multiple of 8 from 24 to 256", take ? kTake : kGive, n);
    if (take ? n < g.registers : n > g.registers)
        fail(place, "%s: %d registers; the threads have %d", take ? kTake : kGive, n, g.registers);
    g.arrived = 0;
    g.wanted = n;
    grant();
    if (g.wanted != 0) sleep(Sleep{place, kTake, &g, missing});
}

int elected(uint32_t mask) {
    Random lots{leader_lot ^ uint64_t(mask) << 16};
    for (int skip = int(lots.next() % unsigned(__builtin_popcount(mask))); skip > 0; skip--) mask &= mask - 1;
    return __builtin_ctz(mask);
}

} // namespace host
