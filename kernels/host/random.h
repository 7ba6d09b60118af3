// All random orders of the library are drawn from these numbers.
#pragma once
#include <stdint.h>
#include <stdlib.h>

namespace host {

// Random is splitmix64 (Steele et al. 2014, "Fast splittable pseudorandom
// number generators").
struct Random {
    uint64_t at;

    uint64_t next() {
        uint64_t z = at += 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        return z ^ z >> 31;
    }
};

// seed_at_start returns LOR2C_HOST_SEED, or 1.
inline uint64_t seed_at_start() {
    const char* value = getenv("LOR2C_HOST_SEED");
    return value != nullptr && *value != 0 ? strtoull(value, nullptr, 10) : 1;
}

} // namespace host
