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

// d = 1, plus the product of a row and a column whose 16 terms are all `term`.
KERNEL(numerics_mma, NumericsArgs, 32) {
    const uint32_t one = pack_bf16(1.0f, 1.0f), term = pack_bf16(a.in[0], a.in[0]);
    float d[4] = {1.0f, 1.0f, 1.0f, 1.0f};
    mma_bf16(d, {one, one, one, one}, {term, term});
    for (int i = 0; i < 4; i++) a.out[4 * threadIdx.x + i] = d[i];
}

// ulps returns how far apart two floats of one sign are.
static int ulps(float x, float y) {
    int32_t a, b;
    memcpy(&a, &x, sizeof a);
    memcpy(&b, &y, sizeof b);
    return abs(a - b);
}

// The Go test compares what this prints: the largest errors of the functions in units in the last place, whether
// products are contracted, and 16 times 2^-25 added to 1, in units of 2^-23.
CASE(numerics) {
    constexpr int n = 2000;
    static float in[n], out[6 * n], again[6 * n], mma[128];
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
    in[0] = 0x1p-25f;
    run("numerics_mma", NumericsArgs{mma, in, 1, 0});
    for (int i = 1; i < 128; i++) CHECK(mma[i] == mma[0]);
    printf("exp %d exp2 %d log %d erf %d tanh %d divide %d contracted %d mma %g\n", most[0], most[1], most[2], most[3],
           most[4], most[5], lost > 0.0f, double(mma[0] - 1.0f) * 0x1p23);
}
