// This file counts what the instructions of a kernel cost. The nth time that the lanes of a warp make an access of the
// source is one instruction of the warp.
//
//   - An instruction on global memory moves the sectors of 32 bytes that its lanes touch. The least that it could move
//     is its bytes divided by 32.
//   - An instruction on shared memory takes a wavefront for each word of 4 bytes that its lanes want from the same of
//     32 banks. Lanes that access 8 bytes are served in halves of the warp, and lanes that access 16 bytes in quarters.
//     The least that each could take is its words divided by 32.
//
// Bytes that several lanes access count once. Caches and time are not modelled. The counts do not depend on the order
// in which the fibers run.
#include <stdio.h>

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>

#include "watch.h"

namespace host {

namespace {

constexpr int kMostWarps = 32;

// Instruction is an access that some lanes of a warp have made.
struct Instruction {
    uint32_t lanes = 0;
    uint32_t size = 0;
    uintptr_t at[32];
};

// Total is the sum over the instructions of a site. A unit is a sector or a wavefront.
struct Total {
    uint64_t instructions = 0, units = 0, least = 0;
};

// distinct sorts numbers and returns how many there are.
size_t distinct(uintptr_t* x, size_t n) {
    std::sort(x, x + n);
    return size_t(std::unique(x, x + n) - x);
}

void add_global(Total& t, const Instruction& in) {
    uintptr_t sectors[32 * 2], bytes[32 * 16];
    size_t s = 0, b = 0;
    for (int lane = 0; lane < 32; lane++) {
        if ((in.lanes >> lane & 1) == 0) continue;
        const uintptr_t first = in.at[lane], last = first + in.size - 1;
        for (uintptr_t i = first / 32; i <= last / 32; i++) sectors[s++] = i;
        for (uintptr_t i = first; i <= last; i++) bytes[b++] = i;
    }
    t.units += distinct(sectors, s);
    t.least += (distinct(bytes, b) + 31) / 32;
}

void add_shared(Total& t, const Instruction& in) {
    const int group = in.size == 16 ? 8 : in.size == 8 ? 16 : 32;
    for (int begin = 0; begin < 32; begin += group) {
        uintptr_t words[32 * 2];
        size_t n = 0;
        for (int lane = begin; lane < begin + group; lane++) {
            if ((in.lanes >> lane & 1) == 0) continue;
            for (uintptr_t i = in.at[lane] / 4; i <= (in.at[lane] + in.size - 1) / 4; i++) words[n++] = i;
        }
        if (n == 0) continue;
        n = distinct(words, n);
        int bank[32] = {};
        for (size_t i = 0; i < n; i++) bank[words[i] % 32]++;
        t.units += uint64_t(*std::max_element(bank, bank + 32));
        t.least += (n + 31) / 32;
    }
}

// Counts has the totals of a kernel: of accesses by site, memory and direction, and of barriers and collectives.
struct Counts {
    std::map<std::tuple<Site, bool, bool>, Total> accesses;
    std::map<Op, uint64_t> collectives;
};

class Accesses : public Watcher {
public:
    void launch() override { counts_ = &kernels_[block.kernel]; }

    // A barrier is counted once for each warp, as the instructions are.
    void barrier() override {
        counts_->collectives[Op::barrier] += (block.dim.x * block.dim.y * block.dim.z + 31) / 32;
    }

    void collective(Op op) override { counts_->collectives[op]++; }

    void access(const Access& a) override {
        for (uint32_t done = 0; done < a.size; done += 16) {
            const uint32_t size = std::min(a.size - done, 16u);
            Stream& s = streams_[a.thread / 32][Key{a.site, a.shared, a.write, done}];
            const int lane = a.thread % 32;
            const uint64_t nth = s.done[lane]++ - s.first;
            while (s.open.size() <= nth) s.open.emplace_back();
            Instruction& in = s.open[nth];
            in.lanes |= 1u << lane;
            in.size = size;
            in.at[lane] = a.at + done;
            while (!s.open.empty() && s.open.front().lanes == ~0u) close(s, {a.site, a.shared, a.write, done});
        }
    }

    void copy_issued(const Access& a) override { access(a); }

    // Lanes that have ended, or that took another branch, make no more accesses.
    void block_end() override {
        for (auto& warp : streams_) {
            for (auto& e : warp)
                while (!e.second.open.empty()) close(e.second, e.first);
            warp.clear();
        }
    }

    bool write(const char* path) const;

private:
    // Stream has the instructions of a warp at one site in order.
    struct Stream {
        uint64_t first = 0; // number of the first open instruction
        uint64_t done[32] = {};
        std::deque<Instruction> open;
    };

    // Key identifies a stream. part is the offset of an instruction in an access of more than 16 bytes.
    struct Key {
        Site site;
        bool shared, write;
        uint32_t part;
        bool operator==(const Key& k) const {
            return site == k.site && shared == k.shared && write == k.write && part == k.part;
        }
    };
    struct Hash {
        size_t operator()(const Key& k) const { return (size_t(k.site) << 2 | k.shared << 1 | k.write) + k.part * 31; }
    };

    void close(Stream& s, const Key& k) {
        const Instruction& in = s.open.front();
        if (in.lanes != 0) {
            Total& t = counts_->accesses[{k.site, k.shared, k.write}];
            t.instructions++;
            k.shared ? add_shared(t, in) : add_global(t, in);
        }
        s.open.pop_front();
        s.first++;
    }

    std::map<const Kernel*, Counts> kernels_;
    Counts* counts_ = nullptr;
    std::unordered_map<Key, Stream, Hash> streams_[kMostWarps];
};

bool Accesses::write(const char* path) const {
    FILE* f = fopen(path, "w");
    if (f == nullptr) return false;
    for (const auto& [kernel, counts] : kernels_) {
        for (const auto& [key, t] : counts.accesses) {
            const auto& [where, shared, write] = key;
            fprintf(f, "%s\t%s %s\t%llu\t%llu\t%llu\t%s\n", kernel->name, shared ? "shared" : "global",
                    write ? "write" : "read", (unsigned long long)t.instructions, (unsigned long long)t.units,
                    (unsigned long long)t.least, address(where).c_str());
        }
        for (const auto& [op, n] : counts.collectives)
            fprintf(f, "%s\t%s\t%llu\t0\t0\t\n", kernel->name, name(op), (unsigned long long)n);
    }
    return fclose(f) == 0;
}

} // namespace

Watcher* watch_accesses() { return new Accesses; }

} // namespace host

// lor2c_host_accesses writes to a file what was counted so far, a line for each access and each kind of collective of a
// kernel: kernel, kind, instructions, units, least units, and the address in this library or the line. It returns 0 if
// the file cannot be written, or if the process does not count.
extern "C" __attribute__((visibility("default"))) int lor2c_host_accesses(const char* path) {
    const auto* counted = dynamic_cast<const host::Accesses*>(host::watcher);
    return counted != nullptr && counted->write(path);
}
