// Arithmetic of a card, and that of the C library in the kinds of build without LOR2C_HOST_CARD.
#include "mma.cuh"
#include "host/selftest/selftest.h"

struct NumericsArgs {
    float* out;
    const float* in;
    int n, unused;
};

// The errors of all functions at many points.
KERNEL(numerics_functions, NumericsArgs, 32) {
    for (int i = threadIdx.x; i < a.n; i += 32) {
        const float x = a.in[i];
        float* out = a.out + 6 * i;
        out[0] = expf(x);
        out[1] = exp2f(x);
        out[2] = logf(fabsf(x));
        out[3] = erff(x);
        out[4] = tanhf(x);
        out[5] = __fdividef(1.0f, x);
    }
}

// What rounding x x loses, which is 0 if the product is rounded before the subtraction.
KERNEL(numerics_contraction, NumericsArgs, 32) {
    const float x = a.in[threadIdx.x], square = a.in[threadIdx.x + 32];
    a.out[threadIdx.x] = x * x - square;
}

// d = in[2], plus the product of a row and a column whose 16 terms are in[0], but the first is in[3] in[3] if n is 1.
KERNEL(numerics_mma, NumericsArgs, 32) {
    const float term = a.in[0], big = a.in[3];
    const bool first = a.n == 1 && threadIdx.x % 4 == 0; // the lanes that have the term of k = 0
    const uint32_t ones = pack_bf16(1.0f, 1.0f), terms = pack_bf16(term, term);
    const uint32_t row = first ? pack_bf16(big, 1.0f) : ones, col = first ? pack_bf16(big, term) : terms;
    float d[4] = {a.in[2], a.in[2], a.in[2], a.in[2]};
    mma_bf16(d, {row, row, ones, ones}, {col, terms});
    for (int i = 0; i < 4; i++) a.out[4 * threadIdx.x + i] = d[i];
}

// product returns what all elements of numerics_mma are. If big is not 0 the first term is its square.
static float product(float d, float big, float term) {
    static float in[4], out[128];
    in[0] = term, in[2] = d, in[3] = big;
    run("numerics_mma", NumericsArgs{out, in, big != 0.0f, 0});
    for (int i = 1; i < 128; i++) CHECK(out[i] == out[0]);
    return out[0];
}

// ulps returns how far apart two floats of one sign are.
static int ulps(float x, float y) {
    int32_t a, b;
    memcpy(&a, &x, sizeof a);
    memcpy(&b, &y, sizeof b);
    return abs(a - b);
}

// The Go test compares what this prints: the largest errors of the functions in units in the last place, whether
// products are contracted, and what sums of small terms add: 16 terms of 2^-25 to an accumulator of 1, in units of
// 2^-23, and 15 terms of 2^-24 and of 2^-25 to a first term of 1.5 x 1.5, in units of 2^-22. The exponent of that term
// is that of 1.
CASE(numerics) {
    constexpr int n = 2000;
    static float in[n], out[6 * n], again[6 * n];
    for (int i = 0; i < n; i++) in[i] = (float(i) - 999.5f) / 100.0f;
    run("numerics_functions", NumericsArgs{out, in, n, 0});
    run("numerics_functions", NumericsArgs{again, in, n, 0});
    CHECK(memcmp(out, again, sizeof out) == 0);
    int most[6] = {};
    for (int i = 0; i < n; i++) {
        const double x = in[i];
        const double want[6] = {exp(x), exp2(x), log(fabs(x)), erf(x), tanh(x), 1 / x};
        for (int k = 0; k < 6; k++) {
            CHECK((k != 3 && k != 4) || fabsf(out[6 * i + k]) <= 1.0f);
            const int e = ulps(out[6 * i + k], float(want[k]));
            most[k] = e > most[k] ? e : most[k];
        }
    }
    float lost = 0.0f;
    for (int i = 0; i < 32; i++) in[i] = 1.0f + float(i) / 4096.0f, in[i + 32] = in[i] * in[i];
    in[3] = 1.0f + 0x1p-12f, in[35] = float(double(in[3]) * double(in[3]));
    run("numerics_contraction", NumericsArgs{out, in, 32, 0});
    for (int i = 0; i < 32; i++) lost += fabsf(out[i]);
    printf("exp %d exp2 %d log %d erf %d tanh %d divide %d contracted %d mma %g %g %g\n", most[0], most[1], most[2],
           most[3], most[4], most[5], lost > 0.0f, double(product(1.0f, 0.0f, 0x1p-25f) - 1.0f) * 0x1p23,
           double(product(0.0f, 1.5f, 0x1p-24f) - 2.25f) * 0x1p22,
           double(product(0.0f, 1.5f, 0x1p-25f) - 2.25f) * 0x1p22);
}
