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

// CardSum is how a tensor core adds products of bf16 to an accumulator in f32: blocks of `terms` products at a time, in
// the order of k. In a block the products, which are exact, and the accumulator are shifted to the largest exponent,
// and bits below 2^-(23 + extra) of it are cut off. The exponent of a product is the sum of those of its factors, also
// if the product of their significands is 2 or more. The sum of a block is exact, and it is rounded to zero.
//
// The constants have been measured on cards. Fasi, Higham, Mikaitis and Pranesh 2021, "Numerical behavior of NVIDIA
// tensor cores", PeerJ Computer Science 7:e330, measured an A100's order, rounding and extra bit. Li et al. 2024,
// "FTTN: feature-targeted testing for numerical properties of NVIDIA and AMD matrix accelerators", arXiv:2403.00232,
// found 8 terms and one bit for an A100, and at least 16 terms and two bits for an H100. Khattak and Mikaitis 2025,
// "Accurate models of NVIDIA tensor cores", arXiv:2512.07004, have models whose bits are those of the cards for random
// operands: `fma`, `neab` and `frmode` in A100TC.m and H100TC.m, and the exponent of a product in Generic_BFMA_TC.m of
// github.com/north-numerical-computing/MATLAB-tensor-core. Their least exponent of an alignment, -133, is left out.
struct CardSum {
    int terms, extra;

    static int exponent(float x) {
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        const int e = int(bits >> 23 & 0xff);
        return (e == 0 ? 1 : e) - 127;
    }

    float add(float d, const float* a, const float* b, int stride) const {
        constexpr int none = -1000;
        double exact[16];
        int top = d == 0.0f ? none : exponent(d);
        bool finite = isfinite(d);
        for (int k = 0; k < terms; k++) {
            const float x = a[k], y = b[k * stride];
            exact[k] = double(x) * double(y);
            finite = finite && isfinite(exact[k]);
            if (exact[k] == 0.0) continue;
            const int e = exponent(x) + exponent(y);
            top = e > top ? e : top;
        }
        if (top == none || !finite) {
            for (int k = 0; k < terms; k++) d += float(exact[k]);
            return d;
        }
        const int shift = 23 + extra - top;
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
