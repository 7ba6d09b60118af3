// This file implements ldmatrix, mma.sync and cp.async on the CPU.
#include <string.h>

#include <algorithm>

#include "block.h"
#include "cuda.h"
#include "numerics.h"
#include "order.h"
#include "places.h"
#include "shadow.h"
#include "watch.h"

namespace host {

namespace {


bool aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

typedef float float8 __attribute__((vector_size(32)));

float widen(uint32_t bits) { return __uint_as_float(bits << 16); }

} // namespace

void need_shared(const char* what, const void* p, Place place) {
    if (!aligned(p)) fail(place, "%s at %p, which is not aligned to 16 bytes", what, p);
    const unsigned char* at = static_cast<const unsigned char*>(p);
    for (const Range& r : block.shared)
        if (at >= r.begin && at + 16 <= r.begin + r.size) return;
    fail(place, "%s at %p, which is not in the shared memory of the block", what, p);
}

// ldmatrix follows PTX ISA, "Warp-level matrix load instruction: ldmatrix".
// Register t of lane l has two elements of tile t in row l/4, in columns 2(l%4)
// and 2(l%4) + 1; the first is in the lower half. If transposed, the elements
// are in column l/4, in rows 2(l%4) and 2(l%4) + 1.
__attribute__((no_sanitize("address", "undefined"))) void ldmatrix(Warp& w, bool transposed) {
    uint16_t tiles[4][8][8];
    if (watcher != nullptr)
        for (int l = 0; l < 32; l++)
            watched(reinterpret_cast<const Tiles*>(w.wait[l].value)->row, 16, false, self->number / 32 * 32 + l,
                    site(w.wait[l].place));
    for (int l = 0; l < 32; l++) memcpy(tiles[l / 8][l % 8], reinterpret_cast<const Tiles*>(w.wait[l].value)->row, 16);
    for (int l = 0; l < 32; l++) {
        uint32_t* r = reinterpret_cast<const Tiles*>(w.wait[l].value)->r;
        const int major = l / 4, minor = 2 * (l % 4);
        for (int t = 0; t < 4; t++) {
            const uint32_t lo = transposed ? tiles[t][minor][major] : tiles[t][major][minor];
            const uint32_t hi = transposed ? tiles[t][minor + 1][major] : tiles[t][major][minor + 1];
            r[t] = lo | hi << 16;
        }
    }
}

// mma follows PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point
// type". With g = l/4 and c = 2(l%4), lane l has these pairs. The lower half of
// each pair is the element with the lower column (for b, the lower row):
//
//   a[0] a[g][c..c+1]    a[1] a[g+8][c..c+1]   a[2] a[g][c+8..c+9]   a[3] a[g+8][c+8..c+9]
//   b[0] b[c..c+1][g]    b[1] b[c+8..c+9][g]
//   d[0] d[g][c]         d[1] d[g][c+1]        d[2] d[g+8][c]        d[3] d[g+8][c+1]
//
// The products are exact in float32. They are added in the order of k, and each
// sum is rounded to nearest. The hardware does not specify order and rounding.
// With LOR2C_HOST_CARD they are added as CardSum says.
__attribute__((no_sanitize("address", "undefined"), optimize("O3"))) void mma(Warp& w) {
    float a[16][16];
    float8 b[16], d[16];
    for (int l = 0; l < 32; l++) {
        const Fragments& f = *reinterpret_cast<const Fragments*>(w.wait[l].value);
        const int g = l / 4, c = 2 * (l % 4);
        for (int i = 0; i < 4; i++) {
            const int row = g + i % 2 * 8, col = c + i / 2 * 8;
            a[row][col] = widen(f.a[i] & 0xffffu);
            a[row][col + 1] = widen(f.a[i] >> 16);
            d[g + i / 2 * 8][c + i % 2] = f.d[i];
        }
        for (int i = 0; i < 2; i++) {
            b[c + 8 * i][g] = widen(f.b[i] & 0xffffu);
            b[c + 8 * i + 1][g] = widen(f.b[i] >> 16);
        }
    }
#ifdef LOR2C_HOST_CARD
    const float* rows_of_b = reinterpret_cast<const float*>(b);
    for (int row = 0; row < 16; row++)
        for (int col = 0; col < 8; col++)
            for (int k = 0; k < 16; k += card_sum.terms)
                d[row][col] = card_sum.add(d[row][col], a[row] + k, rows_of_b + 8 * k + col, 8);
#else
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < 16; k++) d[row] += a[row][k] * b[k];
#endif
    for (int l = 0; l < 32; l++) {
        const Fragments& f = *reinterpret_cast<const Fragments*>(w.wait[l].value);
        const int g = l / 4, c = 2 * (l % 4);
        for (int i = 0; i < 4; i++) f.d[i] = d[g + i / 2 * 8][c + i % 2];
    }
}

static Access target(void* to, Place place) {
    return Access{reinterpret_cast<uintptr_t>(to), 16, self->number, site(place), true, true};
}

// The destination is NaN until the copy is completed, which happens when the
// thread waits for its group and not before.
uint64_t* copy_begin(void* to, const void* from, bool valid, Place place) {
    need_shared("cp_async_16 to shared memory", to, place);
    if (!aligned(from)) fail(place, "cp_async_16 from %p, which is not aligned to 16 bytes", from);
    if (watcher != nullptr) {
        if (valid) watched(from, 16, false, self->number, site(place));
        watcher->copy_issued(target(to, place));
    }
    if (order::on()) shadow::copy_begins(window_of(to, place), 16, place);
    memset(to, 0xFF, 16);
    self->copies.push_back(Copy{to, place, {0, 0}, self->groups});
    return self->copies.back().data;
}

void copy_close() { self->groups++; }

void copy_wait(uint64_t pending, Place place) {
    if (passes(place)) return;
    std::vector<Copy>& copies = self->copies;
    auto c = copies.begin();
    for (; c != copies.end() && c->group + pending < self->groups; ++c) {
        if (watcher != nullptr) watcher->copy_landed(target(c->to, c->place));
        memcpy(c->to, c->data, 16);
        if (order::on()) shadow::copy_lands(window_of(c->to, c->place), 16);
    }
    copies.erase(copies.begin(), c);
}

void copy_end() {
    if (!self->copies.empty())
        fail({nullptr, 0}, "ends with %zu copies of cp_async_16 that it has not waited for", self->copies.size());
}

} // namespace host
