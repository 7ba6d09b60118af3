// This file implements wgmma.mma_async and the instructions around it (PTX ISA, "Asynchronous warpgroup level matrix
// multiply-accumulate instructions").
//
// At its issue the accumulators become NaN, and the sums are kept aside until a wait covers the product. A kernel that
// reads its accumulators before gets NaN, and where the address sanitizer is in use a report of the line; one that
// writes them is found at the wait. The operands are read at the issue, or at a later wgmma or wait, by the seed.
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "async.h"
#include "cuda.h"
#include "numerics.h"
#include "order.h"
#include "places.h"
#include "shadow.h"

#ifdef LOR2C_HOST_ASAN
extern "C" void __asan_poison_memory_region(void const volatile* begin, size_t size);
extern "C" void __asan_unpoison_memory_region(void const volatile* begin, size_t size);
#else
static void __asan_poison_memory_region(void const volatile*, size_t) {}
static void __asan_unpoison_memory_region(void const volatile*, size_t) {}
#endif

namespace host {

namespace {

constexpr int kRows = 64, kTerms = 16, kMostGroups = 8;
constexpr uint32_t kPending = 0x7fe5a5a5; // what an accumulator holds while a wgmma is in progress: a NaN

// Matrix is an operand in shared memory: `lines` rows of a, or columns of b, of 16 terms. If across is set the lines of
// a term are adjacent, otherwise the terms of a line.
struct Matrix {
    uint32_t start, leading, stride;
    int swizzle; // bytes of a row of the pattern: 16 without a swizzle
    bool across;
    int lines;

    Matrix(uint64_t descriptor, bool across, int lines, const char* name, Place place)
        : start(field(descriptor, 0)), leading(field(descriptor, 16)), stride(field(descriptor, 32)),
          swizzle(1 << (4 + (4 - int(descriptor >> 62)) % 4)), across(across), lines(lines) {
        if (descriptor >> 49 & 7) fail(place, "wgmma: the descriptor of %s has a base offset; want 0", name);
        // The pattern of a swizzle repeats every 8 rows, and its first row is at a multiple of that.
        if (start % (8 * uint32_t(swizzle)) >= std::max(uint32_t(swizzle), 128u) && swizzle > 16)
            fail(place, "wgmma: %s begins at %s, which is not in the first row of a %d-byte swizzle", name,
                 buffer(start).c_str(), swizzle);
    }

    static uint32_t field(uint64_t descriptor, int bit) { return uint32_t(descriptor >> bit & 0x3fff) << 4; }

    // pieces calls f with the address of each 16 bytes, and the line and the term of the first of the 8 elements there.
    // The elements are those of 8 terms, or of 8 lines if across is set. With T = 16 bytes and n, k for further
    // repetitions, the layouts are, for lines and terms (CUTLASS, "GMMA canonical layouts"):
    //
    //   along, no swizzle   ((8,n),2) : ((T,stride),leading)
    //   along, W pieces     ((8,n),2) : ((W T,stride),T)
    //   across, no swizzle  ((1,n),(8,k)) : ((-,stride),(T,leading))
    //   across, W pieces    ((W,n),(8,k)) : ((T,leading),(W T,stride))
    //
    // W is 2, 4 or 8 for swizzles of 32, 64 and 128 bytes, which XOR bits 4.. of an address with bits 7...
    template <typename F> void pieces(F f) const {
        const int wide = swizzle / 16;
        if (!across) {
            for (int line = 0; line < lines; line++)
                for (int k = 0; k < 2; k++)
                    f(place_of(uint32_t(line % 8 * swizzle) + uint32_t(line / 8) * stride +
                               uint32_t(k) * (wide == 1 ? leading : 16)),
                      line, 8 * k);
            return;
        }
        for (int term = 0; term < kTerms; term++)
            for (int group = 0; group < lines / 8; group++)
                f(place_of(uint32_t(term % 8 * swizzle) + uint32_t(term / 8) * (wide == 1 ? leading : stride) +
                           uint32_t(group % wide * 16) + uint32_t(group / wide) * (wide == 1 ? stride : leading)),
                  8 * group, term);
    }

