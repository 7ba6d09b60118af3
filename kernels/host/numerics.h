// Arithmetic as cards do it, for the kind of build with LOR2C_HOST_CARD. Functions of the CUDA library err by the most
// that NVIDIA documents ("CUDA C++ Programming Guide", "Mathematical Functions"), and g++ contracts products and sums
// to fused multiply-adds, as nvcc does. nvcc is called without options for arithmetic, so quotients, square roots and
// subnormal numbers are exact, except in the instructions that say approx or ftz. mma.sync is in tensorcore.cpp.
//
// An error is drawn from the seed, the function and the bits of its argument, so a function has one value for each
// argument, as on a card.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "random.h"

namespace host {

// card_seed draws the errors.
inline const uint64_t card_seed = seed_at_start();

// inexact moves y, which is correctly rounded, by up to `most` units in the last place. Zeros, infinities, NaN and
// values next to them stay.
inline float inexact(float y, float x, uint32_t function, int most) {
    uint32_t of_x, of_y;
    memcpy(&of_x, &x, sizeof of_x);
    memcpy(&of_y, &y, sizeof of_y);
    const uint32_t exponent = of_y >> 23 & 0xff;
    if (exponent < 2 || exponent > 253) return y;
    Random lots = {card_seed << 36 ^ uint64_t(function) << 32 ^ of_x};
    of_y += uint32_t(int(lots.next() % uint32_t(2 * most + 1)) - most);
    memcpy(&y, &of_y, sizeof y);
    return y;
}

// bounded is inexact for functions that do not leave [-1, 1] and reach its ends exactly.
inline float bounded(float y, float x, uint32_t function, int most) {
    if (fabsf(y) >= 1.0f) return y;
    y = inexact(y, x, function, most);
    return y > 1.0f ? 1.0f : y < -1.0f ? -1.0f : y;
}

inline float card_exp(float x) { return x == 0.0f ? 1.0f : inexact(float(exp(double(x))), x, 1, 2); }
inline float card_log(float x) { return inexact(float(log(double(x))), x, 2, 1); }
inline float card_erf(float x) { return bounded(float(erf(double(x))), x, 3, 2); }
inline float card_tanh(float x) { return bounded(float(tanh(double(x))), x, 4, 2); }
// card_exp2 is ex2.approx.ftz.f32.
inline float card_exp2(float x) {
    const float y = float(exp2(double(x)));
    if (y < 1.1754943508222875e-38f) return 0.0f;
    return x == floorf(x) ? y : inexact(y, x, 5, 2);
}
// card_divide is __fdividef, which returns 0 if the divisor is above 2^126.
inline float card_divide(float x, float y) {
    if (fabsf(y) > 8.507059173023462e37f && !isinf(x)) return isnan(x) || isnan(y) ? x / y : 0.0f;
    return inexact(x / y, x + y, 6, 2);
}

// CardSum is how a tensor core adds products to an accumulator: blocks of `terms` products at a time. In a block the
// products and the accumulator are shifted to the largest exponent and cut after 24 + extra bits, and the sum is
// rounded to zero. Fasi et al. 2021, "Numerical behavior of NVIDIA tensor cores", measured an A100, and Khattak and
// Mikaitis 2025, arXiv:2512.07004, an H100.
struct CardSum {
    int terms, extra;

    float add(float d, const float* a, const float* b, int stride) const {
        double exact[17], top = fabs(double(d));
        for (int k = 0; k < terms; k++) {
            exact[k] = double(a[k]) * double(b[k * stride]);
            top = fabs(exact[k]) > top || isnan(exact[k]) ? fabs(exact[k]) : top;
        }
        if (top == 0.0 || !(top < HUGE_VAL)) {
            for (int k = 0; k < terms; k++) d += float(exact[k]);
            return d;
        }
        const int shift = 23 + extra - ilogb(top);
        int64_t sum = int64_t(ldexp(double(d), shift));
        for (int k = 0; k < terms; k++) sum += int64_t(ldexp(exact[k], shift));
        const double cut = ldexp(double(sum), -shift);
        const float y = float(cut);
        return fabs(double(y)) > fabs(cut) ? nextafterf(y, 0.0f) : y;
    }
};

// card_sum is that of an A100 for odd seeds and that of an H100 for even ones.
inline const CardSum card_sum = card_seed % 2 ? CardSum{8, 1} : CardSum{16, 2};

} // namespace host
