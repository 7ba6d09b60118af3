#include "shadow.h"

#include <algorithm>

#include "hopper.h"
#include "order.h"

namespace host {
namespace shadow {

namespace {

constexpr uint32_t kWindow = 256 << 10, kPieces = kWindow / kPiece;
constexpr uint32_t kNobody = ~0u;

enum class By : uint8_t { nobody, store, copy, bulk };
const char* name(By by) {
    return by == By::bulk ? "the bulk copy" : by == By::copy ? "cp_async_16" : "a store";
}

struct Piece {
    uint32_t entry = kNobody, clock = 0; // of the last writer, or of the copy in flight
    Site site = 0;
    By by = By::nobody;
    bool flying = false;
    uint16_t readers = 0; // wgmmas in progress
    Site reader = 0;      // the last wgmma
};

std::vector<Piece> pieces;
std::vector<uint32_t> read_; // [pieces][warps]: the clock of lane 0 when it had waited for a wgmma that read the piece
int warps;
uint32_t used; // pieces that the block has used

Piece& piece(uint32_t at) {
    used = std::max(used, at / kPiece + 1);
    return pieces[at / kPiece];
}

template <typename F> void each(uint32_t at, uint32_t size, F f) {
    for (uint32_t i = at / kPiece; i <= (at + size - 1) / kPiece; i++) f(piece(i * kPiece), i * kPiece);
}

std::string text(Place place, Site site) {
    return place.file != nullptr ? std::string() : " at " + describe(site);
}

// check_write fails if the running thread must not write a piece.
void check_write(const Piece& p, uint32_t at, By by, Place place, Site site) {
    const int me = self->number;
    // Names of places are looked up for a fault alone.
    const auto fault = [&](const char* does, const std::string& rest) {
        fail(place, "%s%s %s %s%s", name(by), text(place, site).c_str(), does, buffer(at).c_str(), rest.c_str());
    };
    const auto writer = [&] { return std::string(name(p.by)) + " of " + describe(p.site); };
    if (p.flying) fault("overwrites", ", into which " + writer() + " is in flight");
    if (p.readers > 0)
        fault("refills", " too early: the wgmma at " + describe(p.reader) + " reads it and has not been waited for");
    for (int w = 0; w < warps; w++) {
        const uint32_t clock = read_[size_t(at / kPiece) * warps + w];
        if (clock > 0 && !order::knows(me, uint32_t(32 * w), clock))
            fault("refills", " too early: warp " + std::to_string(w) + " has read it with the wgmma at " +
                                 describe(p.reader) + ", and nothing orders the two");
    }
    if (p.by == By::nobody || (p.by == By::store && by == By::store)) return;
    if (!order::knows(me, p.entry, p.clock))
        fault("overwrites", ", which " + writer() + " has written, and nothing orders the two");
    if (by == By::bulk && p.by != By::bulk && !order::fenced(me, p.entry, p.clock))
        fault("overwrites", ", which " + writer() + " has written, without a fence.proxy.async in between");
}

void write(Piece& p, uint32_t at, By by, uint32_t entry, uint32_t clock, Site site) {
    p.by = by;
    p.entry = entry;
    p.clock = clock;
    p.site = site;
    std::fill_n(read_.begin() + size_t(at / kPiece) * warps, warps, 0);
}

} // namespace

void begin(int threads) {
    warps = (threads + 31) / 32;
    if (pieces.empty()) pieces.resize(kPieces);
    std::fill_n(pieces.begin(), used, Piece());
    used = 0;
    read_.assign(size_t(kPieces) * warps, 0);
}

void bulk_begins(uint32_t at, uint32_t size, uint32_t entry, uint32_t phases, Place place) {
    each(at, size, [&](Piece& p, uint32_t i) {
        check_write(p, i, By::bulk, place, 0);
        write(p, i, By::bulk, entry, phases, site(place));
        p.flying = true;
    });
}

void copy_begins(uint32_t at, uint32_t size, Place place) {
    each(at, size, [&](Piece& p, uint32_t i) {
        check_write(p, i, By::copy, place, 0);
        write(p, i, By::copy, uint32_t(self->number), order::now(self->number), site(place));
        p.flying = true;
    });
}

void bulk_lands(uint32_t at, uint32_t size) {
    each(at, size, [](Piece& p, uint32_t) { p.flying = false; });
}

// The copy is written when its thread has waited for it, so a fence must come after that.
void copy_lands(uint32_t at, uint32_t size) {
    each(at, size, [](Piece& p, uint32_t) {
        p.flying = false;
        p.clock = order::now(self->number);
    });
}

void stored(uint32_t at, uint32_t size, Site site) {
    each(at, size, [&](Piece& p, uint32_t i) {
        check_write(p, i, By::store, {nullptr, 0}, site);
        write(p, i, By::store, uint32_t(self->number), order::now(self->number), site);
    });
}

void loaded(uint32_t at, uint32_t size, Site site) {
    each(at, size, [&](Piece& p, uint32_t i) {
        if (p.by != By::bulk) return; // races.cpp has the rest
        if (p.flying)
            fail({nullptr, 0}, "a load at %s reads %s, into which the bulk copy of %s is in flight",
                 describe(site).c_str(), buffer(i).c_str(), describe(p.site).c_str());
        if (!order::knows(self->number, p.entry, p.clock))
            fail({nullptr, 0},
                 "a load at %s reads %s, which the bulk copy of %s has written, and nothing orders the two",
                 describe(site).c_str(), buffer(i).c_str(), describe(p.site).c_str());
    });
}

bool Reader::all(bool fenced, uint32_t entry, uint32_t clock) {
    std::vector<uint32_t>& clocks = fenced ? fenced_ : known_;
    if (clocks.size() <= entry) clocks.resize(entry + 1, 0);
    if (clocks[entry] >= clock) return true;
    for (int t = first_; t < first_ + kGroup; t++)
        if (!(fenced ? order::fenced(t, entry, clock) : order::knows(t, entry, clock))) return false;
    clocks[entry] = clock;
    return true;
}

void Reader::read(uint32_t at, const unsigned char* content) {
    Piece& p = piece(at);
    if (p.by == By::nobody && std::all_of(content, content + kPiece, [](unsigned char c) { return c == 0xFF; }))
        fail(place_, "wgmma reads %s, which the block has not written", buffer(at).c_str());
    const auto fault = [&](const char* why) {
        fail(place_, "wgmma reads %s, %s %s of %s %s", buffer(at).c_str(), p.flying ? "into which" : "which",
             name(p.by), describe(p.site).c_str(), why);
    };
    if (p.flying) fault("is in flight");
    if (p.by != By::nobody && !all(false, p.entry, p.clock)) fault("has written, and nothing orders the two");
    if (p.by != By::nobody && p.by != By::bulk && !all(true, p.entry, p.clock))
        fault("has written, without a fence.proxy.async in between");
    p.readers++;
    p.reader = site(place_);
}

void read_ends(uint32_t at, int first_thread) {
    piece(at).readers--;
    for (int w = first_thread / 32; w < (first_thread + kGroup) / 32; w++)
        read_[size_t(at / kPiece) * warps + w] = order::now(32 * w);
}

} // namespace shadow
} // namespace host