    uint32_t place_of(uint32_t offset) const {
        const uint32_t at = (start + offset) & 0x3ffff;
        return at ^ (at >> 7 & uint32_t(swizzle / 16 - 1)) << 4;
    }

    // read copies the matrix to x [lines][16], or to [16][lines] if flip is set.
    void read(float* x, bool flip) const {
        pieces([&](uint32_t at, int line, int term) {
            const unsigned char* from = bytes_at(at, 16, "wgmma reads", {nullptr, 0});
            for (int i = 0; i < 8; i++) {
                uint16_t bits;
                memcpy(&bits, from + 2 * i, 2);
                const int l = across ? line + i : line, t = across ? term : term + i;
                x[flip ? t * lines + l : l * kTerms + t] = __uint_as_float(uint32_t(bits) << 16);
            }
        });
    }
};

// Accumulator is the registers of a warpgroup that hold a sum: n / 2 of each thread, at lanes[thread].
struct Accumulator {
    float* lanes[kGroup] = {};
    int n = 0;
    std::vector<float> sum; // [64][n]
    Place place;            // of the last wgmma
    uint64_t commit = 0;    // the group of commits that it belongs to

    // d calls f with each register and the element of the sum that it holds: lane l of warp w has columns 2(l%4) and
    // 2(l%4) + 1 of every 8, in rows 16w + l/4 and 16w + l/4 + 8 (PTX ISA, "Matrix fragments for wgmma.m64nNk16").
    template <typename F> void each(F f) {
        for (int t = 0; t < kGroup; t++)
            for (int i = 0; i < n / 2; i++) {
                const int row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, col = i / 4 * 8 + t % 4 * 2 + i % 2;
                f(lanes[t][i], sum[size_t(row) * n + col]);
            }
    }
};

struct Product {
    Accumulator* to;
    Matrix a, b;
    bool add, computed;
    uint64_t commit;
    Place place;
};

struct Group {
    float* lanes[kGroup];   // accumulators of the wgmma that its threads are coming to
    bool fenced[kGroup];    // whether a thread has called wgmma_fence since it got its accumulators back
    std::deque<Product> products; // oldest first
    std::vector<std::unique_ptr<Accumulator>> accumulators;
    uint64_t commits;
} groups[kMostGroups];

__attribute__((optimize("O3"))) void multiply(float* d, const float* a, const float* b, int n) {
#ifdef LOR2C_HOST_CARD
    for (int row = 0; row < kRows; row++)
        for (int col = 0; col < n; col++)
            for (int k = 0; k < kTerms; k += card_sum.terms)
                d[row * n + col] = card_sum.add(d[row * n + col], a + row * kTerms + k, b + k * n + col, n);
#else
    for (int row = 0; row < kRows; row++)
        for (int k = 0; k < kTerms; k++)
            for (int col = 0; col < n; col++) d[row * n + col] += a[row * kTerms + k] * b[k * n + col];
#endif
}

// compute computes all products of a group in order.
void compute(Group& g) {
    static float a[kRows * kTerms], b[kTerms * 256];
    for (Product& p : g.products) {
        if (p.computed) continue;
        p.a.read(a, false);
        p.b.read(b, true);
        if (!p.add) std::fill(p.to->sum.begin(), p.to->sum.end(), 0.0f);
        multiply(p.to->sum.data(), a, b, p.to->n);
        p.computed = true;
    }
}

// take makes the registers of a warpgroup an accumulator.
Accumulator& take(Group& g, int n, bool add, Place place) {
    for (const auto& c : g.accumulators)
        if (c->lanes[0] == g.lanes[0] && c->n == n) return *c;
    for (int t = 0; t < kGroup; t++)
        if (!g.fenced[t])
            fail(place, "wgmma without a wgmma_fence since the accumulators of thread %d were its own",
                 self->number / kGroup * kGroup + t);
    g.accumulators.emplace_back(new Accumulator);
    Accumulator& c = *g.accumulators.back();
    c.n = n;
    c.sum.resize(size_t(kRows) * n);
    std::copy(g.lanes, g.lanes + kGroup, c.lanes);
    c.each([&](float& reg, float& sum) {
        sum = add ? reg : 0.0f;
        memcpy(&reg, &kPending, sizeof reg);
    });
    for (float* lane : c.lanes) __asan_poison_memory_region(lane, size_t(n) / 2 * sizeof(float));
    return c;
}

// give returns the sums to the registers.
void give(Accumulator& c) {
    for (float* lane : c.lanes) __asan_unpoison_memory_region(lane, size_t(c.n) / 2 * sizeof(float));
    c.each([&](float& reg, float& sum) {
        if (memcmp(&reg, &kPending, sizeof reg) != 0)
            fail(c.place, "the accumulators of this wgmma were written before it was waited for");
        reg = sum;
    });
}

} // namespace

namespace async {

void products_begin() {
    for (Group& g : groups) {
        g.products.clear();
        g.accumulators.clear();
        g.commits = 0;
        std::fill(g.fenced, g.fenced + kGroup, false);
    }
}

void products_end() {
    const Group& g = groups[self->number / kGroup];
    if (!g.products.empty()) fail(g.products.front().place, "the thread ends without having waited for this wgmma");
}

void in_progress(const void* p, size_t n, uint32_t where) {
    const uintptr_t at = reinterpret_cast<uintptr_t>(p);
    for (const auto& c : groups[self->number / kGroup].accumulators) {
        const uintptr_t begin = reinterpret_cast<uintptr_t>(c->lanes[self->number % kGroup]);
        if (at + n > begin && at < begin + size_t(c->n) / 2 * sizeof(float))
            fail(c->place, "the accumulators of this wgmma are used at %s before it was waited for",
                 describe(where).c_str());
    }
}

} // namespace async

void wgmma_fence(Place place) {
    if (passes(place)) return;
    groups[self->number / kGroup].fenced[self->number % kGroup] = true;
}

void wgmma(float* d, int n, uint64_t a, uint64_t b, bool a_across, bool b_across, bool add, Place place) {
    Group& g = groups[self->number / kGroup % kMostGroups];
    g.lanes[self->number % kGroup] = d;
    if (!group_join("wgmma", a * 31 + b * 7 + add, place)) return;
    const Matrix ma(a, a_across, kRows, "a", place), mb(b, b_across, n, "b", place);
    Accumulator& to = take(g, n, add, place);
    shadow::Reader reader(self->number / kGroup * kGroup, place);
    for (const Matrix* m : {&ma, &mb})
        m->pieces([&](uint32_t at, int, int) {
            reader.read(at, bytes_at(at, 16, "wgmma reads", place));
        });
    to.place = place;
    to.commit = g.commits + 1;
    g.products.push_back(Product{&to, ma, mb, add, false, g.commits + 1, place});
    if (lot() % 2 == 0) compute(g);
    if (watcher != nullptr) watcher->collective(Op::wgmma);
    group_open();
}

void wgmma_commit(Place place) {
    if (!group_join("wgmma_commit", 0, place)) return;
    groups[self->number / kGroup].commits++;
    group_open();
}

// A wait for all but the last `pending` groups of commits gives accumulators back whose last product is in none of
// those.
void wgmma_wait(int pending, Place place) {
    if (passes(place)) return;
    if (!group_join("wgmma_wait", uint64_t(pending), place)) return;
    const int first = self->number / kGroup * kGroup;
    Group& g = groups[first / kGroup];
    compute(g);
    const uint64_t done = g.commits >= uint64_t(pending) ? g.commits - uint64_t(pending) : 0;
    for (; !g.products.empty() && g.products.front().commit <= done; g.products.pop_front())
        for (const Matrix* m : {&g.products.front().a, &g.products.front().b})
            m->pieces([&](uint32_t at, int, int) { shadow::read_ends(at, first); });
    const auto back = std::partition(g.accumulators.begin(), g.accumulators.end(),
                                     [&](const std::unique_ptr<Accumulator>& c) { return c->commit > done; });
    for (auto c = back; c != g.accumulators.end(); ++c) give(**c);
    if (back != g.accumulators.end()) std::fill(g.fenced, g.fenced + kGroup, false);
    g.accumulators.erase(back, g.accumulators.end());
    group_open();
}

} // namespace host
